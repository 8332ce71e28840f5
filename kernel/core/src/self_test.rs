//! The self-test: gathers what can be seen of the machine, at boot for the log and whenever somebody asks.

use core::fmt::Write as _;

use barellama_arch::{cores, mmu, probe, registers, timer};
use barellama_shell::report;
use barellama_shell::self_test::traps::{Verdict, traps};
use barellama_shell::self_test::{ClockFacts, ExchangeFacts, SelfTestFacts};
use heapless::String;

use crate::coherence::{Exchange, Patience};
use crate::facts::processor_name;
use crate::interrupt;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::platform::{Clock, PhysicalRange, ReferenceClock};

/// The one exchange of messages; cores 1 to 3 look at it whenever an interrupt wakes them.
static EXCHANGE: Exchange = Exchange::new();

/// How long a core that was invited waits for core 0: longer than core 0 waits for it.
const FOLLOWER_PATIENCE_NS: u64 = 2_000_000_000;
/// Rounds of the timed additions: about a millisecond.
const ADDITION_ROUNDS: u32 = 16_384;
/// The fastest of so many is the one that nothing disturbed.
const ADDITION_ATTEMPTS: u32 = 3;
/// Readings of two clocks of which the quickest counts.
const CLOCK_READINGS: u32 = 5;
/// Both doubts together must be less than this part of what was measured.
const CLOSE_PARTS: u64 = 200;
const CARD_BYTES: usize = 160;
const SUMMARY_BYTES: usize = 192;

/// How much is done.
#[derive(Clone, Copy)]
struct Effort {
    messages: u32,
    patience_ns: u64,
    /// How long the counter is compared with the SoC's timer.
    compared_us: u64,
}

const AT_BOOT: Effort = Effort { messages: 1_000, patience_ns: 50_000_000, compared_us: 2_000 };
const ON_REQUEST: Effort = Effort { messages: 10_000, patience_ns: 1_000_000_000, compared_us: 10_000 };
/// Two threads of an emulator that share a busy processor take turns in milliseconds.
const IN_EMULATOR_AT_BOOT: Effort = Effort { messages: 4, patience_ns: 200_000_000, ..AT_BOOT };
const IN_EMULATOR: Effort = Effort { messages: 8, ..ON_REQUEST };

/// Lets this core take part if it is invited. Called by cores 1 to 3 after each interrupt.
pub fn take_part(core: usize) {
    let end_ns = timer::now_ns() + FOLLOWER_PATIENCE_NS;
    let is_over = || timer::now_ns() > end_ns;
    EXCHANGE.follow(core as u16, Patience { is_over: &is_over, pause: probe::yield_now });
}

impl Kernel {
    /// The short form, for the log; what fails is told on the console too.
    pub fn test_at_boot(&mut self) {
        let effort = if self.facts.is_emulator { IN_EMULATOR_AT_BOOT } else { AT_BOOT };
        let (facts, _) = self.gather(effort);
        let mut summary = String::<SUMMARY_BYTES>::new();
        // A summary that is too long is cut; that is all that can go wrong.
        let _ = report::self_test_summary(&facts, &mut summary);
        log::info!("{summary}");
        for trap in traps(&facts) {
            if let Verdict::Caught(what) = trap.verdict {
                self.say(format_args!("Self-test, {} ({}): {what}. /selftest tells more.", trap.title, trap.number));
            }
        }
    }

    /// The whole self-test on one screen.
    pub fn print_self_test(&mut self) {
        let (facts, card) = self.gather(self.effort_on_request());
        let facts = SelfTestFacts { card: (!card.is_empty()).then_some(card.as_str()), ..facts };
        self.print(|out| report::self_test(&facts, out));
    }

    /// What is known of each trap.
    pub fn print_traps(&mut self) {
        let (facts, card) = self.gather(self.effort_on_request());
        let facts = SelfTestFacts { card: (!card.is_empty()).then_some(card.as_str()), ..facts };
        self.print(|out| report::trap_table(&facts, out));
    }

    fn effort_on_request(&self) -> Effort {
        if self.facts.is_emulator { IN_EMULATOR } else { ON_REQUEST }
    }

    /// Everything, and the card's description apart: it is borrowed by nobody yet.
    fn gather(&self, effort: Effort) -> (SelfTestFacts<'static>, String<CARD_BYTES>) {
        let mut card = String::new();
        if let Some(info) = self.loading.card().card() {
            // A description that is too long is cut.
            let _ = write!(card, "{info}");
        }
        let facts = self.add_processor(self.add_surroundings(self.identity()), effort);
        (facts, card)
    }

