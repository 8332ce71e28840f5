//! Instructions that EL0 executed, counted by the performance monitors of the cores.
//!
//! Each core counts the event `INST_RETIRED` (0x08, Arm ARM D13.11.2) at EL0 alone in its event counter 0, 32 bits wide, which is
//! read whenever EL0 is left: at the latest at the next tick, long before it can wrap twice. EL0 sees no counter
//! (PMUSERENR_EL0 is 0). QEMU counts only under `-icount`, and there all cores by one counter, so that the count is right for one
//! computing core.

use barellama_abi::layout::CORES_MAX;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// INST_RETIRED: its number, and its bit in PMCEID0_EL0.
const INSTRUCTION_RETIRED: u64 = 0x08;
/// PMEVTYPER<n>_EL0.P: not at EL1. The other filter bits are 0: at EL0, not at EL2 (Arm ARM D24.5.9).
const NOT_AT_EL1: u64 = 1 << 31;
/// PMCR_EL0.E and .P: counters run, event counters begin at 0 (Arm ARM D24.5.6).
const RUN_FROM_ZERO: u64 = 0b11;

/// What one core counted, in a cache line of its own.
#[repr(align(64))]
struct Count {
    last: AtomicU32,
    total: AtomicU64,
}

static COUNTS: [Count; CORES_MAX] = [const { Count { last: AtomicU32::new(0), total: AtomicU64::new(0) } }; CORES_MAX];
static IS_COUNTING: AtomicBool = AtomicBool::new(false);

/// Lets this core count, if it can.
pub fn start_core(core: usize) {
    if !can_count() {
        return;
    }
    // SAFETY: the monitors exist (checked above) and belong to EL1 (boot.s: MDCR_EL2); they change no memory and raise no
    // interrupt, since all of theirs are switched off here.
    unsafe {
        asm!(
            "msr pmcntenclr_el0, {all}",
            "msr pmintenclr_el1, {all}",
            "msr pmevtyper0_el0, {event}",
            "msr pmcr_el0, {run}",
            "msr pmcntenset_el0, {first}",
            "isb",
            all = in(reg) 0xFFFF_FFFF_u64,
            event = in(reg) NOT_AT_EL1 | INSTRUCTION_RETIRED,
            run = in(reg) RUN_FROM_ZERO,
            first = in(reg) 1_u64,
            options(nomem, nostack, preserves_flags)
        );
    }
    if let Some(count) = COUNTS.get(core) {
        count.last.store(counter(), Ordering::Relaxed);
        IS_COUNTING.store(true, Ordering::Relaxed);
    }
}

/// Adds what this core executed since it was last asked. Called with interrupts masked, when it left EL0.
pub(crate) fn note(core: usize) {
    if !IS_COUNTING.load(Ordering::Relaxed) {
        return;
    }
    if let Some(count) = COUNTS.get(core) {
        let now = counter();
        let since = now.wrapping_sub(count.last.swap(now, Ordering::Relaxed));
        // Only this core writes it.
        count.total.store(count.total.load(Ordering::Relaxed) + u64::from(since), Ordering::Relaxed);
    }
}

/// Instructions of all cores at EL0 since the start, each as it last left EL0; 0 if this processor does not count them.
#[must_use]
pub fn total() -> u64 {
    COUNTS.iter().map(|count| count.total.load(Ordering::Relaxed)).sum()
}

/// Whether there are performance monitors (ID_AA64DFR0_EL1.PMUVer), an event counter, and the event.
fn can_count() -> bool {
    let features: u64;
    // SAFETY: an identification register is read.
    unsafe { asm!("mrs {}, id_aa64dfr0_el1", out(reg) features, options(nomem, nostack, preserves_flags)) };
    if matches!(features >> 8 & 0xF, 0 | 0xF) {
        return false;
    }
    let (control, events): (u64, u64);
    // SAFETY: the registers exist where the field above says so; reading them changes nothing.
    unsafe {
        asm!(
            "mrs {}, pmcr_el0", "mrs {}, pmceid0_el0",
            out(reg) control, out(reg) events, options(nomem, nostack, preserves_flags)
        );
    }
    control >> 11 & 0x1F != 0 && events >> INSTRUCTION_RETIRED & 1 != 0
}

/// This core's event counter 0.
fn counter() -> u32 {
    let count: u64;
    // SAFETY: only called where `can_count` said that it exists; reading it changes nothing.
    unsafe { asm!("mrs {}, pmevcntr0_el0", out(reg) count, options(nomem, nostack, preserves_flags)) };
    count as u32
}
