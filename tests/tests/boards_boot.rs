//! The same image boots on every machine: it says what it runs on, has four cores and a console, and computes the same bits.

use barellama_tests::card::Card;
use barellama_tests::machine::{SHORT, Setup};
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

/// Boots with the tiny model; what the banner must say, what the log must say.
#[track_caller]
fn check(setup: Setup, banner: &[&str], log: &[&str]) {
    let model = artifacts::tiny("q4_0");
    let mut machine = setup.placed_model(&model).boot();
    let shown = machine.expect_ready();
    for text in banner {
        assert!(shown.contains(text), "{text:?} is not in:\n{shown}");
    }
    let shown = machine.ask("/log");
    for text in log {
        assert!(shown.contains(text), "{text:?} is not in:\n{shown}");
    }
    assert!(!shown.contains("did not start"), "{shown}");
    check_answers(&mut machine);
    machine.send("/reboot\r");
    machine.expect("barellama", SHORT);
    machine.expect_ready();
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
}

/// The model answers, with the bits that it has on a Raspberry Pi 4, on one core and on four.
#[track_caller]
fn check_answers(machine: &mut Machine) {
    let case = &reference::cases("tiny/q4_0-f32.json")[0];
    let mut expected = Machine::with_model(&artifacts::tiny("q4_0"));
    let expected = expected.score(&json!({"ids": case.prompt_ids, "steps": 4}));
    for cores in [1, 4] {
        machine.ask("/reset");
        let found = machine.score(&json!({"ids": case.prompt_ids, "steps": 4, "cores": cores}));
        assert_eq!(found.checksums(), expected.checksums(), "{cores} cores");
    }
    machine.ask("/set max_tokens 8");
    machine.ask("/reset");
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
}

#[test]
fn raspberry_pi_3_model_b() {
    let log = ["entered at EL2", "last reset: power-on"];
    check(Machine::raspi3b(), &["Raspberry Pi 3 Model B (", "4 x Cortex-A53", "960.0 MiB"], &log);
}

#[test]
fn raspberry_pi_3_model_a_plus() {
    check(Machine::raspi3ap(), &["Raspberry Pi 3 Model A+", "4 x Cortex-A53", "448.0 MiB"], &["entered at EL2"]);
}

#[test]
fn virt_with_cortex_a53() {
    check(Machine::virt("cortex-a53"), &["QEMU virt", "4 x Cortex-A53", "512.0 MiB"], &["loaded at 0x40080000", "EL1"]);
}

#[test]
fn virt_with_cortex_a72() {
    check(Machine::virt("cortex-a72"), &["QEMU virt", "4 x Cortex-A72"], &["PAN: this core has none"]);
}

#[test]
fn virt_with_cortex_a76() {
    check(Machine::virt("cortex-a76"), &["QEMU virt", "4 x Cortex-A76"], &["PAN: on"]);
}

#[test]
fn virt_with_everything_that_qemu_has() {
    check(Machine::virt("max"), &["QEMU virt"], &["PAN: on"]);
}

#[test]
fn virt_entered_at_el2() {
    check(Machine::virt_entered_at_el2("cortex-a76"), &["4 x Cortex-A76"], &["entered at EL2", "PAN: on"]);
}

#[test]
fn a_raspberry_pi_3_reads_the_model_from_its_card() {
    let model = artifacts::tiny("q4_0");
    let card = Card::with_model_and_texts(&model, &[("barellama.txt", "max_tokens = 8\n")]);
    let mut machine = Machine::raspi3b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    assert!(loading.contains("MB/s"), "{loading}");
    assert!(machine.ask("/set max_tokens").contains('8'));
    check_answers(&mut machine);
}

#[test]
fn a_line_typed_at_once_arrives_whole() {
    let text = "far longer than the receiver's buffer of sixteen bytes, so that its interrupts must be taken in time";
    for setup in [Machine::raspi3b(), Machine::virt("cortex-a72")] {
        let mut machine = setup.placed_model(&artifacts::tiny("q4_0")).boot();
        machine.expect_ready();
        machine.ask(&format!("/set system \"{text}\""));
        let shown = machine.ask("/set system");
        assert!(shown.contains(text), "{shown}");
    }
}
