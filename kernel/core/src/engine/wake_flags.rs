//! Wake-ups of parked cores: a flag for each core, set before the interrupt that ends its sleep.
//!
//! `tests/interleavings` runs this very file under loom; so the atomics come from `super`.

use super::atomics::{AtomicBool, Ordering};

/// A wake-up that waits for each core.
pub struct WakeFlags<const CORES: usize> {
    pending: [AtomicBool; CORES],
}

impl<const CORES: usize> WakeFlags<CORES> {
    /// Flags that are not set.
    pub const fn new(pending: [AtomicBool; CORES]) -> Self {
        Self { pending }
    }

    /// Forgets all wake-ups, while no core is parked.
    pub fn clear(&self) {
        self.pending.iter().for_each(|flag| flag.store(false, Ordering::Relaxed));
    }

    /// Sets the flags of cores; the interrupts are sent after it, so that a core that is just going to sleep sees one or the other.
    /// Swapped as [`Self::take`] does, so that both have one order.
    pub fn set(&self, core_mask: u32) {
        for (core, flag) in self.pending.iter().enumerate() {
            if core_mask & (1 << core) != 0 {
                flag.swap(true, Ordering::AcqRel);
            }
        }
    }

    /// Takes the wake-up of a core, if there is one.
    pub fn take(&self, core: usize) -> bool {
        self.pending[core].swap(false, Ordering::AcqRel)
    }
}
