//! System registers that reports show.

use aarch64_cpu::registers::{
    CNTFRQ_EL0, CPACR_EL1, ELR_EL1, ID_AA64ISAR0_EL1, ID_AA64MMFR1_EL1, MIDR_EL1, MPIDR_EL1, Readable, SCTLR_EL1,
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

/// What this core lets EL0 do, as its registers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// SCTLR_EL1: MMU, WXN, stack alignment, what traps.
    pub sctlr: u64,
    /// CNTKCTL_EL1: counters and timers at EL0; 0 is none.
    pub cntkctl: u64,
    /// CPACR_EL1: vector registers at EL0 and EL1.
    pub cpacr: u64,
    /// MDSCR_EL1: debug.
    pub mdscr: u64,
    /// PMUSERENR_EL0: performance counters at EL0; 0 is none.
    pub pmuserenr: u64,
    /// PSTATE.PAN, see [`privileged_access_never`].
    pub pan: Option<bool>,
}

/// Reads them on this core.
#[must_use]
pub fn protection() -> Protection {
    let (cntkctl, mdscr, pmuserenr);
    // SAFETY: three registers are read, nothing else.
    unsafe {
        core::arch::asm!(
            "mrs {}, cntkctl_el1", "mrs {}, mdscr_el1", "mrs {}, pmuserenr_el0",
            out(reg) cntkctl, out(reg) mdscr, out(reg) pmuserenr, options(nomem, nostack, preserves_flags)
        );
    }
    let pan = privileged_access_never();
    Protection { sctlr: SCTLR_EL1.get(), cntkctl, cpacr: CPACR_EL1.get(), mdscr, pmuserenr, pan }
}

/// ELR_EL1: in an interrupt handler, the instruction that was interrupted.
#[must_use]
pub fn interrupted_at() -> u64 {
    ELR_EL1.get()
}

/// CNTFRQ_EL0: the counter's frequency in Hz, as the firmware set it.
#[must_use]
pub fn counter_frequency_hz() -> u64 {
    CNTFRQ_EL0.get()
}
