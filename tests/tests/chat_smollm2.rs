//! A person asks SmolLM2, which was read from the card, as `make run` does it.

use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts, reference};

/// Two correct programs choose the same where the reference's margin is above this.
const CLEAR_MARGIN: f64 = 0.5;

#[test]
fn questions_are_answered_turn_by_turn() {
    let card = Card::with_model_and_texts(&artifacts::smollm2(), &[("barellama.txt", "max_tokens = 24\n")]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    // Reading takes many times as long as interleaving, so the other cores keep up with it.
    let [all, meanwhile] = interleaved_megabytes(&loading).unwrap_or_else(|| panic!("{loading}"));
    assert!(meanwhile > all / 2.0, "{loading}");

    let case = &reference::cases("smollm2/cases-f32.json")[0];
    let answer = machine.chat(&case.prompt);
    let expected = clear_start(&mut machine, case);
    assert!(answer.text.starts_with(&expected), "{answer:?} does not start with {expected:?}");
    assert!(answer.text.contains("Paris"), "{answer:?}");
    assert!(!answer.text.contains("<|im_end|>"), "{answer:?}");
    assert!(answer.statistics.contains("tok/s"), "{answer:?}");

    let next = machine.chat("And of Italy?");
    assert!(next.reused_tokens() >= case.prompt_ids.len(), "{next:?}");

    machine.ask("/set max_tokens 400");
    machine.send("Tell me a very long story about a dragon.\r");
    machine.expect("\r\n", SHORT);
    // In the middle of the answer.
    machine.expect(" the ", LONG);
    machine.send([3]);
    let stopped = machine.expect_answer();
    assert_eq!(stopped.stop(), "cancelled");
    machine.ask("/set max_tokens 24");
    let after = machine.chat("What is 2 + 2?");
    assert!(after.reused_tokens() > 0, "the KV cache was lost: {after:?}");
}

/// 96.4 and 94.2 of `interleaved: 96.4 MB in 1137 ms, 94.2 MB of it while the file was read`.
fn interleaved_megabytes(loading: &str) -> Option<[f64; 2]> {
    let (_, report) = loading.split_once(" interleaved: ")?;
    let (all, rest) = report.split_once(" MB in ")?;
    let (_, rest) = rest.split_once(" ms, ")?;
    let (meanwhile, _) = rest.split_once(" MB of it while the file was read")?;
    Some([all.parse().ok()?, meanwhile.parse().ok()?])
}

/// The text of the answer as far as every choice is clear.
#[track_caller]
fn clear_start(machine: &mut Machine, case: &reference::Case) -> String {
    let end = case.eog_at.unwrap_or(case.greedy_ids.len());
    let clear = case.margins[..end].iter().take_while(|margin| **margin > CLEAR_MARGIN).count();
    assert!(clear >= 4, "the reference is too unsure to be compared");
    let ids = case.greedy_ids[..clear].iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    machine.ask(&format!("/detokenize {ids}")).trim().to_owned()
}
