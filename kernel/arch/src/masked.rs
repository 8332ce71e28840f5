//! The longest stretch with interrupts masked, for each core: measured where the mask changes, from the first to the last
//! instruction that matters.
//!
//! Under QEMU's `-icount shift=0` a nanosecond is an instruction. The counter's own resolution is a tick.

use crate::{cores, timer};
use aarch64_cpu::registers::{CNTVCT_EL0, Readable};
use barellama_abi::layout::CORES_MAX;
use core::sync::atomic::{AtomicU64, Ordering};

static SINCE: [AtomicU64; CORES_MAX] = [const { AtomicU64::new(0) }; CORES_MAX];
static LONGEST: [AtomicU64; CORES_MAX] = [const { AtomicU64::new(0) }; CORES_MAX];

/// Interrupts were just masked on this core.
pub(crate) fn begin() {
    if let Some(since) = SINCE.get(cores::current()) {
        // The order of these reads against other instructions is off by a few at most: no barrier for that.
        since.store(CNTVCT_EL0.get(), Ordering::Relaxed);
    }
}

/// Interrupts are about to be unmasked on this core, or it sleeps until one comes.
pub(crate) fn end() {
    let core = cores::current();
    let (Some(since), Some(longest)) = (SINCE.get(core), LONGEST.get(core)) else { return };
    // Zero: it was not begun, before the first mask of a core.
    let began = since.swap(0, Ordering::Relaxed);
    if began != 0 {
        longest.fetch_max(CNTVCT_EL0.get().wrapping_sub(began), Ordering::Relaxed);
    }
}

/// The longest stretch of any core, in nanoseconds.
#[must_use]
pub fn longest_ns() -> u64 {
    let ticks = LONGEST.iter().map(|longest| longest.load(Ordering::Relaxed)).max().unwrap_or(0);
    timer::nanoseconds(ticks)
}
