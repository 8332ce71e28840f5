//! After a fault the engine starts again with the model in memory, and computes the same bits as before.

use std::fs;
use std::path::PathBuf;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;
use tempfile::TempDir;

#[test]
fn the_next_answer_after_a_missed_deadline_is_the_same_as_before() {
    let mut machine = Machine::with_model(&artifacts::tiny("q4_k_m"));
    let case = &reference::cases("tiny/q4_k_m-f32.json")[0];
    let request = json!({"ids": case.prompt_ids, "steps": 4});
    let before = machine.score(&request);

    machine.ask("/set step_deadline_ms 1");
    machine.ask("/reset");
    // Long enough that a look at the deadline falls into a step, on every machine.
    machine.send(format!("/score {}\r", json!({"ids": case.prompt_ids, "steps": 100})));
    machine.expect("*** engine fault: step-deadline", SHORT);
    machine.expect_ready();

    machine.ask("/set step_deadline_ms 0");
    assert_eq!(machine.score(&request), before);
    assert!(machine.ask("/log").contains("step-deadline"));
}

/// A model file with a mark that the attacker looks for, in a directory that goes away.
fn marked_model(mark: &[u8; 8]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("model.gguf");
    let mut bytes = fs::read(artifacts::tiny("q4_0")).unwrap();
    bytes[8..16].copy_from_slice(mark);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

#[test]
fn a_model_from_the_card_is_read_again_after_a_fault_while_it_was_prepared() {
    // When all of it is there, and when the first bytes are.
    for mark in [b"FAULTONE", b"FAULTSOO"] {
        let (_directory, model) = marked_model(mark);
        let card = Card::with_files(CardSize::Auto, &[("model.gguf", &model)]);
        let mut machine = Machine::raspi4b().image(artifacts::attack_image()).card(&card.path()).boot();
        machine.expect("*** engine fault: panic on core 0, no request in flight", LONG);
        machine.expect("it is read again from the card", SHORT);
        machine.expect_ready();
        assert_eq!(machine.chat("hello").text, "fine: hello");
        // The attacker tried to seal the region before the file was there.
        assert!(machine.ask("/log").contains("call refused: seal"));
    }
}

#[test]
fn a_placed_model_is_lost_after_a_fault_while_it_was_prepared() {
    for (mark, kind) in [(b"FAULTNOW", "panic"), (b"LOOPCALL", "call-budget")] {
        let (_directory, model) = marked_model(mark);
        let mut machine = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&model).boot();
        machine.expect(&format!("*** engine fault: {kind} on core 0, no request in flight"), LONG);
        machine.expect("/reboot loads it again", SHORT);
        machine.expect("The kernel's memory is unchanged.", SHORT);
        machine.expect_prompt(SHORT);
        assert!(machine.ask("hello").contains("error:"), "the console answers");
        assert!(machine.ask("/status").contains("down"));
    }
}
