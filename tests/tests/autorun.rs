//! `autorun` answers the prompts of a file as JSON lines and halts with a status.

use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};
use serde_json::Value;

#[test]
fn prompts_are_answered_and_the_machine_halts() {
    let prompts = "# a comment\nHello there\n\nWhat is \"this\"?\n";
    let texts = [("barellama.txt", "autorun = prompts.txt\nmax_tokens = 8\n"), ("prompts.txt", prompts)];
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &texts);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let status = machine.expect_exit(LONG);
    let transcript = machine.transcript();
    let answers = transcript.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok());
    let answers = answers.filter(Value::is_object).collect::<Vec<_>>();
    let prompts = answers.iter().map(|answer| answer["prompt"].as_str().unwrap_or("")).collect::<Vec<_>>();
    assert_eq!(prompts, ["Hello there", "What is \"this\"?"], "{transcript}");
    for answer in &answers {
        assert!(answer["generated_tokens"].as_u64().is_some_and(|count| (1..=8).contains(&count)), "{answer}");
        assert!(answer.get("error").is_none(), "{answer}");
    }
    assert!(status.success(), "{status}\n{transcript}");
}

#[test]
fn without_its_file_it_fails() {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[("barellama.txt", "autorun = prompts.txt\n")]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("prompts.txt", LONG);
    assert!(!machine.expect_exit(SHORT).success());
}
