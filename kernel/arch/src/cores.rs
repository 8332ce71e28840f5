//! The cores: their numbers, their stacks, and how the others join.

use crate::hook::Hook;
use crate::{cache, image, mmu, timer};
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{MPIDR_EL1, Readable};
use barellama_abi::layout::CORES_MAX;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the assembly keeps per core; TPIDR_EL1 points to it.
#[repr(C, align(64))]
pub(crate) struct CoreRecord {
    /// Lowest stack pointer that leaves room for a fault frame.
    pub(crate) stack_low: AtomicU64,
    /// Address behind the stack.
    pub(crate) stack_high: AtomicU64,
    /// Address behind the emergency stack.
    pub(crate) emergency_top: AtomicU64,
    /// A register, while the vectors find a stack.
    pub(crate) scratch: AtomicU64,
    /// Which vector was taken, likewise.
    pub(crate) vector: AtomicU64,
}

impl CoreRecord {
    const fn new() -> Self {
        Self {
            stack_low: AtomicU64::new(0),
            stack_high: AtomicU64::new(0),
            emergency_top: AtomicU64::new(0),
            scratch: AtomicU64::new(0),
            vector: AtomicU64::new(0),
        }
    }
}

pub(crate) static CORE_RECORDS: [CoreRecord; CORES_MAX] = [const { CoreRecord::new() }; CORES_MAX];
static CHECKED_IN: [AtomicBool; CORES_MAX] = [const { AtomicBool::new(false) }; CORES_MAX];
static SECONDARY_START: Hook<fn(usize) -> !> = Hook::new();
const CHECK_INTERVAL_NS: u64 = 10_000;

/// The number of the core that asks, 0 to 3.
#[must_use]
pub fn current() -> usize {
    let affinity = MPIDR_EL1.get();
    // Level 0 counts threads where MT (bit 24) is set: Cortex-A76.
    let shift = if affinity & (1 << 24) == 0 { 0 } else { 8 };
    ((affinity >> shift) & 0xFF) as usize
}

/// The affinity of a core of this cluster, as MPIDR_EL1 of that core has it and as a firmware is told it.
#[must_use]
pub fn affinity_of(core: usize) -> u64 {
    const LEVELS: u64 = 0xFF_00FF_FFFF;
    let own = MPIDR_EL1.get();
    // As above: the core is counted by level 0, or by level 1 with thread 0.
    let (shift, counted) = if own & (1 << 24) == 0 { (0, 0xFF) } else { (8, 0xFFFF) };
    own & LEVELS & !counted | (core as u64) << shift
}

/// Prepares the start of the other cores, which will call `start` with their number. Returns the physical address where the firmware
/// has to let them run. What they read with their caches off is cleaned to the point of coherency.
pub fn prepare_secondaries(start: fn(core: usize) -> !) -> u64 {
    SECONDARY_START.set(start);
    let (boot_page, bytes) = image::boot_page();
    cache::clean(boot_page, bytes);
    cache::clean(mmu::TABLES.as_ptr().addr(), size_of_val(&mmu::TABLES));
    image::secondary_entry_physical()
}

/// Wakes cores that wait for an event (WFE), after all earlier writes are visible to them.
pub fn send_event() {
    barrier::dsb(barrier::SY);
    aarch64_cpu::asm::sev();
}

/// Whether a core has reached the kernel.
#[must_use]
pub fn has_checked_in(core: usize) -> bool {
    CHECKED_IN.get(core).is_some_and(|flag| flag.load(Ordering::Acquire))
}

/// Waits until a core has reached the kernel; `false` if it did not in time. Wakes it again and again: start code may fall asleep
/// behind the first event (Circle repeats it too).
#[must_use]
pub fn wait_for_check_in(core: usize, timeout_ns: u64) -> bool {
    let start = timer::now_ns();
    while !has_checked_in(core) {
        if timer::now_ns().saturating_sub(start) > timeout_ns {
            return false;
        }
        timer::spin_ns(CHECK_INTERVAL_NS);
        send_event();
    }
    true
}

/// The most bytes of its EL1 stack that a core has used so far: stacks are zeroed at the start. The guard words at the low end do not
/// count.
#[must_use]
pub fn stack_used_bytes(core: usize) -> usize {
    if core >= CORES_MAX || (core != 0 && !has_checked_in(core)) {
        return 0;
    }
    let (low, high) = image::stack(core);
    let low = low + crate::probe::GUARD_BYTES;
    let untouched = (low..high).step_by(8).take_while(|&address| {
        // SAFETY: the range is the mapped part of the core's stack slot; words may change under the read, which is volatile and
        // only compared with zero.
        unsafe { (address as *const u64).read_volatile() == 0 }
    });
    high - low - 8 * untouched.count()
}

/// Bytes of each EL1 stack.
#[must_use]
pub fn stack_bytes() -> usize {
    let (low, high) = image::stack(0);
    high - low
}

/// A core's first Rust function after its own set-up.
pub(crate) extern "C" fn secondary_main(core: usize) -> ! {
    if let Some(flag) = CHECKED_IN.get(core) {
        flag.store(true, Ordering::Release);
    }
    match SECONDARY_START.get() {
        Some(start) => start(core),
        None => crate::exceptions::stop_core(),
    }
}
