//! The engine's life: started with a model, stopped by a fault or a deadline, restarted with the model still in memory.

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{ARRIVED_ALL, Region};
use barellama_abi::outcome::{Outcome, StopReason};
use barellama_arch::{mmu, registers, timer};
use barellama_shell::report::{self, Consequence, FaultFacts, Registers};
use heapless::Deque;

use crate::call_budget;
use crate::engine::main_thread::MainThread;
use crate::engine::memory::{EngineMemory, ModelMapping};
use crate::engine::team::{CapturedFault, TEAM};
use crate::engine::{backtrace, calls};
use crate::integrity::Sums;
use crate::interrupt;
use crate::kernel_loop::Kernel;
use crate::led::Signal;
use crate::loading::LoadRefusal;
use crate::payload;
use crate::requests::{Due, Overdue};

/// How far the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// There is no model in memory.
    NoModel,
    /// The engine reads and prepares the model.
    Preparing,
    /// It takes requests.
    Ready,
    /// It refused the model and said why.
    Refused,
    /// It faulted too often, or faulted while preparing.
    Down,
}

impl Life {
    /// For the status table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoModel => "no model",
            Self::Preparing => "preparing the model",
            Self::Ready => "ready",
            Self::Refused => "model refused",
            Self::Down => "down: /restart starts it again",
        }
    }
}

/// So many faults within [`FAULT_WINDOW_NS`] leave the engine down.
const FAULTS_MAX: usize = 8;
const FAULT_WINDOW_NS: u64 = 10_000_000_000;
/// Shortest step budget that is set automatically.
const STEP_BUDGET_MIN_NS: u64 = 2_000_000_000;
/// Step budget before any step was measured, and shortest one in an emulator.
const STEP_BUDGET_UNMEASURED_NS: u64 = 120_000_000_000;

/// The engine and what the kernel knows about it.
pub struct Lifecycle {
    /// Its own memory; `None` if the image holds no engine.
    pub memory: Option<EngineMemory>,
    /// The model that is mapped for it.
    pub model: Option<ModelMapping>,
    /// Core 0 in it.
    pub main: MainThread,
    /// How far it is.
    pub life: Life,
    /// Cores it runs on.
    pub cores: usize,
    /// Requests that it takes at once.
    pub sessions: usize,
    /// Faults since the start of the kernel.
    pub faults: u64,
    /// Restarts since the start of the kernel.
    pub restarts: u64,
    /// Tokens generated since the start of the kernel.
    pub generated_tokens: u64,
    /// Requests ended since the start of the kernel.
    pub requests_ended: u64,
    /// The last faults.
    pub fault_log: FaultLog,
    /// The last outcome.
    pub last_outcome: Outcome,
    /// What the kernel's memory was like when the model was mapped or sealed.
    pub sums: Option<Sums>,
    recent_faults_ns: Deque<u64, FAULTS_MAX>,
    longest_step_ns: u64,
    prepare_progress_ns: u64,
    is_emulator: bool,
}

impl Lifecycle {
    /// An engine without a model.
    #[must_use]
    pub fn new(memory: Option<EngineMemory>, cores: usize, is_emulator: bool) -> Self {
        Self {
            memory,
            model: None,
            main: MainThread::stopped(),
            life: Life::NoModel,
            cores,
            sessions: 1,
            faults: 0,
            restarts: 0,
            generated_tokens: 0,
            requests_ended: 0,
            fault_log: FaultLog::default(),
            last_outcome: Outcome::default(),
            sums: None,
            recent_faults_ns: Deque::new(),
            longest_step_ns: 0,
            prepare_progress_ns: 0,
            is_emulator,
        }
    }

    /// Forgets what was known of a model that is gone.
    pub fn forget_model(&mut self) {
        self.life = Life::NoModel;
        self.last_outcome = Outcome::default();
        self.sums = None;
        self.longest_step_ns = 0;
    }

    /// Notes a step of the engine, for the budget and against the deadline.
    pub fn note_step(&mut self, since_ns: u64, now_ns: u64) {
        self.longest_step_ns = self.longest_step_ns.max(now_ns.saturating_sub(since_ns));
    }

