//! A chip's registers, as a driver holds them.

use core::ops::Deref;

/// A block of registers that is mapped for good and shared by all cores.
pub struct Mmio<R: 'static> {
    registers: &'static R,
}

impl<R> Mmio<R> {
    /// The block at `address`.
    ///
    /// # Safety
    /// A block of device registers of the layout `R` is mapped at `address` for good. `R` consists of register cells only, and its
    /// driver may be used by several cores.
    #[must_use]
    pub unsafe fn new(address: usize) -> Self {
        // SAFETY: the caller says that the registers are there for good; cells may change at any time.
        Self { registers: unsafe { &*core::ptr::with_exposed_provenance::<R>(address) } }
    }
}

impl<R> Deref for Mmio<R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.registers
    }
}

// SAFETY: device registers belong to no core; each access is one volatile load or store, and drivers order what belongs together.
unsafe impl<R> Sync for Mmio<R> {}
// SAFETY: as above.
unsafe impl<R> Send for Mmio<R> {}