    fn identity(&self) -> SelfTestFacts<'static> {
        let machine = &self.facts;
        SelfTestFacts {
            version: env!("CARGO_PKG_VERSION"),
            board: machine.name,
            is_emulator: machine.is_emulator,
            has_firmware: machine.firmware.board_revision().is_some(),
            processor: processor_name(registers::midr()),
            midr: registers::midr(),
            cores_present: machine.cores_present,
            cores_started: machine.cores,
            entry_level: machine.boot.entry_level,
            load_address: machine.boot.load_address,
            revision: machine.firmware.board_revision(),
            chip_stepping: machine.chip_stepping,
            has_watchdog: machine.has_watchdog,
            is_engine_ready: self.engine.life == Life::Ready,
            received_bytes: self.serial.received_bytes(),
            ..SelfTestFacts::default()
        }
    }

    fn add_surroundings(&self, facts: SelfTestFacts<'static>) -> SelfTestFacts<'static> {
        let firmware = self.facts.firmware;
        let clock =
            |clock| ClockFacts { set_hz: firmware.clock_hz(clock), measured_hz: firmware.measured_clock_hz(clock) };
        let card_clock = match self.loading.card().card() {
            Some(info) if info.host_name.contains("EMMC2") => clock(Clock::Emmc2),
            _ => clock(Clock::Emmc),
        };
        let claims = self.facts.memory_claims;
        SelfTestFacts {
            arm_asked_hz: self.facts.arm_asked_hz,
            arm: clock(Clock::Arm),
            core: clock(Clock::Core),
            uart: clock(Clock::Uart),
            card_clock,
            ram_bytes: self.facts.ram_bytes,
            revision_bytes: claims.revision_bytes,
            mailbox_bytes: claims.mailbox_bytes,
            video_core_bytes: claims.video_core_bytes,
            tree_bytes: claims.tree_bytes,
            is_reserved_kept: self.is_reserved_kept(),
            card_read: self.loading.last_read(),
            card_errors: self.loading.card().counters().errors,
            throttled: firmware.throttled(),
            temperature_millidegrees: firmware.temperature_millidegrees(),
            temperature_limit_millidegrees: firmware.temperature_limit_millidegrees(),
            ..facts
        }
    }

    fn add_processor(&self, facts: SelfTestFacts<'static>, effort: Effort) -> SelfTestFacts<'static> {
        let (data_line_bytes, instruction_line_bytes) = probe::cache_line_bytes();
        SelfTestFacts {
            arm_timed_hz: timed_hz(),
            counter_hz: timer::frequency_hz(),
            is_counter_told: timer::is_frequency_told(),
            counter_check: self.compare_counter(effort.compared_us),
            data_line_bytes,
            instruction_line_bytes,
            zero_block_bytes: probe::zero_block_bytes(),
            is_zero_block_exact: probe::zero_block_is_exact(),
            exchanges: core::array::from_fn(|index| self.exchange_with(index + 1, effort)),
            device_attribute: probe::memory_attribute(mmu::device_address(self.facts.console_address)),
            data_attribute: probe::kernel_data_attribute(),
            is_serror_reported: probe::is_serror_reported(),
            has_own_vectors: probe::has_own_vectors(),
            // Each part of the engine is looked at through the same window, one after the other: one that showed the part before
            // would differ from the image.
            do_mappings_follow: self.engine.memory.as_ref().map(|memory| memory.changed_part().is_none()),
            timer_interrupts: interrupt::timer_total(),
            is_timer_due: timer::now_ns() > 2 * interrupt::TICK_NS,
            ..facts
        }
    }

    fn exchange_with(&self, core: usize, effort: Effort) -> ExchangeFacts {
        if core >= self.facts.cores || !cores::has_checked_in(core) {
            return ExchangeFacts::default();
        }
        let began_ns = timer::now_ns();
        let is_over = || timer::now_ns().saturating_sub(began_ns) > effort.patience_ns;
        let patience = Patience { is_over: &is_over, pause: probe::yield_now };
        let facts = EXCHANGE.lead(core as u16, effort.messages, patience, || interrupt::wake(1 << core));
        ExchangeFacts { elapsed_ns: timer::now_ns().saturating_sub(began_ns), ..facts }
    }

    /// Ticks of the cores' counter while the SoC's timer counts so many microseconds. `None` if there is no such timer, if it stands
    /// still, or if both could not be read close enough to each other.
    fn compare_counter(&self, compared_us: u64) -> Option<(u64, u64)> {
        let clock = self.facts.reference_clock?;
        let give_up_ns = timer::now_ns() + 1000 * (compared_us + 100_000);
        let start = read_both(clock);
        let mut end = start;
        while end.us.wrapping_sub(start.us) < compared_us {
            if timer::now_ns() > give_up_ns {
                return None;
            }
            end = read_both(clock);
        }
        let ticks = end.ticks.wrapping_sub(start.ticks);
        let is_close = (start.doubt_ticks + end.doubt_ticks) * CLOSE_PARTS < ticks;
        is_close.then_some((ticks, end.us.wrapping_sub(start.us)))
    }

    /// Whether nothing that model, arena or future models use overlaps what was reserved at boot.
    fn is_reserved_kept(&self) -> bool {
        let of_model =
            self.engine.model.iter().flat_map(|model| model.memory().model.iter().chain(&model.memory().arena));
        let mut used = of_model.chain(self.loading.free_extents());
        let overlaps = |a: &PhysicalRange, b: &PhysicalRange| a.start < b.end() && b.start < a.end();
        !used.any(|range| self.facts.reserved.iter().any(|kept| kept.bytes != 0 && overlaps(range, kept)))
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Moment {
    us: u64,
    ticks: u64,
    /// How long the reading took: something else may have run in between.
    doubt_ticks: u64,
}

/// Reads both clocks, the other one between two looks at the counter; the quickest of several readings counts.
fn read_both(clock: &dyn ReferenceClock) -> Moment {
    let readings = (0..CLOCK_READINGS).map(|_| {
        let before = timer::ticks();
        let us = clock.now_us();
        let doubt_ticks = timer::ticks().wrapping_sub(before);
        Moment { us, ticks: before + doubt_ticks / 2, doubt_ticks }
    });
    readings.min_by_key(|moment| moment.doubt_ticks).unwrap_or(Moment { us: 0, ticks: 0, doubt_ticks: u64::MAX })
}

/// The cores' rate by additions of which each takes a cycle.
fn timed_hz() -> Option<u64> {
    let attempts = (0..ADDITION_ATTEMPTS).map(|_| {
        let began_ns = timer::now_ns();
        probe::add_in_a_chain(ADDITION_ROUNDS);
        timer::now_ns().saturating_sub(began_ns)
    });
    let shortest_ns = attempts.min().filter(|ns| *ns != 0)?;
    Some(u64::from(ADDITION_ROUNDS) * probe::CHAIN_ADDITIONS * 1_000_000_000 / shortest_ns)
}
