//! Several calls at once over the line: they compute in the same passes, and each gets the bits that it gets alone.

use barellama_tests::card::Card;
use barellama_tests::machine::LONG;
use barellama_tests::{Machine, artifacts, reference};
use serde_json::{Value, json};

/// Calls that arrive together: one more than there are sessions, so that one is queued.
const CALLS: usize = 4;
const STEPS: u32 = 6;

fn machine(configuration: &str) -> Machine {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[("barellama.txt", configuration)]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect_ready();
    machine
}

/// Prompts of different lengths; the longest takes several chunks while others generate.
fn prompts() -> Vec<Vec<u32>> {
    let cases = reference::cases("tiny/q4_0-f32.json");
    let longest = cases.into_iter().max_by_key(|case| case.prompt_ids.len()).expect("there are cases").prompt_ids;
    [3, 90, 17, 40].map(|tokens| longest[tokens..2 * tokens].to_vec()).to_vec()
}

/// Sends calls in one go; the answers by the number of the call.
fn call_all(machine: &mut Machine, calls: &[(&str, Value)]) -> Vec<Value> {
    let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    let mut lines = format!("{hello}\r\n{}\r\n", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    for (id, (name, arguments)) in calls.iter().enumerate() {
        let params = json!({"name": name, "arguments": arguments});
        lines += &format!("{}\r\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }
    let start = machine.transcript().len();
    machine.send(lines);
    for id in 0..calls.len() {
        machine.expect(&format!("\"id\":{id},\"result\""), LONG);
    }
    machine.send("/console\r");
    machine.expect_prompt(LONG);
    let transcript = machine.transcript();
    let answers: Vec<Value> =
        transcript[start..].lines().filter_map(|line| serde_json::from_str(line.trim()).ok()).collect();
    let answer = |id: usize| answers.iter().find(|answer| answer["id"] == id && answer.get("result").is_some());
    (0..calls.len())
        .map(|id| answer(id).unwrap_or_else(|| panic!("no answer {id}: {transcript}"))["result"].clone())
        .collect()
}

fn checksums(result: &Value) -> Vec<String> {
    let steps = result["structuredContent"]["steps"].as_array().expect("a score has steps");
    steps.iter().filter_map(|step| step["crc"].as_str()).map(str::to_owned).collect()
}

#[test]
fn scores_that_arrive_together_have_the_bits_of_those_that_come_alone() {
    let mut machine = machine("sessions = 3\nkv_cache = q8_0\n");
    let alone: Vec<Vec<String>> = prompts()
        .iter()
        .map(|ids| {
            machine.ask("/reset");
            let score = machine.score(&json!({"ids": ids, "steps": STEPS}));
            score.checksums().into_iter().map(str::to_owned).collect()
        })
        .collect();
    machine.ask("/reset");
    let calls: Vec<_> = prompts().iter().map(|ids| ("score", json!({"tokens": ids, "steps": STEPS}))).collect();
    let together = call_all(&mut machine, &calls);
    assert_eq!(together.len(), CALLS);
    for (index, (result, alone)) in together.iter().zip(&alone).enumerate() {
        assert_eq!(checksums(result), *alone, "call {index}: {result}");
    }
}

#[test]
fn drafts_change_nothing_over_the_line() {
    let mut machine = machine("sessions = 2\nmax_tokens = 40\nrepeat_penalty = 0.5\ntemperature = 0.7\n");
    let prompt = "/raw one two three four one two three four one two";
    let answers = ["off", "on", "auto"].map(|mode| {
        machine.ask("/reset");
        machine.ask(&format!("/set speculation {mode}"));
        machine.send(format!("{prompt}\r"));
        machine.expect_answer()
    });
    assert!(
        answers.iter().all(|answer| answer.text == answers[0].text && answer.stop() == "max_tokens"),
        "{answers:?}"
    );
    assert!(answers[0].statistics.contains(" 1.0 tokens/pass "), "{answers:?}");
    assert!(!answers[1].statistics.contains(" 1.0 tokens/pass "), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.statistics.contains(" MB/token")), "{answers:?}");
}
