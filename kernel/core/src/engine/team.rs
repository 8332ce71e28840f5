//! What all cores share while the engine runs.
//!
//! Core 0 starts and stops the engine; cores 1 to 3 follow. A core that faults asks for the stop itself.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use barellama_abi::fault::{FaultKind, FaultReport};
use barellama_abi::layout::{CORES_MAX, Region};
use barellama_arch::interrupts;
use barellama_arch::syndrome::{self, Syndrome};
use barellama_arch::user::UserContext;
use spin::Mutex;

use super::wake_flags::WakeFlags;
use crate::interrupt;
use crate::requests::{Due, Overdue};

/// The one team.
pub static TEAM: Team = Team::new();

/// How long after a deadline the timers wait for core 0, whose loop looks more often and knows of the latest progress: two ticks.
const GRACE_NS: u64 = 2 * interrupt::TICK_NS;
/// No core's timer noticed a deadline: the kernel's loop did.
const NOBODY: usize = usize::MAX;

/// A fault with the registers of the core that met it.
#[derive(Clone, Debug)]
pub struct CapturedFault {
    /// What happened.
    pub report: FaultReport,
    /// The registers of that core when it left EL0.
    pub context: UserContext,
}

/// Shared state of the cores.
pub struct Team {
    /// Counts starts; a core takes part in each start once.
    generation: AtomicU32,
    is_stopping: AtomicBool,
    entry: AtomicU64,
    cores: AtomicU32,
    is_idle: [AtomicBool; CORES_MAX],
    wake_flags: WakeFlags<CORES_MAX>,
    /// Where each core was when it last left EL0 by an interrupt: what a late step is reported with.
    last_pc: [AtomicU64; CORES_MAX],
    is_parked: [AtomicBool; CORES_MAX],
    /// The registers of cores 1 to 3 when they left the engine because of the stop.
    left: [Mutex<Option<UserContext>>; CORES_MAX],
    fault: Mutex<Option<CapturedFault>>,
    /// The deadline that comes next, for the timers of all cores.
    due: Mutex<Option<Due>>,
    /// The core whose timer noticed that it had passed.
    noticed_by: AtomicUsize,
}

impl Team {
    const fn new() -> Self {
        Self {
            generation: AtomicU32::new(0),
            is_stopping: AtomicBool::new(false),
            entry: AtomicU64::new(0),
            cores: AtomicU32::new(1),
            is_idle: [const { AtomicBool::new(true) }; CORES_MAX],
            wake_flags: WakeFlags::new([const { AtomicBool::new(false) }; CORES_MAX]),
            last_pc: [const { AtomicU64::new(0) }; CORES_MAX],
            is_parked: [const { AtomicBool::new(false) }; CORES_MAX],
            left: [const { Mutex::new(None) }; CORES_MAX],
            fault: Mutex::new(None),
            due: Mutex::new(None),
            noticed_by: AtomicUsize::new(NOBODY),
        }
    }

    /// Starts the engine on cores 1 to `cores - 1`; core 0 enters by itself. All cores must be idle.
    pub fn start(&self, entry: u64, cores: usize) {
        self.wake_flags.clear();
        for core in 0..CORES_MAX {
            self.last_pc[core].store(0, Ordering::Relaxed);
            self.is_parked[core].store(false, Ordering::Relaxed);
            *self.left[core].lock() = None;
        }
        for core in 1..cores.min(CORES_MAX) {
            self.is_idle[core].store(false, Ordering::Relaxed);
        }
        self.with(&self.fault, |fault| *fault = None);
        self.expect_by(None);
        self.noticed_by.store(NOBODY, Ordering::Relaxed);
        self.entry.store(entry, Ordering::Relaxed);
        self.cores.store(u32::try_from(cores).unwrap_or(1), Ordering::Relaxed);
        self.is_stopping.store(false, Ordering::Relaxed);
        // Release: whoever sees the new generation sees the entry and the memory that was prepared.
        self.generation.fetch_add(1, Ordering::Release);
        interrupt::wake(others(0));
    }

    /// Asks all cores to leave the engine.
    pub fn stop(&self, core: usize) {
        self.is_stopping.store(true, Ordering::Release);
        interrupt::wake(others(core));
    }

    /// Whether the cores have to leave the engine.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends a stop that no start follows: all cores are idle and stay so.
    pub fn settle(&self) {
        self.expect_by(None);
        self.is_stopping.store(false, Ordering::Release);
    }

    /// Whether cores 1 to 3 are all out of the engine.
    pub fn are_workers_idle(&self) -> bool {
        self.is_idle[1..].iter().all(|is_idle| is_idle.load(Ordering::Acquire))
    }

    /// The number of the latest start.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// First instruction of the engine.
    pub fn entry(&self) -> u64 {
        self.entry.load(Ordering::Relaxed)
    }

    /// Whether a core takes part in the latest start.
    pub fn takes_part(&self, core: usize) -> bool {
        core < self.cores.load(Ordering::Relaxed) as usize
    }

    /// Says that a worker is out of the engine.
    pub fn note_idle(&self, core: usize) {
        self.is_idle[core].store(true, Ordering::Release);
        interrupt::wake(1);
    }

