//! A token's logits depend only on the tokens before it: the same bits for any number of cores, any chunk of the prompt, and
//! a prefix that was still in the KV cache.

use barellama_tests::machine::Setup;
use barellama_tests::{Machine, artifacts, reference};
use serde_json::{Value, json};

const STEPS: u32 = 4;
/// Long enough for several chunks of 64.
const PROMPT_TOKENS: usize = 140;

fn long_prompt() -> Vec<u32> {
    let cases = reference::cases("tiny/q4_0-f32.json");
    let longest = cases.into_iter().max_by_key(|case| case.prompt_ids.len()).expect("there are cases");
    longest.prompt_ids[..PROMPT_TOKENS].to_vec()
}

/// Scores from an empty cache; the checksums over the logits of each step.
#[track_caller]
fn checksums(machine: &mut Machine, request: &Value) -> Vec<String> {
    machine.ask("/reset");
    machine.score(request).checksums().into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn check(setup: Setup, kind: &str) -> Vec<String> {
    let mut machine = setup.placed_model(&artifacts::tiny(kind)).boot();
    machine.expect_ready();
    let prompt = long_prompt();
    let expected = checksums(&mut machine, &json!({"ids": prompt, "steps": STEPS}));
    assert_eq!(expected.len(), STEPS as usize);

    for cores in 1..=4 {
        let found = checksums(&mut machine, &json!({"ids": prompt, "steps": STEPS, "cores": cores}));
        assert_eq!(found, expected, "{kind}: {cores} cores");
    }
    for chunk in [1, 7, 63, 64, 65, 140] {
        let found = checksums(&mut machine, &json!({"ids": prompt, "steps": STEPS, "chunk": chunk}));
        assert_eq!(found, expected, "{kind}: chunks of {chunk}");
    }
    for prefix in [1, 50, 64, 139, 140] {
        checksums(&mut machine, &json!({"ids": prompt[..prefix], "steps": 1}));
        let found = machine.score(&json!({"ids": prompt, "steps": STEPS}));
        assert_eq!(found.checksums(), expected, "{kind}: {prefix} tokens reused");
    }
    let different = checksums(&mut machine, &json!({"ids": prompt[1..], "steps": STEPS}));
    assert_ne!(different, expected, "{kind}: the checksums do not depend on the prompt");
    expected
}

#[test]
fn q4_0() {
    check(Machine::raspi4b(), "q4_0");
}

#[test]
fn q4_k_m_with_and_without_dot_products() {
    let without = check(Machine::raspi4b(), "q4_k_m");
    let with = check(Machine::virt("cortex-a76"), "q4_k_m");
    assert_eq!(with, without, "sums of integers are exact on both");
}

#[test]
fn f16() {
    check(Machine::raspi4b(), "f16");
}
