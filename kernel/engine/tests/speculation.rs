//! Drafts save passes and change nothing: the same tokens greedily and sampled, whatever is accepted, also after a cancel.

mod support;

use std::sync::atomic::Ordering;

use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RecordKind, RequestHeader, Sampling, Speculation};
use support::engine::{Answer, Ask, FakeKernel, boot, generate, run};
use support::{cases, tiny_model};

const TOKENS: u32 = 40;

/// Something that repeats itself.
fn repetitive() -> Vec<u32> {
    let words = &cases("tiny/f16-f32.json")[0].prompt_ids[..9];
    words.iter().cycle().take(40).copied().collect()
}

/// Lets even a model of random weights repeat itself: what was there is preferred.
fn parrot(temperature: f32, seed: u64) -> Sampling {
    Sampling { temperature, seed, repeat_penalty: 0.5, ..Sampling::default() }
}

/// No two neighbouring tokens come twice.
fn unique() -> Vec<u32> {
    (300..360).collect()
}

fn ask(prompt: &[u32], sampling: Sampling, speculation: Speculation) -> Vec<u8> {
    let header = RequestHeader { ignore_end: true, sampling, speculation, ..generate(TOKENS) };
    Ask::new(header).ids(RecordKind::TokenIds, prompt).build()
}

fn one(file: &[u8], kernel: &FakeKernel, request: Vec<u8>) -> Answer {
    run(file, &boot(0), kernel, vec![request]).remove(1)
}

#[test]
fn the_tokens_are_the_same_greedily_and_sampled() {
    for model in ["q4_0.gguf", "q4_k_m.gguf"] {
        let file = tiny_model(model);
        for prompt in [repetitive(), unique()] {
            for sampling in [parrot(0.0, 1), parrot(0.8, 4)] {
                let [off, on, auto] = [Speculation::Off, Speculation::On, Speculation::Auto]
                    .map(|mode| one(&file, &FakeKernel::default(), ask(&prompt, sampling, mode)));
                for (other, mode) in [(&on, "on"), (&auto, "auto")] {
                    assert_eq!(other.text, off.text, "{model}, {mode}, {sampling:?}");
                    assert_eq!(other.outcome.stop_reason, StopReason::MaxTokens);
                    assert_eq!(other.outcome.generated_tokens, TOKENS);
                    assert_eq!(other.outcome.context_used_tokens, off.outcome.context_used_tokens);
                }
                assert_eq!((off.outcome.drafted_tokens, off.outcome.decode_passes), (0, TOKENS - 1));
            }
        }
    }
}

#[test]
fn a_repetitive_text_takes_fewer_passes() {
    let file = tiny_model("q4_0.gguf");
    let answer = |mode| one(&file, &FakeKernel::default(), ask(&repetitive(), parrot(0.0, 1), mode)).outcome;
    let (off, on, auto) = (answer(Speculation::Off), answer(Speculation::On), answer(Speculation::Auto));
    for outcome in [on, auto] {
        assert!(outcome.accepted_tokens > 0, "{outcome:?}");
        // The last token may have been foreseen without being run.
        let chosen = outcome.decode_passes + outcome.accepted_tokens;
        assert!(chosen == TOKENS - 1 || chosen == TOKENS, "{outcome:?}");
        assert!(outcome.decode_bytes < off.decode_bytes, "{outcome:?} {off:?}");
    }
    assert!(2 * on.decode_passes < off.decode_passes, "{on:?}");
}

#[test]
fn without_acceptance_every_pass_gives_its_token() {
    let file = tiny_model("q4_0.gguf");
    let prompt = unique();
    let hot = Sampling { temperature: 5.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 11, ..Sampling::default() };
    let outcome = one(&file, &FakeKernel::default(), ask(&prompt, hot, Speculation::On)).outcome;
    assert_eq!((outcome.accepted_tokens, outcome.decode_passes), (0, TOKENS - 1), "{outcome:?}");
}

#[test]
fn a_cancel_within_a_verification_leaves_no_trace() {
    let file = tiny_model("q4_0.gguf");
    let prompt = repetitive();
    let request = |mode| ask(&prompt, parrot(0.0, 1), mode);
    let whole = one(&file, &FakeKernel::default(), request(Speculation::Off));
    for step in 8..14 {
        let kernel = FakeKernel::default();
        kernel.cancel_at_step.store(step, Ordering::SeqCst);
        let answers = run(&file, &boot(0), &kernel, vec![request(Speculation::On)]);
        let (outcome, text) = (answers[1].outcome, &answers[1].text);
        assert_eq!(outcome.stop_reason, StopReason::Cancelled);
        assert!(outcome.generated_tokens > 0 && whole.text.starts_with(text.trim_end_matches('\u{FFFD}')), "{text:?}");
        // What is in the session is what was verified: the last token was not run yet.
        assert_eq!(outcome.context_used_tokens, prompt.len() as u32 + outcome.generated_tokens - 1, "step {step}");
        // Going on from there gives the same.
        let kernel = FakeKernel { cancelled_slot: 0, ..FakeKernel::default() };
        kernel.cancel_at_step.store(step, Ordering::SeqCst);
        let answers = run(&file, &boot(0), &kernel, vec![request(Speculation::On), request(Speculation::On)]);
        assert_eq!(answers[2].text, whole.text);
    }
}

#[test]
fn drafts_go_with_other_sessions() {
    let file = tiny_model("q4_k_m.gguf");
    let requests = |mode| {
        vec![
            ask(&repetitive(), parrot(0.0, 1), mode),
            ask(&repetitive(), parrot(0.7, 2), mode),
            ask(&unique(), Sampling { temperature: 0.7, seed: 3, ..Sampling::default() }, mode),
        ]
    };
    let boot = barellama_abi::boot_info::BootInfo { sessions: 3, ..boot(0) };
    let alone = run(&file, &boot, &FakeKernel::default(), requests(Speculation::Off));
    let together = run(&file, &boot, &FakeKernel::concurrent(), requests(Speculation::On));
    for (alone, together) in alone.iter().zip(&together).skip(1) {
        assert_eq!(together.text, alone.text);
    }
    assert!(together[1].outcome.accepted_tokens > 0);
}
