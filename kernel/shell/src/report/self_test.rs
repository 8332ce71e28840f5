//! The self-test in one screen, in one line for the log, and trap by trap.

use super::status::throttling;
use super::units::{Megahertz, Tenths, mebibytes, megabytes, per_second};
use crate::self_test::traps::{Trap, Verdict, traps};
use crate::self_test::{ClockFacts, DEVICE_NGNRE, ExchangeFacts, NORMAL_WRITE_BACK, SelfTestFacts};
use core::fmt::{Result, Write};

/// What a row holds behind its label.
const ROW_CHARACTERS: usize = 66;
/// A trap's number and a blank.
const NUMBER_CHARACTERS: usize = 3;

/// Writes the whole self-test: at most 23 rows.
///
/// # Errors
/// Those of `out`.
pub fn self_test(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    write!(out, "barellama {} on {}\r\n", facts.version, facts.board)?;
    write_cores(facts, out)?;
    write_clocks(facts, out)?;
    write_memory(facts, out)?;
    write_card(facts, out)?;
    write_heat(facts, out)?;
    write_counter(facts, out)?;
    write_caches(facts, out)?;
    write_coherence(facts, out)?;
    write_types(facts, out)?;
    write_traps(facts, out)
}

/// Writes the self-test as one sentence without a line end, for the log.
///
/// # Errors
/// Those of `out`.
pub fn self_test_summary(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    let (avoided, caught, not_here) = counts(facts);
    let is_lost = facts.partners().any(|partner| !partner.has_answered || partner.is_broken());
    let coherence = match (facts.partners().next().is_some(), facts.is_coherent()) {
        (false, _) => "one core",
        (true, true) => "messages between cores ok",
        (true, false) if is_lost => "messages between cores LOST",
        (true, false) => "messages between cores ok, but late",
    };
    write!(
        out,
        "self-test: {} of {} cores, {coherence}, traps: {avoided} ok, {caught} FAILED, {not_here} cannot be checked here",
        facts.cores_started, facts.cores_present
    )
}

/// Writes what is known of each trap.
///
/// # Errors
/// Those of `out`.
pub fn trap_table(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    for Trap { number, title, verdict } in traps(facts) {
        let (word, how) = match verdict {
            Verdict::Avoided(how) => ("ok", how),
            Verdict::Caught(how) => ("FAILED", how),
            Verdict::NotHere(how) => ("-", how),
        };
        write!(out, "{number:>3}  {word:<6}  {title}\r\n             {how}\r\n")?;
    }
    out.write_str("ok: looked at just now.  -: cannot be checked here, for the reason below it.\r\n")
}

fn counts(facts: &SelfTestFacts<'_>) -> (usize, usize, usize) {
    let traps = traps(facts);
    let count = |is: fn(&Verdict) -> bool| traps.iter().filter(|trap| is(&trap.verdict)).count();
    (
        count(|verdict| matches!(verdict, Verdict::Avoided(_))),
        count(|verdict| matches!(verdict, Verdict::Caught(_))),
        count(|verdict| matches!(verdict, Verdict::NotHere(_))),
    )
}

fn label(name: &str, out: &mut dyn Write) -> Result {
    write!(out, "{name:<12} ")
}

/// Variant and revision of MIDR_EL1, as in "r0p3".
fn write_cores(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("cores", out)?;
    let (variant, patch) = (facts.midr >> 20 & 0xF, facts.midr & 0xF);
    write!(out, "{} of {} {} r{variant}p{patch} run", facts.cores_started, facts.cores_present, facts.processor)?;
    write!(out, "; entered at EL{}, loaded at {:#x}\r\n", facts.entry_level, facts.load_address)?;
    label("board", out)?;
    match facts.revision {
        Some(revision) => write!(out, "revision {revision:06x}, circuit board 1.{}", revision & 0xF)?,
        None => out.write_str("no revision is told")?,
    }
    match facts.chip_stepping {
        Some(stepping) => write!(out, ", chip stepping {}{}\r\n", stepping_letter(stepping), stepping & 0xF),
        None => out.write_str(", no chip stepping is told\r\n"),
    }
}

