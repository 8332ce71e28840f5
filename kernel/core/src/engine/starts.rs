//! The engine's starts, as the cores hear of them.
//!
//! `tests/interleavings` runs this very file under loom; so the atomics come from `super`.

use super::atomics::{AtomicU32, Ordering};

/// Bits of the number of cores; above it is the number of the start.
const CORE_BITS: u32 = 8;

/// A start, and the cores that take part in it: one word, so that a core that is late never takes the cores of one start for those of
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(u32);

impl Start {
    /// Before the first start.
    pub const NONE: Self = Self(0);

    /// How many cores take part.
    pub const fn cores(self) -> usize {
        (self.0 & ((1 << CORE_BITS) - 1)) as usize
    }
}

/// The latest start.
pub struct Starts {
    word: AtomicU32,
}

impl Starts {
    /// There was none; `word` is 0.
    pub const fn new(word: AtomicU32) -> Self {
        Self { word }
    }

    /// Announces a start of `cores` cores, at most 255. Called by core 0 while no core is in the engine.
    pub fn announce(&self, cores: u8) {
        let number = self.word.load(Ordering::Relaxed) >> CORE_BITS;
        let word = number.wrapping_add(1) << CORE_BITS | u32::from(cores);
        // Release: whoever sees the start sees the entry and the memory that were prepared for it.
        self.word.store(word, Ordering::Release);
    }

    /// The latest start.
    pub fn latest(&self) -> Start {
        Start(self.word.load(Ordering::Acquire))
    }
}
