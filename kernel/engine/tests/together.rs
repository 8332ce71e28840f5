//! Several requests in one pass: each gets what it would have got alone, and ends alone.

mod support;

use std::sync::atomic::Ordering;

use barellama_abi::boot_info::{BootInfo, KvFormat};
use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RecordKind, RequestHeader, RequestKind, Sampling, Speculation};
use support::engine::{Answer, Ask, FakeKernel, boot, generate, run};
use support::{cases, tiny_model};

/// Types of each kind of arithmetic.
const MODELS: [&str; 3] = ["q4_0.gguf", "q4_k_m.gguf", "f16.gguf"];

fn sessions(sessions: u32) -> BootInfo {
    BootInfo { sessions, ..boot(0) }
}

/// Prompts of different lengths: two short ones, and one that takes several chunks while the others generate.
fn requests(speculation: Speculation) -> Vec<Vec<u8>> {
    let cases = cases("tiny/f16-f32.json");
    let prompt = |name: &str| cases.iter().find(|case| case.name == name).unwrap().prompt_ids.clone();
    let sampling = |seed| Sampling { temperature: 0.9, seed, ..Sampling::default() };
    let header =
        |max_tokens, sampling| RequestHeader { ignore_end: true, sampling, speculation, ..generate(max_tokens) };
    let answer = |header, ids: &[u32]| Ask::new(header).ids(RecordKind::TokenIds, ids).build();
    let scores = RequestHeader { kind: RequestKind::Score, max_tokens: 9, ..RequestHeader::default() };
    vec![
        answer(header(24, Sampling::default()), &prompt("english")),
        answer(header(30, sampling(7)), &prompt("code")),
        answer(header(12, sampling(8)), &prompt("long700")[..150]),
        answer(scores, &prompt("english")),
    ]
}

/// What a request said, and how it ended.
type Said<'a> = (StopReason, &'a str, &'a str, u32);

fn said(answers: &[Answer]) -> Vec<Said<'_>> {
    fn of(answer: &Answer) -> Said<'_> {
        let Answer { text, json, outcome, .. } = answer;
        (outcome.stop_reason, text, json, outcome.generated_tokens)
    }
    answers[1..].iter().map(of).collect()
}

#[test]
fn each_gets_the_same_bits_as_alone() {
    for model in MODELS {
        let file = tiny_model(model);
        let alone = run(&file, &sessions(4), &FakeKernel::default(), requests(Speculation::Off));
        assert!(alone[1..].iter().all(|answer| answer.error.is_empty() && answer.outcome.generated_tokens >= 9));
        for count in [2, 4] {
            let kernel = FakeKernel { handed_out_at: [(1, 20), (2, 33)].into(), ..FakeKernel::concurrent() };
            let together = run(&file, &sessions(count), &kernel, requests(Speculation::Off));
            assert_eq!(said(&together), said(&alone), "{model}, {count} sessions");
        }
    }
}

#[test]
fn with_a_cache_in_q8_0_too() {
    let file = tiny_model("q4_0.gguf");
    let boot = |count| BootInfo { kv_format: KvFormat::Q8_0, ..sessions(count) };
    let alone = run(&file, &boot(1), &FakeKernel::default(), requests(Speculation::Off));
    let together = run(&file, &boot(4), &FakeKernel::concurrent(), requests(Speculation::On));
    assert_eq!(said(&together), said(&alone));
    let f16 = run(&file, &sessions(1), &FakeKernel::default(), requests(Speculation::Off));
    assert_ne!(said(&f16), said(&alone), "the cache is rounded to eight bits");
}

#[test]
fn passes_over_the_weights_are_shared() {
    let file = tiny_model("q4_0.gguf");
    let bytes = |kernel: &FakeKernel, count| -> u64 {
        let answers = run(&file, &sessions(count), kernel, requests(Speculation::Off));
        answers[1..].iter().map(|answer| answer.outcome.decode_bytes).sum()
    };
    let (alone, together) = (bytes(&FakeKernel::default(), 4), bytes(&FakeKernel::concurrent(), 4));
    assert!(2 * together < alone, "{together} bytes together, {alone} one after the other");
    assert_eq!(bytes(&FakeKernel::concurrent(), 1), alone, "one session, one request at a time");
}