const fn stepping_letter(stepping: u8) -> char {
    (b'A' + (stepping >> 4)) as char
}

fn write_clocks(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("clocks", out)?;
    match facts.arm_asked_hz {
        Some(hz) => write!(out, "ARM asked {}, set ", hz / 1_000_000)?,
        None => out.write_str("ARM set ")?,
    }
    write_clock(facts.arm, out)?;
    match facts.arm_timed_hz.filter(|_| !facts.is_emulator) {
        Some(hz) => write!(out, ", by timed additions {} MHz\r\n", hz / 1_000_000)?,
        None => out.write_str(" MHz\r\n")?,
    }
    label("", out)?;
    for (name, clock) in [("core ", facts.core), (", UART ", facts.uart), (", card ", facts.card_clock)] {
        out.write_str(name)?;
        write_clock(clock, out)?;
    }
    out.write_str(" MHz (measured)\r\n")?;
    if facts.is_emulator {
        label("", out)?;
        out.write_str("an emulator has no clocks: these figures mean nothing\r\n")?;
    }
    Ok(())
}

/// What is set and, in brackets, what the firmware measures.
fn write_clock(clock: ClockFacts, out: &mut dyn Write) -> Result {
    for (hz, brackets) in [(clock.set_hz, ["", ""]), (clock.measured_hz, [" (", ")"])] {
        match hz {
            Some(hz) => write!(out, "{}{}{}", brackets[0], hz / 1_000_000, brackets[1])?,
            None => write!(out, "{}-{}", brackets[0], brackets[1])?,
        }
    }
    Ok(())
}

fn write_memory(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("memory", out)?;
    write!(out, "{} MiB used; by the revision ", mebibytes(facts.ram_bytes))?;
    write_claim(facts.revision_bytes, out)?;
    out.write_str(", mailbox ")?;
    write_claim(facts.mailbox_bytes, out)?;
    if let Some(bytes) = facts.video_core_bytes {
        write!(out, " + {}", bytes >> 20)?;
    }
    out.write_str(", tree ")?;
    write_claim(facts.tree_bytes, out)?;
    out.write_str("\r\n")?;
    label("", out)?;
    out.write_str(match facts.do_memory_sources_agree() {
        Some(true) if facts.is_emulator => "revision and mailbox agree; the emulator's tree is not compared\r\n",
        Some(true) => "the sources agree\r\n",
        Some(false) => "THE SOURCES DISAGREE: the revision is taken\r\n",
        None => "there is one source only: nothing to compare\r\n",
    })
}

fn write_claim(bytes: Option<u64>, out: &mut dyn Write) -> Result {
    match bytes {
        Some(bytes) => write!(out, "{}", bytes >> 20),
        None => out.write_str("-"),
    }
}

fn write_card(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("card", out)?;
    let Some(card) = facts.card else { return out.write_str("none answers\r\n") };
    write_words(card, out)?;
    out.write_str("\r\n")?;
    label("", out)?;
    match facts.card_read {
        Some((bytes, elapsed_ns)) => {
            let rate = megabytes(per_second(bytes, elapsed_ns).map_or(0, |rate| rate.0 / 10));
            write!(out, "last load {} MB, {rate} MB/s; {} errors\r\n", megabytes(bytes), facts.card_errors)
        }
        None => write!(out, "no speed before a model was read; {} errors\r\n", facts.card_errors),
    }
}

/// Writes words behind a label, in as many rows as they take.
fn write_words(words: &str, out: &mut dyn Write) -> Result {
    let mut column = 0;
    for word in words.split_whitespace() {
        let width = word.chars().count();
        if column != 0 && column + 1 + width > ROW_CHARACTERS {
            out.write_str("\r\n")?;
            label("", out)?;
            column = 0;
        }
        if column != 0 {
            out.write_char(' ')?;
            column += 1;
        }
        out.write_str(word)?;
        column += width;
    }
    Ok(())
}

