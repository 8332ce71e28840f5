//! The interrupt mask of this core.

use crate::masked;
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{DAIF, Readable};

/// IRQ masked until this is dropped; then as it was before. Belongs to the core that made it.
#[must_use = "the mask ends when the guard is dropped"]
pub struct MaskGuard {
    were_enabled: bool,
    /// Not `Send`: another core's mask is another mask.
    core_bound: core::marker::PhantomData<*const ()>,
}

impl Drop for MaskGuard {
    fn drop(&mut self) {
        if self.were_enabled {
            masked::end();
            enable();
        }
    }
}

/// Masks IRQ.
pub fn mask() -> MaskGuard {
    let guard = MaskGuard { were_enabled: are_enabled(), core_bound: core::marker::PhantomData };
    disable();
    if guard.were_enabled {
        masked::begin();
    }
    guard
}

/// Whether IRQ is unmasked.
#[must_use]
pub fn are_enabled() -> bool {
    DAIF.get() & (1 << 7) == 0
}

/// Unmasks IRQ. Memory accesses are not moved across it by the compiler.
pub fn enable() {
    // SAFETY: the vectors and the handler's hook are in place from boot on.
    unsafe { core::arch::asm!("msr daifclr, #2", options(nostack)) };
}

/// Masks IRQ. Memory accesses are not moved across it by the compiler.
pub fn disable() {
    // SAFETY: masking changes nothing but when handlers run.
    unsafe { core::arch::asm!("msr daifset, #2", options(nostack)) };
}

/// Lets the interrupts that are pending be handled, then masks IRQ again. The barrier in between matters: without a context
/// synchronization a core may retire both writes to the mask before it takes the interrupt (Arm ARM D1.3.6).
pub fn serve_pending() {
    masked::end();
    enable();
    barrier::isb(barrier::SY);
    disable();
    masked::begin();
}

/// Sleeps until an interrupt is pending, also while it is masked: with the mask on, a condition can be checked and slept upon
/// without losing the wake-up in between. All earlier accesses are complete before the core sleeps.
pub fn wait_for_interrupt() {
    masked::end();
    barrier::dsb(barrier::SY);
    aarch64_cpu::asm::wfi();
    if !are_enabled() {
        masked::begin();
    }
}