#[test]
fn one_is_cancelled_and_the_others_do_not_notice() {
    let file = tiny_model("q4_0.gguf");
    let alone = run(&file, &sessions(4), &FakeKernel::default(), requests(Speculation::Off));
    for (slot, step) in [(0, 40), (1, 41), (2, 9)] {
        let kernel = FakeKernel { cancelled_slot: slot, ..FakeKernel::concurrent() };
        kernel.cancel_at_step.store(step, Ordering::SeqCst);
        let answers = run(&file, &sessions(4), &kernel, requests(Speculation::Off));
        let (mut expected, found) = (said(&alone), said(&answers));
        assert_eq!(found[slot].0, StopReason::Cancelled, "slot {slot}");
        assert!(expected[slot].1.starts_with(found[slot].1) && found[slot].3 < expected[slot].3);
        expected[slot] = found[slot];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_session_that_is_busy_is_waited_for() {
    let file = tiny_model("q4_0.gguf");
    let ids = cases("tiny/f16-f32.json")[0].prompt_ids.clone();
    let ask = |tokens, last: u32| {
        let header = RequestHeader { session: 1, ignore_end: true, ..generate(tokens) };
        Ask::new(header).ids(RecordKind::TokenIds, &[&ids[..], &[last]].concat()).build()
    };
    let requests = || vec![ask(8, 7), ask(8, 9), ask(3, 7)];
    let alone = run(&file, &sessions(3), &FakeKernel::default(), requests());
    let together = run(&file, &sessions(3), &FakeKernel::concurrent(), requests());
    assert_eq!(said(&together), said(&alone));
    assert_eq!(together[2].outcome.reused_tokens as usize, ids.len());

    let kernel = FakeKernel { cancelled_slot: 1, ..FakeKernel::concurrent() };
    kernel.cancel_at_step.store(12, Ordering::SeqCst);
    let answers = run(&file, &sessions(3), &kernel, requests());
    assert_eq!((answers[2].outcome.stop_reason, answers[2].text.as_str()), (StopReason::Cancelled, ""));
    assert_eq!(answers[1].text, alone[1].text);
}

#[test]
fn conversations_find_their_sessions_again() {
    let file = tiny_model("q4_0.gguf");
    let [one, two] = ["english", "code"]
        .map(|name| cases("tiny/f16-f32.json").into_iter().find(|case| case.name == name).unwrap().prompt_ids);
    let ask =
        |ids: &[u32], more: &[u32]| Ask::new(generate(2)).ids(RecordKind::TokenIds, &[ids, more].concat()).build();
    let requests = vec![ask(&one, &[]), ask(&two, &[]), ask(&one, &[7, 8]), ask(&two, &[7, 8]), ask(&[5, 6, 7], &[])];
    let answers = run(&file, &sessions(2), &FakeKernel::default(), requests);
    let reused: Vec<usize> = answers[1..].iter().map(|answer| answer.outcome.reused_tokens as usize).collect();
    // What begins alike is copied.
    let common = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    assert_eq!(reused, [0, common, one.len(), two.len(), 0]);
}

#[test]
fn what_another_session_computed_is_copied_and_gives_the_same_bits() {
    let ids = cases("tiny/f16-f32.json").into_iter().find(|case| case.name == "long700").unwrap().prompt_ids;
    let header = RequestHeader { kind: RequestKind::Score, max_tokens: 5, ..RequestHeader::default() };
    let ask = |header, range: std::ops::Range<usize>| Ask::new(header).ids(RecordKind::TokenIds, &ids[range]).build();
    for model in MODELS {
        let file = tiny_model(model);
        let requests = || vec![ask(RequestHeader { session: 1, ..header }, 0..150), ask(header, 0..90)];
        let alone = run(&file, &sessions(2), &FakeKernel::default(), vec![ask(header, 0..90)]);
        let copied = run(&file, &sessions(2), &FakeKernel::default(), requests());
        assert_eq!(copied[2].outcome.reused_tokens, 89);
        assert_eq!(copied[2].json, alone[1].json, "{model}");
    }
}
