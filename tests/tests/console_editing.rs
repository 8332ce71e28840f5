//! The console edits lines, survives anything that is typed, and answers its commands.

use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};

fn at_prompt() -> Machine {
    let mut machine = Machine::raspi4b().boot();
    machine.expect("no SD card answers", SHORT);
    machine.expect_prompt(SHORT);
    machine
}

#[test]
fn keys_edit_the_line() {
    let mut machine = at_prompt();
    // Backspace, cursor keys and an insertion: the command that comes out is /set seed 42.
    machine.send("/sett\x7f seed 2\x1b[D4");
    machine.ask("");
    assert!(machine.ask("/set seed").contains("42"));
    // The line before the last one, from the history.
    machine.send("\x1b[A\x1b[A\x7f\x7f77");
    machine.ask("");
    assert!(machine.ask("/set seed").contains("77"));
}

#[test]
fn commands_are_answered() {
    let mut machine = at_prompt();
    for (command, text) in [
        ("/help", "/score"),
        ("/status", "no model"),
        ("/mem", "engine stack"),
        ("/set", "temperature"),
        ("/log", "kernel entry to prompt"),
        ("/sttus", "/status"),
        ("/set tempratur 1", "temperature"),
        ("/set temperature hot", "temperature"),
        ("/score {", "EOF"),
    ] {
        let shown = machine.ask(command);
        assert!(shown.contains(text), "{command}: {text:?} is not in:\n{shown}");
    }
}

#[test]
fn system_prompts_keep_their_umlauts() {
    let mut machine = at_prompt();
    machine.ask("/system Antworte höflich und kürzer als 日本語");
    assert!(machine.ask("/system").contains("höflich und kürzer als 日本語"));
}

#[test]
fn noise_does_not_lose_the_console() {
    let mut machine = at_prompt();
    let mut state = 1_u32;
    let noise = (0..20_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    // Not the reboot command, by accident of the numbers, and no Ctrl-C at the very end.
    machine.send(noise.collect::<Vec<_>>());
    machine.send("\x1b\r\x03\r");
    machine.send("/set seed 4711\r");
    machine.expect("4711", LONG);
    machine.expect_prompt(LONG);
    assert!(machine.ask("/help").contains("/status"));
}

#[test]
fn a_line_longer_than_the_limit_is_dropped_with_a_message() {
    let mut machine = at_prompt();
    machine.send("x".repeat(70_000));
    machine.send("\r");
    machine.expect("longer than 64 KiB", LONG);
    machine.expect_prompt(SHORT);
    assert!(machine.ask("/help").contains("/status"));
}

#[test]
fn what_is_typed_during_an_answer_is_kept() {
    let mut machine = Machine::with_model(&artifacts::tiny("q4_0"));
    machine.ask("/set max_tokens 32");
    machine.send("Tell me something.\r/set seed 99\r");
    machine.expect_answer();
    machine.expect_prompt(SHORT);
    assert!(machine.ask("/set seed").contains("99"));

    // Keys that take the kernel longer than the line, each with a long row to draw anew: the engine goes on meanwhile, and the answer ends
    // before the last of them, which would stop it, is read.
    machine.ask("/set max_tokens 8");
    machine.send(["Tell me more.\r", &"a".repeat(300), "\x01", &"x\x7f".repeat(5000), "\x15\x03"].concat());
    assert_eq!(machine.expect_answer().stop(), "max_tokens");
}
