//! System registers that reports show.

use aarch64_cpu::registers::{
    CNTFRQ_EL0, ID_AA64ISAR0_EL1, ID_AA64MMFR1_EL1, ID_AA64PFR0_EL1, MIDR_EL1, MPIDR_EL1, Readable, SCTLR_EL1,
};

/// MIDR_EL1: implementer 31:24, variant 23:20, part 15:4, revision 3:0.
#[must_use]
pub fn midr() -> u64 {
    MIDR_EL1.get()
}

/// MPIDR_EL1.
#[must_use]
pub fn mpidr() -> u64 {
    MPIDR_EL1.get()
}

/// ID_AA64ISAR0_EL1: instructions for atomics and dot products.
#[must_use]
pub fn id_aa64isar0() -> u64 {
    ID_AA64ISAR0_EL1.get()
}

/// ID_AA64PFR0_EL1: floating point and its half-precision form.
#[must_use]
pub fn id_aa64pfr0() -> u64 {
    ID_AA64PFR0_EL1.get()
}

/// PSTATE.PAN of this core: whether the kernel's own loads and stores to EL0's memory fault (Arm ARM D8.4.2). `None` on cores
/// that lack it (before Armv8.1: Cortex-A53, A72).
#[must_use]
pub fn privileged_access_never() -> Option<bool> {
    if ID_AA64MMFR1_EL1.get() >> 20 & 0xF == 0 {
        return None;
    }
    let state: u64;
    // SAFETY: reads PSTATE.PAN, which exists (checked above).
    unsafe { core::arch::asm!("mrs {}, S3_0_C4_C2_3", out(reg) state, options(nomem, nostack, preserves_flags)) };
    Some(state & 1 << 22 != 0)
}

/// SCTLR_EL1.
#[must_use]
pub fn sctlr() -> u64 {
    SCTLR_EL1.get()
}

/// CNTFRQ_EL0: the counter's frequency in Hz, as the firmware set it.
#[must_use]
pub fn counter_frequency_hz() -> u64 {
    CNTFRQ_EL0.get()
}