fn write_heat(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("heat, power", out)?;
    let Some(millidegrees) = facts.temperature_millidegrees else {
        return out.write_str("there is no firmware to ask\r\n");
    };
    write!(out, "{} °C", Tenths(u64::from(millidegrees / 100)))?;
    if let Some(limit) = facts.temperature_limit_millidegrees {
        write!(out, " of at most {}", Tenths(u64::from(limit / 100)))?;
    }
    if let Some(bits) = facts.throttled {
        throttling(bits, out)?;
    }
    out.write_str(if facts.is_emulator { " (an emulator makes this up)\r\n" } else { "\r\n" })
}

fn write_counter(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("counter", out)?;
    let source = if facts.is_counter_told { "by CNTFRQ" } else { "assumed, no CNTFRQ" };
    write!(out, "{} MHz {source}", Megahertz(facts.counter_hz))?;
    match (facts.counter_reference_hz(), facts.counter_deviation_permille()) {
        (Some(hz), Some(deviation)) => {
            let verdict = if deviation <= 10 { "ok" } else { "FAILED" };
            write!(out, ", {} MHz by the SoC's timer: {verdict}\r\n", Megahertz(hz))
        }
        _ => out.write_str("; not compared with another clock\r\n"),
    }
}

fn write_caches(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("caches", out)?;
    write!(out, "lines of {} bytes (data), {} (code); dc zva ", facts.data_line_bytes, facts.instruction_line_bytes)?;
    match (facts.zero_block_bytes, facts.is_zero_block_exact) {
        (None, _) => out.write_str("forbidden\r\n"),
        (Some(bytes), Some(true)) => write!(out, "zeroes {bytes}: ok\r\n"),
        (Some(bytes), Some(false)) => write!(out, "of {bytes}: FAILED\r\n"),
        (Some(bytes), None) => write!(out, "of {bytes}: not tried\r\n"),
    }
}

fn write_coherence(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("coherence", out)?;
    if facts.partners().next().is_none() {
        return out.write_str("one core only\r\n");
    }
    if let Some(first) = facts.partners().next().filter(|_| facts.is_coherent()) {
        write!(out, "{} messages to each other core and back, none torn: ok\r\n", first.messages)?;
    } else {
        for (index, partner) in facts.partners().enumerate() {
            if index != 0 {
                label("", out)?;
            }
            write_exchange(index + 1, partner, out)?;
        }
    }
    label("", out)?;
    if facts.is_emulator {
        return out.write_str("an emulator without caches shows only that the cores talk\r\n");
    }
    let slowest = facts.partners().map(|partner| partner.elapsed_ns / u64::from(partner.messages.max(1))).max();
    write!(out, "a message and its answer take {} ns at most\r\n", slowest.unwrap_or(0))
}

fn write_exchange(core: usize, exchange: &ExchangeFacts, out: &mut dyn Write) -> Result {
    let ExchangeFacts { messages, wanted, torn, counted, to_count, .. } = *exchange;
    write!(out, "core {core}: ")?;
    match (exchange.has_answered, exchange.is_good(), exchange.is_broken()) {
        (false, ..) => out.write_str("NO ANSWER\r\n"),
        (true, true, _) => write!(out, "{messages} messages ok\r\n"),
        (true, false, true) => write!(out, "FAILED, {torn} of {messages} torn, {counted} of {to_count} counted\r\n"),
        (true, false, false) => write!(out, "{messages} of {wanted} messages in time\r\n"),
    }
}

