//! The processor counts what a token costs the engine. QEMU's does under `-icount`, where its clock counts instructions, too.

use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

#[test]
fn instructions_per_token_are_counted_and_shown_with_the_answer() {
    let setup = Machine::raspi4b().placed_model(&artifacts::tiny("q4_0"));
    let mut machine = setup.counting_instructions().boot();
    machine.expect_ready();
    let decode = |machine: &mut Machine, steps: u64| -> [u64; 2] {
        machine.ask("/reset");
        let shown = machine.ask(&format!("/score {}", json!({"ids": [1, 529], "steps": steps, "cores": 1, "top": 1})));
        let end = shown.lines().rfind(|line| line.contains("\"done\"")).expect("the score ends");
        let end: Value = serde_json::from_str(end.trim()).expect("the end is JSON");
        ["decode_instructions", "decode_ns"].map(|key| end[key].as_u64().expect("a number"))
    };
    let [[few, _], [many, many_ns]] = [4, 8].map(|steps| decode(&mut machine, steps));
    assert!(few > 0 && many > few, "{few} instructions for 3 tokens, {many} for 7");
    // The clock counts the kernel's instructions, too: those that bring the lines of the score on their way.
    assert!(many < many_ns && many > many_ns / 4, "{many} instructions of the engine, {many_ns} in all");
    let per_token = (many - few) / 4;
    assert!(few.abs_diff(3 * per_token) < per_token / 10, "{few} instructions for 3 tokens, {per_token} for each more");

    machine.ask("/set max_tokens 4");
    machine.chat("Hello");
    assert!(machine.transcript().contains(" M instructions/token"), "{}", machine.transcript());
}