    /// Notes where a core was when it left EL0.
    pub fn note_pc(&self, core: usize, pc: u64) {
        self.last_pc[core].store(pc, Ordering::Relaxed);
    }

    /// Where a core last was in EL0.
    pub fn last_pc(&self, core: usize) -> u64 {
        self.last_pc[core].load(Ordering::Relaxed)
    }

    /// Notes that a core waits in a call, or does not any more.
    pub fn note_parked(&self, core: usize, is_parked: bool) {
        self.is_parked[core].store(is_parked, Ordering::Relaxed);
    }

    /// Whether a core waits in a call.
    pub fn is_parked(&self, core: usize) -> bool {
        self.is_parked[core].load(Ordering::Relaxed)
    }

    /// Keeps the registers with which a worker left the engine.
    pub fn note_left(&self, core: usize, context: &UserContext) {
        *self.left[core].lock() = Some(context.clone());
    }

    /// The registers with which a worker left the engine.
    pub fn left_context(&self, core: usize) -> Option<UserContext> {
        self.left[core].lock().clone()
    }

    /// Wakes parked cores. The flag is set before the interrupt is sent, so that a core that is just going to sleep sees one or
    /// the other.
    pub fn wake(&self, core_mask: u32, from: usize) {
        self.wake_flags.set(core_mask);
        let targets = core_mask & others(from);
        if targets != 0 {
            interrupt::wake(targets);
        }
    }

    /// Takes the wake-up of a core, if there is one.
    pub fn take_wake(&self, core: usize) -> bool {
        self.wake_flags.take(core)
    }

    /// Notes a fault that the processor raised and asks for the stop. The first one counts.
    pub fn raise(&self, core: usize, syndrome: &Syndrome, context: &UserContext, request_id: u32) {
        let classified = syndrome::classify(syndrome);
        let report = FaultReport {
            kind: classified.kind,
            core: core as u32,
            esr_el1: syndrome.esr,
            far_el1: classified.far.unwrap_or(0),
            elr_el1: syndrome.elr,
            region: Region::of(classified.address),
            request_id,
        };
        self.raise_report(core, report, context);
    }

    /// Tells the timers of all cores which deadline comes next, if any.
    pub fn expect_by(&self, due: Option<Due>) {
        self.with(&self.due, |place| *place = due);
    }

    /// Stops the engine if the next deadline passed and core 0 did not see to it. Called by the timer of every core, interrupts masked.
    pub fn check_due(&self, core: usize, now_ns: u64) {
        // Taken: core 0 is just seeing to it.
        let due = self.due.try_lock().and_then(|due| *due);
        let Some(due) = due.filter(|due| now_ns > due.at_ns.saturating_add(GRACE_NS)) else { return };
        if !self.is_stopping() {
            self.noticed_by.store(core, Ordering::Relaxed);
            self.raise_late(core, due);
        }
    }

    /// The core whose timer noticed the last deadline; `None` if it was the kernel's loop.
    pub fn noticed_by(&self) -> Option<usize> {
        Some(self.noticed_by.load(Ordering::Relaxed)).filter(|core| *core != NOBODY)
    }

    /// Notes that a deadline was missed and asks for the stop. The culprit's registers are known when it left the engine.
    pub fn raise_late(&self, from: usize, due: Due) {
        let culprit = self.late_core();
        let elr_el1 = self.last_pc(culprit);
        let report = FaultReport {
            kind: match due.why {
                Overdue::Step => FaultKind::StepDeadline,
                Overdue::Request => FaultKind::RequestDeadline,
            },
            core: culprit as u32,
            esr_el1: 0,
            far_el1: 0,
            elr_el1,
            region: Region::of(elr_el1),
            request_id: due.id,
        };
        self.raise_report(from, report, &UserContext::default());
    }

    /// The core that the others wait for: the first one that does not sleep in a call. Core 0 if none stands out.
    fn late_core(&self) -> usize {
        let cores = self.cores.load(Ordering::Relaxed) as usize;
        (0..cores).find(|core| !self.is_parked(*core)).unwrap_or(0)
    }

    /// Notes a call that is a fault and asks for the stop. The first one counts.
    pub fn raise_kind(&self, core: usize, kind: FaultKind, context: &UserContext, request_id: u32) {
        let report = FaultReport {
            kind,
            core: core as u32,
            esr_el1: 0,
            far_el1: 0,
            elr_el1: context.pc,
            region: Region::of(context.pc),
            request_id,
        };
        self.raise_report(core, report, context);
    }

    /// The fault for which the engine was stopped.
    pub fn take_fault(&self) -> Option<CapturedFault> {
        self.with(&self.fault, Option::take)
    }

    fn raise_report(&self, from: usize, report: FaultReport, context: &UserContext) {
        self.with(&self.fault, |first| {
            first.get_or_insert_with(|| CapturedFault { report, context: context.clone() });
        });
        self.stop(from);
    }

    /// Masked, so that this core's timer does not find the lock taken.
    fn with<T, R>(&self, place: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
        let _masked = interrupts::mask();
        work(&mut place.lock())
    }
}

/// The mask of all cores but one.
fn others(core: usize) -> u32 {
    ((1 << CORES_MAX) - 1) & !(1 << core)
}