fn write_types(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    label("memory types", out)?;
    let name = |attribute| match attribute {
        Some(DEVICE_NGNRE) => "Device-nGnRE",
        Some(NORMAL_WRITE_BACK) => "write-back",
        Some(_) => "ANOTHER",
        None => "NOT MAPPED",
    };
    let bus_errors = if facts.is_serror_reported { "are reported" } else { "are held back" };
    let (device, data) = (name(facts.device_attribute), name(facts.data_attribute));
    write!(out, "registers {device}, data {data}; bus errors {bus_errors}\r\n")
}

fn write_traps(facts: &SelfTestFacts<'_>, out: &mut dyn Write) -> Result {
    let (avoided, caught, not_here) = counts(facts);
    label("traps", out)?;
    write!(out, "{avoided} ok, {caught} failed, {not_here} not checked here; /selftest traps says why\r\n")?;
    write_numbers("ok", facts, |verdict| matches!(verdict, Verdict::Avoided(_)), out)?;
    write_numbers("FAILED", facts, |verdict| matches!(verdict, Verdict::Caught(_)), out)?;
    write_numbers("not here", facts, |verdict| matches!(verdict, Verdict::NotHere(_)), out)
}

/// The numbers of some traps, in rows that fit.
fn write_numbers(
    name: &str,
    facts: &SelfTestFacts<'_>,
    is_meant: impl Fn(&Verdict) -> bool,
    out: &mut dyn Write,
) -> Result {
    let mut column = 0;
    for trap in traps(facts).iter().filter(|trap| is_meant(&trap.verdict)) {
        match column {
            0 => write!(out, "  {name:<10}")?,
            _ if column % ROW_CHARACTERS < NUMBER_CHARACTERS => write!(out, "\r\n{:<12}", "")?,
            _ => {}
        }
        write!(out, " {}", trap.number)?;
        column += NUMBER_CHARACTERS;
    }
    if column == 0 { Ok(()) } else { out.write_str("\r\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const PARTNER: ExchangeFacts = ExchangeFacts::GOOD;
    const FACTS: SelfTestFacts<'_> = SelfTestFacts {
        version: "0.1.0",
        board: "Raspberry Pi 4 Model B",
        is_emulator: false,
        has_firmware: true,
        processor: "Cortex-A72",
        midr: 0x410F_D083,
        cores_present: 4,
        cores_started: 4,
        entry_level: 2,
        load_address: 0x8_0000,
        revision: Some(0xB0_3115),
        chip_stepping: Some(0x20),
        arm_asked_hz: Some(1_500_000_000),
        arm: ClockFacts { set_hz: Some(1_500_000_000), measured_hz: Some(1_500_345_000) },
        arm_timed_hz: Some(1_496_000_000),
        core: ClockFacts { set_hz: Some(500_000_000), measured_hz: Some(500_001_000) },
        uart: ClockFacts { set_hz: Some(48_000_000), measured_hz: Some(48_001_000) },
        card_clock: ClockFacts { set_hz: Some(200_000_000), measured_hz: Some(200_000_000) },
        ram_bytes: 1980 << 20,
        revision_bytes: Some(2 << 30),
        mailbox_bytes: Some(948 << 20),
        video_core_bytes: Some(76 << 20),
        tree_bytes: Some(1980 << 20),
        is_reserved_kept: true,
        card: Some("SDHC/SDXC card of 31914 MB on EMMC2, 4 bit, 50.000 MHz, high speed, ADMA2"),
        card_read: Some((98_362_432, 4_500_000_000)),
        card_errors: 0,
        throttled: Some(0),
        temperature_millidegrees: Some(48_312),
        temperature_limit_millidegrees: Some(85_000),
        counter_hz: 54_000_000,
        is_counter_told: true,
        counter_check: Some((540_003, 10_000)),
        data_line_bytes: 64,
        instruction_line_bytes: 64,
        zero_block_bytes: Some(64),
        is_zero_block_exact: Some(true),
        exchanges: [PARTNER; 3],
        device_attribute: Some(DEVICE_NGNRE),
        data_attribute: Some(NORMAL_WRITE_BACK),
        is_serror_reported: true,
        has_own_vectors: true,
        do_mappings_follow: Some(true),
        timer_interrupts: 100,
        is_timer_due: true,
        received_bytes: 10,
        is_engine_ready: true,
        has_watchdog: true,
    };

    #[test]
    fn a_board_fits_one_screen() {
        let rows = rows(|out| self_test(&FACTS, out));
        assert!(rows.len() <= 24, "{rows:#?}");
        for row in [
            "cores        4 of 4 Cortex-A72 r0p3 run; entered at EL2, loaded at 0x80000",
            "board        revision b03115, circuit board 1.5, chip stepping C0",
            "card         SDHC/SDXC card of 31914 MB on EMMC2, 4 bit, 50.000 MHz, high",
            "             speed, ADMA2",
            "memory       1980.0 MiB used; by the revision 2048, mailbox 948 + 76, tree 1980",
            "             the sources agree",
            "             last load 98.3 MB, 21.8 MB/s; 0 errors",
            "heat, power  48.3 °C of at most 85.0, not throttled",
            "counter      54.000 MHz by CNTFRQ, 54.000 MHz by the SoC's timer: ok",
            "caches       lines of 64 bytes (data), 64 (code); dc zva zeroes 64: ok",
            "             a message and its answer take 250 ns at most",
            "traps        29 ok, 0 failed, 11 not checked here; /selftest traps says why",
        ] {
            assert!(rows.iter().any(|shown| shown == row), "{row:?} is not in {rows:#?}");
        }
    }

    #[test]
    fn an_emulator_says_what_it_cannot_show() {
        let none = ClockFacts { set_hz: Some(700_000_000), measured_hz: None };
        let facts = SelfTestFacts { is_emulator: true, arm: none, core: none, uart: none, card_clock: none, ..FACTS };
        let text = rows(|out| self_test(&facts, out)).join("\n");
        for part in ["these figures mean nothing", "only that the cores talk", "makes this up", "700 (-)"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(!text.contains("ns at most") && !text.contains("timed additions"), "{text}");
    }

    #[test]
    fn what_fails_is_in_capitals_everywhere() {
        let torn = ExchangeFacts { torn: 3, ..PARTNER };
        let facts =
            SelfTestFacts { exchanges: [PARTNER, torn, ExchangeFacts::default()], tree_bytes: Some(5), ..FACTS };
        let text = rows(|out| self_test(&facts, out)).join("\n");
        for part in
            ["FAILED, 3 of 1000 torn", "core 3: NO ANSWER", "THE SOURCES DISAGREE", "  FAILED     2 10 13 31 37"]
        {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let mut line = alloc::string::String::new();
        self_test_summary(&facts, &mut line).unwrap();
        assert!(line.contains("LOST") && line.contains("5 FAILED"), "{line}");
    }

    #[test]
    fn a_counter_that_the_firmware_does_not_tell_is_said_to_be_assumed() {
        let text = rows(|out| self_test(&SelfTestFacts { is_counter_told: false, ..FACTS }, out)).join("\n");
        assert!(text.contains("54.000 MHz assumed, no CNTFRQ, 54.000 MHz by the SoC's timer: ok"), "{text}");
    }

    #[test]
    fn every_trap_has_its_reason() {
        let rows = rows(|out| trap_table(&FACTS, out));
        assert_eq!(rows.len(), 81);
        assert!(rows[0].starts_with("  1  ok "), "{rows:?}");
    }

    #[test]
    fn nothing_known_is_no_panic() {
        rows(|out| self_test(&SelfTestFacts { board: "?", ..SelfTestFacts::default() }, out));
        let extreme = SelfTestFacts {
            version: "1",
            board: "?",
            counter_check: Some((u64::MAX, 0)),
            card_read: Some((u64::MAX, 1)),
            card: Some("x"),
            mailbox_bytes: Some(1),
            ..SelfTestFacts::default()
        };
        let mut text = alloc::string::String::new();
        self_test(&extreme, &mut text).unwrap();
    }
}
