//! What all cores share while the engine runs.
//!
//! Core 0 starts and stops the engine; cores 1 to 3 follow. A core that faults asks for the stop itself.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use barellama_abi::fault::{FaultKind, FaultReport};
use barellama_abi::layout::{CORES_MAX, Region};
use barellama_arch::syndrome::{self, Syndrome};
use barellama_arch::user::UserContext;
use spin::Mutex;

use super::starts::{Start, Starts};
use super::stop::Stop;
use super::wake_flags::WakeFlags;
use crate::interrupt;
use crate::requests::{Due, Overdue};

/// The one team.
pub static TEAM: Team = Team::new();

/// How long after a deadline the timers wait for core 0, whose loop looks more often and knows of the latest progress: two ticks.
const GRACE_NS: u64 = 2 * interrupt::TICK_NS;

/// A fault with the registers of the core that met it.
#[derive(Clone, Debug)]
pub struct CapturedFault {
    /// What happened.
    pub report: FaultReport,
    /// The registers of that core when it left EL0.
    pub context: UserContext,
    /// The core whose timer noticed a deadline; `None` if it was the kernel's loop.
    pub noticed_by: Option<usize>,
}

/// Shared state of the cores.
pub struct Team {
    /// A core takes part in each start once, if at all.
    starts: Starts,
    stop: Stop<CapturedFault, Due>,
    entry: AtomicU64,
    is_idle: [AtomicBool; CORES_MAX],
    wake_flags: WakeFlags<CORES_MAX>,
    /// Where each core was when it last left EL0 by an interrupt: what a late step is reported with.
    last_pc: [AtomicU64; CORES_MAX],
    is_parked: [AtomicBool; CORES_MAX],
    /// The registers of cores 1 to 3 when they left the engine because of the stop.
    left: [Mutex<Option<UserContext>>; CORES_MAX],
}

impl Team {
    const fn new() -> Self {
        Self {
            starts: Starts::new(AtomicU32::new(0)),
            stop: Stop::new(AtomicBool::new(false), Mutex::new(None), Mutex::new(None)),
            entry: AtomicU64::new(0),
            is_idle: [const { AtomicBool::new(true) }; CORES_MAX],
            wake_flags: WakeFlags::new([const { AtomicBool::new(false) }; CORES_MAX]),
            last_pc: [const { AtomicU64::new(0) }; CORES_MAX],
            is_parked: [const { AtomicBool::new(false) }; CORES_MAX],
            left: [const { Mutex::new(None) }; CORES_MAX],
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
        let cores = cores.min(CORES_MAX);
        for core in 1..cores {
            self.is_idle[core].store(false, Ordering::Relaxed);
        }
        self.entry.store(entry, Ordering::Relaxed);
        self.stop.end();
        // At most `CORES_MAX`.
        self.starts.announce(cores as u8);
        interrupt::wake(interrupt::others(0));
    }

    /// Asks all cores to leave the engine.
    pub fn stop(&self, core: usize) {
        self.stop.ask();
        interrupt::wake(interrupt::others(core));
    }

    /// Whether the cores have to leave the engine.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_asked()
    }

    /// Ends a stop that no start follows: all cores are idle and stay so. A fault on the way out does not matter any more.
    pub fn settle(&self) {
        self.stop.end();
    }

    /// Whether cores 1 to 3 are all out of the engine.
    pub fn are_workers_idle(&self) -> bool {
        self.is_idle[1..].iter().all(|is_idle| is_idle.load(Ordering::Acquire))
    }

    /// The latest start.
    pub fn latest_start(&self) -> Start {
        self.starts.latest()
    }

    /// First instruction of the engine.
    pub fn entry(&self) -> u64 {
        self.entry.load(Ordering::Relaxed)
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
        let targets = core_mask & interrupt::others(from);
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
        self.stop.expect_by(due);
    }

    /// Stops the engine if the next deadline passed and core 0 did not see to it. Called by the timer of every core, interrupts masked.
    pub fn check_due(&self, core: usize, now_ns: u64) {
        let has_passed = |due: &Due| now_ns > due.at_ns.saturating_add(GRACE_NS);
        if self.stop.raise_if_due(has_passed, |due| self.late(due, Some(core))) {
            interrupt::wake(interrupt::others(core));
        }
    }

    /// Notes that the kernel's loop found a missed deadline and asks for the stop.
    pub fn raise_late(&self, due: Due) {
        self.stop.raise(self.late(due, None));
        interrupt::wake(interrupt::others(0));
    }

    /// The fault of a missed deadline. The culprit's registers are known when it left the engine.
    fn late(&self, due: Due, noticed_by: Option<usize>) -> CapturedFault {
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
        CapturedFault { report, context: UserContext::default(), noticed_by }
    }

    /// The core that the others wait for: the first one that does not sleep in a call. Core 0 if none stands out.
    fn late_core(&self) -> usize {
        (0..self.latest_start().cores()).find(|core| !self.is_parked(*core)).unwrap_or(0)
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
        self.stop.take_fault()
    }

    fn raise_report(&self, from: usize, report: FaultReport, context: &UserContext) {
        self.stop.raise(CapturedFault { report, context: context.clone(), noticed_by: None });
        interrupt::wake(interrupt::others(from));
    }
}
