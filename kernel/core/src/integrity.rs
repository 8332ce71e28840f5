//! Whether the kernel is still what it was: checksums of all that nobody may change.
//!
//! The first sums are taken when a model is mapped, the last when it is sealed. They are compared after each fault of the engine,
//! before it starts again, and by `/status`.

use barellama_abi::layout::DESCRIPTOR_BYTES;
use barellama_arch::checksum::Checksum;
use barellama_arch::{canary, mmu};

use crate::engine::memory::ModelMapping;

/// The parts, in the order of [`Sums::parts`].
pub const PARTS: [&str; 6] = ["code", "constants", "engine image", "tables", "canaries", "descriptor"];

/// A checksum for each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// By the order of [`PARTS`]; the descriptor's is `None` until the model is sealed.
    pub parts: [Option<u64>; PARTS.len()],
}

impl Sums {
    /// Takes the sums: 3 MB are read.
    #[must_use]
    pub fn take(model: Option<&ModelMapping>) -> Self {
        let of = |bytes: &[u8]| Some(Checksum::new().bytes(bytes).value());
        Self {
            parts: [
                of(mmu::kernel_text()),
                of(mmu::kernel_rodata()),
                of(mmu::payload().unwrap_or(&[])),
                Some(mmu::tables_checksum()),
                Some(canary::checksum()),
                model.filter(|model| model.is_sealed()).and_then(descriptor),
            ],
        }
    }

    /// The first part that differs.
    #[must_use]
    pub fn first_difference(&self, now: &Self) -> Option<&'static str> {
        let pairs = self.parts.iter().zip(&now.parts);
        PARTS.iter().zip(pairs).find(|(_, (then, now))| then != now).map(|(name, _)| *name)
    }

    /// One sum over all of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parts.iter().fold(Checksum::new(), |sum, part| sum.word(part.unwrap_or(0))).value()
    }
}

/// The last block of the model region, where the engine left what a restart needs.
fn descriptor(model: &ModelMapping) -> Option<u64> {
    let last = model.memory().model.last()?;
    let mut at = last.end().checked_sub(DESCRIPTOR_BYTES)?;
    let mut sum = Checksum::new();
    // Through the window, which is a page smaller than the block.
    for bytes in [mmu::WINDOW_SLICE_BYTES, DESCRIPTOR_BYTES as usize - mmu::WINDOW_SLICE_BYTES] {
        sum = mmu::with_physical(at, bytes, |slice| sum.bytes(slice)).ok()?;
        at += bytes as u64;
    }
    Some(sum.value())
}