    /// Notes progress while preparing.
    pub fn note_prepare_progress(&mut self, now_ns: u64) {
        self.prepare_progress_ns = now_ns;
    }

    /// How long a step may take: as set, or ten times the longest one that was measured.
    #[must_use]
    pub fn step_budget_ns(&self, set_ms: u32) -> u64 {
        if set_ms != 0 {
            return u64::from(set_ms) * 1_000_000;
        }
        let is_measured = self.longest_step_ns != 0 && !self.is_emulator;
        let shortest_ns = if is_measured { STEP_BUDGET_MIN_NS } else { STEP_BUDGET_UNMEASURED_NS };
        shortest_ns.max(self.longest_step_ns.saturating_mul(10))
    }

    /// Notes a fault; whether there were too many of late.
    fn note_fault(&mut self, now_ns: u64) -> bool {
        self.faults += 1;
        if self.recent_faults_ns.is_full() {
            self.recent_faults_ns.pop_front();
        }
        // Cannot fail: there is room now.
        let _ = self.recent_faults_ns.push_back(now_ns);
        let oldest_ns = self.recent_faults_ns.front().copied().unwrap_or(0);
        self.recent_faults_ns.is_full() && now_ns.saturating_sub(oldest_ns) < FAULT_WINDOW_NS
    }
}

fn registers_of(fault: &CapturedFault) -> Registers {
    Registers { general: fault.context.x, sp_el0: fault.context.sp, spsr_el1: fault.context.flags }
}

/// The last faults, for those who come later.
#[derive(Default)]
pub struct FaultLog {
    faults: Deque<(CapturedFault, Consequence), FAULTS_MAX>,
}

impl FaultLog {
    fn push(&mut self, fault: CapturedFault, consequence: Consequence) {
        if self.faults.is_full() {
            self.faults.pop_front();
        }
        // Cannot fail: there is room now.
        let _ = self.faults.push_back((fault, consequence));
    }

    /// Writes the reports, oldest first.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        if self.faults.is_empty() {
            return out.write_str("no faults\n");
        }
        self.faults.iter().try_for_each(|(fault, consequence)| {
            let registers = registers_of(fault);
            let facts = FaultFacts { report: &fault.report, registers: Some(&registers), consequence: *consequence };
            report::fault(&facts, out)
        })
    }
}

impl Kernel {
    /// Starts the engine with the model that is mapped.
    pub fn start_engine(&mut self) {
        let (Some(memory), Some(model)) = (&self.engine.memory, &self.engine.model) else { return };
        let settings = &self.console.settings;
        let info = BootInfo {
            model_file_bytes: model.file_bytes(),
            model_region_bytes: model.memory().model_bytes(),
            arena_bytes: model.memory().arena_bytes(),
            cores: self.engine.cores as u32,
            model_is_sealed: model.is_sealed(),
            context_tokens: settings.context,
            sessions: settings.sessions.max(1),
            kv_format: settings.kv_cache,
            id_aa64isar0_el1: registers::id_aa64isar0(),
            midr_el1: registers::midr(),
        };
        if let Err(error) = memory.restore(&info) {
            self.engine.life = Life::Down;
            self.say(format_args!("The engine's memory could not be restored: {error}"));
            return;
        }
        memory.write_arrived(if self.loading.is_arriving() { 0 } else { ARRIVED_ALL });
        if !model.is_sealed() {
            self.engine.sums = Some(Sums::take(Some(model)));
        }
        calls::BUDGET.set(call_budget::PREPARATION_UNITS);
        self.engine.sessions = info.sessions as usize;
        self.engine.life = Life::Preparing;
        self.loading.note_problem("");
        self.engine.prepare_progress_ns = timer::now_ns();
        TEAM.start(memory.entry(), self.engine.cores);
        self.engine.main.start();
    }

