//! The traps: what works in an emulator and fails on hardware. Each has a number, by which the project's hardware notes call it.

use super::{DEVICE_NGNRE, NORMAL_WRITE_BACK, SelfTestFacts};

/// What is known of a trap on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was looked at just now, and is not there; how it was seen.
    Avoided(&'static str),
    /// It is there; what was seen.
    Caught(&'static str),
    /// It cannot be looked at here, and why.
    NotHere(&'static str),
}

/// A trap and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Its number, from 1.
    pub number: u32,
    /// What it is.
    pub title: &'static str,
    /// What is known.
    pub verdict: Verdict,
}

/// How many there are.
pub const COUNT: usize = 40;

use Verdict::{Avoided, Caught, NotHere};

const NO_CACHES: &str = "an emulator has no caches";
const NO_CLOCKS: &str = "an emulator has no clocks";
const NO_PINS: &str = "an emulator has no pins";
const NO_FIRMWARE: &str = "there is no firmware to ask";
const OTHER_BOARD: &str = "this is no Raspberry Pi 5";
const IN_DRIVER: &str = "kept by the driver, asserted by its host test";

const TITLES: [&str; COUNT] = [
    "other cores released before their data is in memory",
    "atomics on memory that is not cached",
    "unaligned accesses or dc zva without the MMU",
    "vector registers used before they are enabled",
    "no vectors in the first instructions",
    "linked for another address than loaded to",
    "32-bit kernel looked for (arm_64bit)",
    "kernel_2712.img shadows kernel8.img",
    "cores started the wrong way (spin table, PSCI)",
    "number of the core read from the wrong field",
    "memory used in the start code's pages",
    "device tree or placed file overwritten",
    "size of RAM assumed",
    "UART divisor assumed",
    "UART wired to Bluetooth",
    "mini UART, whose rate follows another clock",
    "UART programmed while it sends",
    "header UART of RP1 without its link",
    "mailbox buffer in a cache",
    "mailbox: unknown tags taken for answers",
    "cores left at their lowest rate",
    "rate drops under load unseen",
    "counter frequency assumed",
    "SD registers written too fast or by halves",
    "SD base clock assumed",
    "slot left with the other controller",
    "DMA seen as coherent",
    "writes to devices not ordered",
    "device registers mapped as memory",
    "stale translations or instructions",
    "interrupts enabled on one core only",
    "interrupts lose vector registers",
    "floating pin of the receiver",
    "power manager written without its password",
    "DRAM banks not interleaved",
    "errata of the core not handled",
    "flags that overtake their data",
    "wait for an event that never comes",
    "start*_cd.elf missing with gpu_mem=16",
    "power-off asked of the wrong one",
];

/// Goes through the list.
#[must_use]
pub fn traps(facts: &SelfTestFacts<'_>) -> [Trap; COUNT] {
    core::array::from_fn(|index| Trap {
        number: index as u32 + 1,
        title: TITLES[index],
        verdict: verdict(index as u32 + 1, facts),
    })
}

/// A verdict where only a board can show it.
fn on_board(facts: &SelfTestFacts<'_>, why_not: &'static str, verdict: impl FnOnce() -> Verdict) -> Verdict {
    if facts.is_emulator { NotHere(why_not) } else { verdict() }
}

const fn decide(is_good: bool, good: &'static str, bad: &'static str) -> Verdict {
    if is_good { Avoided(good) } else { Caught(bad) }
}

fn verdict(number: u32, facts: &SelfTestFacts<'_>) -> Verdict {
    match number {
        1..=12 => start(number, facts),
        13..=20 => surroundings(number, facts),
        21..=27 => clocks_and_card(number, facts),
        _ => architecture(number, facts),
    }
}

fn start(number: u32, facts: &SelfTestFacts<'_>) -> Verdict {
    let all_cores = facts.cores_started == facts.cores_present;
    match number {
        1 => on_board(facts, NO_CACHES, || decide(all_cores, "all cores run", "not all cores run")),
        2 => on_board(facts, NO_CACHES, || decide(facts.is_coherent(), "cores counted together", "counts were lost")),
        3 => on_board(facts, NO_CACHES, || Avoided("the start code came this far")),
        4 if facts.is_engine_ready => Avoided("the engine has computed with vectors"),
        4 => NotHere("no model is ready"),
        5 => decide(facts.has_own_vectors, "VBAR_EL1 lies in the kernel's code", "VBAR_EL1 is not the kernel's"),
        6 => Avoided("the image measured where it lies"),
        7 => Avoided("this is 64-bit code"),
        8 => NotHere(OTHER_BOARD),
        9 => decide(all_cores, "all cores run", "not all cores run"),
        10 => decide(
            facts.partners().all(|partner| partner.has_answered),
            "each core answered to its number",
            "a core did not answer to its number",
        ),
        _ => decide(facts.is_reserved_kept, "nothing in use overlaps them", "memory in use overlaps them"),
    }
}

fn surroundings(number: u32, facts: &SelfTestFacts<'_>) -> Verdict {
    match number {
        13 => match facts.do_memory_sources_agree() {
            Some(is_agreed) => decide(is_agreed, "the sources agree", "the sources disagree"),
            None => NotHere("there is one source only"),
        },
        14 if facts.uart.set_hz.is_some() => Avoided("the firmware told the UART's clock"),
        14 => NotHere(NO_FIRMWARE),
        15 => on_board(facts, NO_PINS, || match facts.received_bytes {
            0 => NotHere("nothing has come over the header's pins yet"),
            _ => Avoided("bytes came over the header's pins"),
        }),
        16 => Avoided("the console is a PL011"),
        17 => NotHere(IN_DRIVER),
        18 => NotHere(OTHER_BOARD),
        19 => on_board(facts, NO_CACHES, || {
            decide(facts.revision.is_some(), "the firmware answers", "the firmware does not answer")
        }),
        _ if !facts.has_firmware => NotHere(NO_FIRMWARE),
        _ if facts.is_emulator => decide(
            facts.arm.measured_hz.is_none(),
            "a tag that it lacks gave no answer",
            "a tag that it lacks gave one",
        ),
        _ => NotHere("this firmware knows all tags that are asked"),
    }
}

fn clocks_and_card(number: u32, facts: &SelfTestFacts<'_>) -> Verdict {
    match number {
        21 => on_board(facts, NO_CLOCKS, || is_rate_reached(facts)),
        22 => on_board(facts, NO_CLOCKS, || match facts.throttled {
            Some(bits) => {
                decide(bits & 0xF == 0, "not throttled now", "throttled now: see the power supply and the heat")
            }
            None => NotHere(NO_FIRMWARE),
        }),
        23 => match facts.counter_deviation_permille() {
            Some(deviation) => decide(deviation <= 10, "equal to the SoC's timer", "differs from the SoC's timer"),
            None => NotHere("no other clock, or it could not be read at the same time"),
        },
        24 => NotHere(IN_DRIVER),
        25 => on_board(facts, NO_CLOCKS, || match (facts.card, facts.card_clock.set_hz) {
            (Some(_), Some(_)) => Avoided("the firmware told it, and the card answers"),
            (Some(_), None) => Caught("the firmware did not tell it: a default is used"),
            (None, _) => NotHere("there is no card"),
        }),
        26 => on_board(facts, NO_PINS, || match facts.card {
            Some(_) => Avoided("the card answers"),
            None => NotHere("there is no card"),
        }),
        _ => NotHere("see the card's line: whether DMA is used at all"),
    }
}

/// Within a twentieth of what was asked for, by the firmware's measurement and by the time of additions.
fn is_rate_reached(facts: &SelfTestFacts<'_>) -> Verdict {
    let Some(asked_hz) = facts.arm_asked_hz.map(u64::from) else { return NotHere(NO_FIRMWARE) };
    let measured = [facts.arm.measured_hz.map(u64::from), facts.arm_timed_hz];
    let is_near = |hz: u64| hz.abs_diff(asked_hz) <= asked_hz / 20;
    let is_reached = measured.into_iter().flatten().all(is_near);
    decide(is_reached, "the cores run as fast as asked", "the cores run slower than asked")
}

fn architecture(number: u32, facts: &SelfTestFacts<'_>) -> Verdict {
    let device = facts.device_attribute;
    match number {
        28 | 29 => decide(
            device == Some(DEVICE_NGNRE) && facts.data_attribute == Some(NORMAL_WRITE_BACK),
            "types read back by address translation",
            "memory types are wrong",
        ),
        30 => match facts.do_mappings_follow {
            Some(is_so) => decide(is_so, "a page mapped anew is seen at once", "a page mapped anew is seen late"),
            None => NotHere("there is no engine to look at"),
        },
        31 if !facts.partners().all(|partner| partner.has_answered) => Caught("a wake interrupt does not arrive"),
        31 if !facts.is_timer_due => NotHere("no timer interrupt was due yet"),
        31 => decide(
            facts.timer_interrupts > 0,
            "timer and wake interrupts arrive",
            "the timer's interrupt does not arrive",
        ),
        32 => NotHere("the kernel has no vector instruction: `make check-kernel`"),
        33 => on_board(facts, NO_PINS, || NotHere("a line without noise shows nothing")),
        34 if facts.has_watchdog => Avoided("the watchdog is fed and has not bitten"),
        34 => NotHere("no watchdog is armed"),
        35 => NotHere(OTHER_BOARD),
        36 => NotHere("set by the start code, cannot be read at EL1"),
        37 => on_board(facts, "the host's memory is ordered more strictly", || {
            decide(facts.is_coherent(), "no message was torn", "messages were torn or lost")
        }),
        38 => Avoided("cores sleep for interrupts, and woke up"),
        39 => on_board(facts, NO_FIRMWARE, || Avoided("the firmware started the kernel")),
        _ => NotHere("looking would switch the board off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::self_test::{ClockFacts, ExchangeFacts};

    const GOOD: ExchangeFacts = ExchangeFacts::GOOD;

    fn board() -> SelfTestFacts<'static> {
        SelfTestFacts {
            has_firmware: true,
            cores_present: 4,
            cores_started: 4,
            revision: Some(0xB0_3115),
            arm_asked_hz: Some(1_500_000_000),
            arm: ClockFacts { set_hz: Some(1_500_000_000), measured_hz: Some(1_500_345_000) },
            arm_timed_hz: Some(1_479_000_000),
            uart: ClockFacts { set_hz: Some(48_000_000), measured_hz: Some(48_000_000) },
            card_clock: ClockFacts { set_hz: Some(200_000_000), measured_hz: None },
            ram_bytes: 1984 << 20,
            revision_bytes: Some(2 << 30),
            mailbox_bytes: Some(0x3B40_0000),
            video_core_bytes: Some(0x04C0_0000),
            tree_bytes: Some(1984 << 20),
            is_reserved_kept: true,
            card: Some("a card"),
            throttled: Some(0),
            counter_hz: 54_000_000,
            is_counter_told: true,
            counter_check: Some((540_100, 10_000)),
            exchanges: [GOOD; 3],
            device_attribute: Some(DEVICE_NGNRE),
            data_attribute: Some(NORMAL_WRITE_BACK),
            has_own_vectors: true,
            do_mappings_follow: Some(true),
            timer_interrupts: 9,
            is_timer_due: true,
            received_bytes: 9,
            is_engine_ready: true,
            has_watchdog: true,
            ..SelfTestFacts::default()
        }
    }

    fn caught(facts: &SelfTestFacts<'_>) -> alloc::vec::Vec<u32> {
        let traps = traps(facts).into_iter().filter(|trap| matches!(trap.verdict, Caught(_)));
        traps.map(|trap| trap.number).collect()
    }

    fn avoided(facts: &SelfTestFacts<'_>) -> usize {
        traps(facts).iter().filter(|trap| matches!(trap.verdict, Avoided(_))).count()
    }

    #[test]
    fn a_good_board_falls_into_none() {
        assert_eq!(caught(&board()), [0_u32; 0]);
        assert_eq!(avoided(&board()), 29);
    }

    #[test]
    fn an_emulator_is_never_praised_for_what_it_does_not_have() {
        let facts = SelfTestFacts {
            is_emulator: true,
            arm: ClockFacts { set_hz: Some(700_000_000), measured_hz: None },
            ..board()
        };
        for number in [1, 2, 3, 15, 19, 21, 22, 25, 26, 33, 37, 39] {
            assert!(matches!(traps(&facts)[number - 1].verdict, NotHere(_)), "{number}");
        }
        assert_eq!(caught(&facts), [0_u32; 0]);
    }

    #[test]
    fn a_timer_is_not_missed_before_its_first_tick() {
        let early = SelfTestFacts { timer_interrupts: 0, is_timer_due: false, ..board() };
        assert_eq!(traps(&early)[31 - 1].verdict, NotHere("no timer interrupt was due yet"));
        // A wake interrupt that is missing shows at once.
        let deaf = SelfTestFacts { exchanges: [GOOD, GOOD, ExchangeFacts::default()], ..early };
        assert_eq!(traps(&deaf)[31 - 1].verdict, Caught("a wake interrupt does not arrive"));
        let late = SelfTestFacts { is_timer_due: true, ..early };
        assert_eq!(caught(&late), [31]);
    }

    #[test]
    fn what_is_wrong_is_caught() {
        let torn = ExchangeFacts { torn: 1, ..GOOD };
        let silent = ExchangeFacts::default();
        for (facts, numbers) in [
            (SelfTestFacts { cores_started: 3, ..board() }, &[1, 9][..]),
            (SelfTestFacts { exchanges: [GOOD, torn, GOOD], ..board() }, &[2, 37]),
            (SelfTestFacts { exchanges: [GOOD, GOOD, silent], ..board() }, &[2, 10, 31, 37]),
            (SelfTestFacts { arm_timed_hz: Some(600_000_000), ..board() }, &[21]),
            (SelfTestFacts { throttled: Some(0x5_0005), ..board() }, &[22]),
            (SelfTestFacts { counter_check: Some((192_000, 10_000)), ..board() }, &[23]),
            (SelfTestFacts { device_attribute: Some(0xFF), ..board() }, &[28, 29]),
            (SelfTestFacts { tree_bytes: Some(1 << 30), ..board() }, &[13]),
            (SelfTestFacts { is_reserved_kept: false, ..board() }, &[11, 12]),
            (SelfTestFacts { do_mappings_follow: Some(false), ..board() }, &[30]),
            (SelfTestFacts { has_own_vectors: false, ..board() }, &[5]),
        ] {
            assert_eq!(caught(&facts), numbers);
        }
    }
}
