//! The kernel comes up to a prompt, fast, also with nothing in the slot.

use barellama_tests::Machine;
use barellama_tests::machine::SHORT;

#[test]
fn the_banner_says_what_it_runs_on_and_the_prompt_follows() {
    let mut machine = Machine::raspi4b().boot();
    let banner = machine.expect_prompt(SHORT);
    for text in ["barellama", "Raspberry Pi 4", "4 x Cortex-A72", "1984.0 MiB"] {
        assert!(banner.contains(text), "{text:?} is not in:\n{banner}");
    }
}

#[test]
fn entry_to_prompt_takes_less_than_100_ms_of_guest_time() {
    let mut machine = Machine::raspi4b().counting_instructions().boot();
    machine.expect_prompt(SHORT);
    let log = machine.ask("/log");
    let microseconds = log
        .split_once("kernel entry to prompt: ")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or_else(|| machine.fail("the log does not say how long the start took"));
    println!("kernel entry to prompt: {microseconds} us of guest time");
    assert!(microseconds < 100_000, "{microseconds} us");
}

#[test]
fn a_reboot_comes_back_to_the_prompt() {
    let mut machine = Machine::raspi4b().boot();
    machine.expect_prompt(SHORT);
    machine.send("/reboot\r");
    machine.expect("barellama", SHORT);
    machine.expect_prompt(SHORT);
}