    /// Carries on when the engine was asked to stop: once all cores are out of it, reports and restarts. Returns whether there was
    /// something to do.
    pub fn follow_engine(&mut self) -> bool {
        // A change of the model waits for the cores itself, and what it is for must not be lost to a fault on the way out.
        if !TEAM.is_stopping() || self.loading.is_stopping() {
            return false;
        }
        self.engine.main.stop();
        if !TEAM.are_workers_idle() {
            return false;
        }
        let Some(mut fault) = TEAM.take_fault() else { return false };
        if fault.report.kind.is_deadline() {
            // What the late core was at is known now that it left.
            let left = TEAM.left_context(fault.report.core as usize);
            fault.context = left.unwrap_or_else(|| self.engine.main.context().clone());
            fault.report.elr_el1 = fault.context.pc;
            fault.report.region = Region::of(fault.context.pc);
        }
        if fault.report.request_id == 0 {
            // Cores 1 to 3 do not know the requests: the table is core 0's.
            fault.report.request_id = self.request_in_flight();
        }
        let consequence = self.judge_fault();
        self.report_fault(&fault, consequence);
        self.expect_integrity();
        self.end_all_requests();
        match consequence {
            Consequence::Restart => self.restart(),
            Consequence::ReadModelAgain => {
                self.discard_model();
                self.load_after_fault();
            }
            Consequence::RebootNeeded => self.discard_model(),
            // What was arriving is given up: half a file is of no use for a restart.
            Consequence::StayStopped if self.loading.is_arriving() => self.discard_model(),
            Consequence::StayStopped => self.engine.life = Life::Down,
        }
        true
    }

    /// Starts the engine again because the user asked for it.
    pub fn restart_by_hand(&mut self) {
        self.engine.recent_faults_ns.clear();
        if self.loading.has_asker() {
            return self.say(format_args!("Not restarted: {}.", LoadRefusal::Busy));
        }
        let is_sealed = self.engine.model.as_ref().map(ModelMapping::is_sealed);
        match (is_sealed, self.engine.life) {
            (None, _) => self.begin_loading(),
            (Some(true), Life::Down) => self.restart(),
            // An engine that refused the model still runs, to say so.
            (Some(true), Life::Refused) => self.stop_and_restart(),
            // Its rows may be interleaved, some or all of them: nobody could tell.
            (Some(false), Life::Down | Life::Refused) if self.loading.came_from_card() => self.read_again(),
            (Some(false), Life::Down | Life::Refused) => self.say(format_args!(
                "The model was rewritten in memory while it was prepared, and cannot be read again: reboot."
            )),
            (Some(_), _) => self.say(format_args!("The engine runs.")),
        }
    }

    /// Stops the engine for what is overdue.
    pub fn check_deadlines(&mut self, now_ns: u64) {
        if TEAM.is_stopping() {
            return;
        }
        let expired = self.requests.expire(now_ns);
        self.write_controls(expired);
        if let Some(due) = self.expect_next_due().filter(|due| now_ns > due.at_ns) {
            TEAM.raise_late(due);
        }
    }

    /// Tells the timers of all cores which deadline comes next; returns it.
    pub fn expect_next_due(&self) -> Option<Due> {
        let budget_ns = self.engine.step_budget_ns(self.console.settings.step_deadline_ms);
        let due = if self.engine.life == Life::Preparing {
            let since_ns = self.engine.prepare_progress_ns;
            let at_ns = since_ns.saturating_add(budget_ns.max(STEP_BUDGET_UNMEASURED_NS));
            Some(Due { at_ns, id: 0, why: Overdue::Step })
        } else {
            self.requests.next_due(budget_ns)
        };
        TEAM.expect_by(due);
        due
    }

    /// Writes the control words of the slots that were asked to stop.
    pub fn write_controls(&self, asked: [bool; barellama_abi::layout::REQUEST_SLOTS]) {
        let Some(memory) = &self.engine.memory else { return };
        for (slot, entry) in self.requests.entries() {
            if asked[slot] {
                memory.write_control(slot, entry.control);
            }
        }
    }

    /// What the LED shows.
    #[must_use]
    pub fn light_signal(&self) -> Signal {
        match self.engine.life {
            Life::NoModel if self.loading.is_busy() => Signal::Loading,
            Life::NoModel => Signal::NoModel,
            Life::Preparing => Signal::Loading,
            Life::Ready => Signal::Ready,
            Life::Refused => Signal::Refused,
            Life::Down => Signal::Down,
        }
    }

