//! `/selftest`, `/bench` and `/mem verify`: what they say of an emulator, which is never more than it can show.

use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};

/// A shown text with each run of blanks made one.
fn words(shown: &str) -> String {
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn expect_all(shown: &str, parts: &[&str]) {
    let shown_words = words(shown);
    for part in parts {
        assert!(shown_words.contains(part), "{part:?} is not in:\n{shown}");
    }
}

#[test]
fn a_pi_4_is_described_on_one_screen() {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect_ready();
    expect_all(&machine.ask("/log"), &["self-test: 4 of 4 cores", " 0 FAILED"]);
    let shown = machine.ask("/selftest");
    expect_all(
        &shown,
        &[
            "4 of 4 Cortex-A72 r0p3 run; entered at EL2, loaded at 0x80000",
            "revision b03115, circuit board 1.5, no chip stepping is told",
            "an emulator has no clocks: these figures mean nothing",
            "by the revision 2048, mailbox 960 + 64, tree -",
            "revision and mailbox agree",
            "SDSC card of 67 MB on EMMC, 4 bit, 50.000 MHz, high speed, DMA engine last load 2.4 MB",
            "25.0 °C",
            "62.500 MHz by CNTFRQ",
            "lines of 64 bytes (data)",
            "zeroes 64: ok",
            "an emulator without caches shows only that the cores talk",
            "registers Device-nGnRE, data write-back; bus errors are reported",
            "0 failed",
        ],
    );
    assert!(shown.trim().lines().count() <= 24, "more than a screen:\n{shown}");
    // The command itself came over the line, but an emulator has no pins that it could have come over.
    let traps = machine.ask("/selftest traps");
    expect_all(
        &traps,
        &[
            "1 - other cores released before their data is in memory an emulator has no caches",
            "10 ok number of the core",
            "9 ok cores started the wrong way",
            "30 ok stale translations",
            "37 - flags that overtake their data",
        ],
    );
    assert!(!traps.contains("FAILED"), "{traps}");
}

#[test]
fn other_machines_are_described_too() {
    let mut machine = Machine::raspi3ap().boot();
    machine.expect("no SD card answers", SHORT);
    machine.expect_prompt(SHORT);
    let shown = machine.ask("/selftest");
    expect_all(
        &shown,
        &["4 of 4 Cortex-A53", "by the revision 512", "62.500 MHz by CNTFRQ", "card none answers", "0 failed"],
    );

    let mut machine = Machine::virt("cortex-a76").boot();
    machine.expect("no SD card answers", SHORT);
    machine.expect_prompt(SHORT);
    let shown = machine.ask("/selftest");
    let parts = [
        "4 of 4 Cortex-A76",
        "no revision is told",
        "not compared with another clock",
        "there is no firmware to ask",
        "0 failed",
    ];
    expect_all(&shown, &parts);
}

#[test]
fn the_bench_has_a_row_for_each_number_of_cores() {
    let mut machine = Machine::with_model(&artifacts::tiny("q4_0"));
    let shown = machine.ask("/bench 8 4");
    let rows = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row.len() == 8 && row[0].parse::<u32>().is_ok()).collect::<Vec<_>>();
    let cores = rows.iter().map(|row| row[0]).collect::<Vec<_>>();
    assert_eq!(cores, ["1", "2", "4"], "{shown}");
    for row in &rows {
        assert_eq!((row[1], row[3]), ("8", "4"), "{shown}");
        assert!(row[2].parse::<f64>().is_ok_and(|ms| ms > 0.0) && row[4].parse::<f64>().is_ok_and(|ms| ms > 0.0));
        assert_eq!((row[5], row[6], row[7]), ("700", "25.0", "none"), "{shown}");
    }
    assert!(shown.contains("An emulator's times mean nothing"), "{shown}");
    // The console answers afterwards as if nothing had been.
    machine.ask("/set max_tokens 4");
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
    machine.send("/bench 512 512\r");
    machine.expect("throttling", SHORT);
    machine.send("\x03");
    machine.expect("The bench was stopped: cancelled.", LONG);
    machine.expect_prompt(SHORT);
}

#[test]
fn memory_is_verified() {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect_ready();
    machine.ask("/set max_tokens 4");
    machine.chat("Hello");
    let parts = [
        "code",
        "engine code",
        "engine constants",
        "model, sealed",
        "stack of core 3",
        "guard words intact",
        "CRC-32 of the model's file as it was read: 93be9633",
        "Nothing has changed that must not.",
    ];
    let shown = machine.ask("/mem verify");
    expect_all(&shown, &parts);
    assert!(shown.matches("unchanged").count() >= 9 && !shown.contains("nothing to compare"), "{shown}");
    // Another model has sums of its own.
    assert!(machine.ask("/load 1").contains("Ready."));
    expect_all(&machine.ask("/mem verify"), &parts);
}

#[test]
fn without_a_model_there_is_little_to_compare() {
    let mut machine = Machine::raspi4b().boot();
    machine.expect("no SD card answers", SHORT);
    machine.expect_prompt(SHORT);
    expect_all(&machine.ask("/mem verify"), &["model, sealed nothing to compare with yet", "engine code"]);
    assert!(machine.ask("/bench").contains("no model"));
}
