//! After a fault the engine starts again with the model in memory, and computes the same bits as before.

use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

#[test]
fn the_next_answer_after_a_missed_deadline_is_the_same_as_before() {
    let mut machine = Machine::with_model(&artifacts::tiny("q4_k_m"));
    let case = &reference::cases("tiny/q4_k_m-f32.json")[0];
    let request = json!({"ids": case.prompt_ids, "steps": 4});
    let before = machine.score(&request);

    machine.ask("/set step_deadline_ms 1");
    machine.ask("/reset");
    machine.send(format!("/score {request}\r"));
    machine.expect("*** engine fault: step-deadline", SHORT);
    machine.expect_ready();

    machine.ask("/set step_deadline_ms 0");
    assert_eq!(machine.score(&request), before);
    assert!(machine.ask("/log").contains("step-deadline"));
}