    fn report_fault(&mut self, fault: &CapturedFault, consequence: Consequence) {
        let report = &fault.report;
        log::error!(
            "engine fault: {} on core {} at {:#x}, address {:#x} ({}), request {}",
            report.kind.name(),
            report.core,
            report.elr_el1,
            report.far_el1,
            report.region.name(),
            report.request_id
        );
        let registers = registers_of(fault);
        let facts = FaultFacts { report, registers: Some(&registers), consequence };
        self.print(|out| report::fault(&facts, out));
        self.print_whereabouts(fault);
        self.engine.fault_log.push(fault.clone(), consequence);
    }

    /// Where the engine was: each core after a missed deadline, and the calls that led there.
    fn print_whereabouts(&mut self, fault: &CapturedFault) {
        let cores = if fault.report.kind.is_deadline() { self.engine.cores } else { 0 };
        let main_pc = self.engine.main.context().pc;
        let symbols = mmu::payload().and_then(payload::symbols);
        self.print(|out| {
            if let Some(core) = fault.noticed_by {
                write!(out, "    noticed by the timer of core {core}\r\n")?;
            }
            for core in 0..cores {
                let pc = TEAM.left_context(core).map_or(main_pc, |context| context.pc);
                let state = if TEAM.is_parked(core) { "parked" } else { "running" };
                write!(out, "    core {core} {state} at {pc:#x}\r\n")?;
            }
            backtrace::write(fault.report.core as usize, &fault.context, symbols.as_ref(), out)
        });
    }

    /// The part of the kernel's memory that is not what it was; `None` if all is well or nothing is known yet.
    #[must_use]
    pub fn changed_part(&self) -> Option<&'static str> {
        self.engine.sums.as_ref()?.first_difference(&Sums::take(self.engine.model.as_ref()))
    }

    /// Goes on after a fault only if the kernel is what it was: nothing that it says could be trusted otherwise.
    fn expect_integrity(&mut self) {
        match self.changed_part() {
            None => self.print(|out| out.write_str("    The kernel's memory is unchanged.\r\n")),
            Some(part) => panic!("the kernel's {part} changed while the engine ran"),
        }
    }

    fn end_all_requests(&mut self) {
        while let Some(entry) = self.requests.take_any() {
            let outcome = Outcome { stop_reason: StopReason::Fault, ..Outcome::default() };
            self.end_request(&entry, &outcome);
        }
    }

    /// Counts the fault and decides what follows from it.
    fn judge_fault(&mut self) -> Consequence {
        let is_too_often = self.engine.note_fault(timer::now_ns());
        let is_sealed = self.engine.model.as_ref().is_some_and(ModelMapping::is_sealed);
        match (is_too_often, is_sealed, self.loading.came_from_card()) {
            (true, _, _) => Consequence::StayStopped,
            (false, true, _) => Consequence::Restart,
            (false, false, true) => Consequence::ReadModelAgain,
            (false, false, false) => Consequence::RebootNeeded,
        }
    }

    /// Starts the engine again with the model that is in memory. All cores are out of it.
    pub fn restart(&mut self) {
        self.engine.restarts += 1;
        let began_ns = timer::now_ns();
        self.start_engine();
        let took_us = (timer::now_ns() - began_ns) / 1000;
        log::info!("engine restarted in {took_us} us, unexpected interrupts {}", interrupt::unexpected_total());
    }

    /// A fault while the model was being prepared leaves it half rewritten: it is good for nothing.
    fn discard_model(&mut self) {
        self.loading.end_arrival();
        if let Some(model) = self.engine.model.take() {
            model.unmap();
        }
        self.engine.forget_model();
        self.verification.forget();
        self.engine.life = Life::Down;
    }

    /// Prints a sentence and keeps it in the log.
    pub fn say(&mut self, sentence: core::fmt::Arguments<'_>) {
        log::info!("{sentence}");
        self.print(|out| {
            out.write_fmt(sentence)?;
            out.write_str("\r\n")
        });
    }
}
