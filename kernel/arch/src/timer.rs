//! The generic timer: time since the start, and one deadline per core (virtual timer, INTID 27).

use crate::registers::counter_frequency_hz;
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable};
use core::sync::atomic::{AtomicU64, Ordering};

/// The interrupt of the virtual timer on a GIC: PPI 11.
pub const INTERRUPT_ID: u32 = 27;
const NANOSECONDS: u64 = 1_000_000_000;
/// CNTV_CTL_EL0.ENABLE, with IMASK clear.
const ENABLE: u64 = 1;
static START_TICKS: AtomicU64 = AtomicU64::new(0);
/// Ticks a second. Where nobody tells it, as fast as the fastest board's: delays are too long rather than too short.
static FREQUENCY_HZ: AtomicU64 = AtomicU64::new(54_000_000);

/// Begins to count time. Only the first call does; time is the same on all cores.
pub fn start() {
    let now = ticks().max(1);
    let is_first = START_TICKS.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if is_first && is_frequency_told() {
        FREQUENCY_HZ.store(counter_frequency_hz(), Ordering::Relaxed);
    }
}

/// Whether the firmware set CNTFRQ_EL0, which only EL3 can (Arm ARM D13.8.1). Those of the boards do; another one may not.
#[must_use]
pub fn is_frequency_told() -> bool {
    counter_frequency_hz() != 0
}

/// The frequency that the board's counter is known to have, for a firmware that does not tell it.
pub fn assume_frequency(hertz: u64) {
    if !is_frequency_told() {
        FREQUENCY_HZ.store(hertz.max(1), Ordering::Relaxed);
    }
}

/// Nanoseconds since [`start`].
#[must_use]
pub fn now_ns() -> u64 {
    nanoseconds(ticks().wrapping_sub(START_TICKS.load(Ordering::Relaxed)))
}

/// How long so many ticks take.
pub(crate) fn nanoseconds(ticks: u64) -> u64 {
    let frequency = frequency_hz().max(1);
    let (seconds, rest) = (ticks / frequency, ticks % frequency);
    seconds.saturating_mul(NANOSECONDS).saturating_add(rest.saturating_mul(NANOSECONDS) / frequency)
}

/// Frequency of the counter in Hz.
#[must_use]
pub fn frequency_hz() -> u64 {
    FREQUENCY_HZ.load(Ordering::Relaxed)
}

/// Lets the timer interrupt this core after a delay; replaces the deadline before. The interrupt stays until the next call of this.
pub fn arm_ns(delay_ns: u64) {
    set_deadline(deadline_in(delay_ns));
}

/// Brings this core's deadline forward. One that comes sooner stays, and so does one that has passed and waits to be handled: whoever
/// calls this again and again does not put the tick off for ever.
pub fn arm_within_ns(delay_ns: u64) {
    let deadline = deadline_in(delay_ns);
    if CNTV_CTL_EL0.get() & ENABLE == 0 || CNTV_CVAL_EL0.get() > deadline {
        set_deadline(deadline);
    }
}

fn deadline_in(delay_ns: u64) -> u64 {
    let frequency = frequency_hz();
    let (seconds, rest) = (delay_ns / NANOSECONDS, delay_ns % NANOSECONDS);
    let delay_ticks = seconds.saturating_mul(frequency).saturating_add(rest * frequency / NANOSECONDS);
    ticks().saturating_add(delay_ticks)
}

fn set_deadline(deadline: u64) {
    CNTV_CVAL_EL0.set(deadline);
    CNTV_CTL_EL0.set(ENABLE);
    barrier::isb(barrier::SY);
}

/// Waits without sleeping, for delays that hardware asks for.
pub fn spin_ns(delay_ns: u64) {
    let start = now_ns();
    while now_ns().saturating_sub(start) < delay_ns {
        core::hint::spin_loop();
    }
}

/// The counter: [`frequency_hz`] ticks a second. `isb` keeps the read from being done early (Arm ARM D12.1.2).
#[must_use]
pub fn ticks() -> u64 {
    barrier::isb(barrier::SY);
    CNTVCT_EL0.get()
}
