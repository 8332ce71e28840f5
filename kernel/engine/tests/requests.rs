//! The whole engine under a fake kernel: requests in, text, JSON lines and outcomes out.

mod support;

use std::sync::atomic::Ordering;

use barellama_abi::boot_info::BootInfo;
use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RecordKind, RequestHeader, RequestKind};
use support::engine::{Ask, FakeKernel, ask_all, boot, generate, lines, run};
use support::{Case, cases, tiny_model};

fn score(max_tokens: u32) -> RequestHeader {
    RequestHeader { kind: RequestKind::Score, max_tokens, ..RequestHeader::default() }
}

fn case(name: &str) -> Case {
    cases("tiny/f16-f32.json").into_iter().find(|case| case.name == name).unwrap()
}

#[test]
fn preparing_reports_the_model_and_its_plan() {
    let answers = run(&tiny_model("q4_k_m.gguf"), &boot(0), &FakeKernel::default(), Vec::new());
    let report = &answers[0].report;
    for part in ["tinyllama-shaped random", "q4_K", "needs", "of 64.0 MiB; context 2048 tokens", "kv cache", "heap"] {
        assert!(report.contains(part), "{part} is not in:\n{report}");
    }
}

#[test]
fn a_refused_model_says_why_and_refuses_every_request() {
    let request = Ask::new(generate(1)).text(RecordKind::User, "hi").build();
    let answers = run(b"not a model at all", &boot(0), &FakeKernel::default(), vec![request]);
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert!(answer.error.contains("not a GGUF file"), "{}", answer.error);
        assert_eq!(answer.outcome.stop_reason, StopReason::Error);
    }
    let small = BootInfo { arena_bytes: 2 << 20, ..boot(0) };
    let answers = run(&tiny_model("f16.gguf"), &small, &FakeKernel::default(), Vec::new());
    assert!(answers[0].error.starts_with("needs "), "{}", answers[0].error);
    let long = BootInfo { arena_bytes: 9 << 20, ..boot(2048) };
    let answers = run(&tiny_model("f16.gguf"), &long, &FakeKernel::default(), Vec::new());
    assert!(answers[0].error.contains("; context <= "), "{}", answers[0].error);
}

#[test]
fn answers_are_the_references_text() {
    let reference = support::read(support::root().join("tests/reference/tiny/f16.json"));
    let reference: serde_json::Value = serde_json::from_slice(&reference).unwrap();
    let requests: Vec<Ask> = reference
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            let mut ask = Ask::new(RequestHeader { ignore_end: true, ..generate(8) });
            for message in case["messages"].as_array().unwrap() {
                let kind = match message["role"].as_str().unwrap() {
                    "system" => RecordKind::System,
                    "user" => RecordKind::User,
                    _ => RecordKind::Assistant,
                };
                ask = ask.text(kind, message["content"].as_str().unwrap());
            }
            ask
        })
        .collect();
    for (answer, case) in ask_all(requests).iter().zip(reference.as_array().unwrap()) {
        let name = case["name"].as_str().unwrap();
        assert_eq!(answer.outcome.prompt_tokens as usize, case["prompt_ids"].as_array().unwrap().len(), "{name}");
        assert_eq!(answer.outcome.stop_reason, StopReason::MaxTokens, "{name}: {}", answer.error);
        assert_eq!(answer.outcome.generated_tokens, 8);
        // Where a margin is small the product may rightly choose another token than llama.cpp's build.
        let margins = case["margins"].as_array().unwrap();
        if margins[..8].iter().all(|margin| margin.as_f64().unwrap() > 0.02) {
            let text = case["text"].as_str().unwrap();
            assert!(text.starts_with(answer.text.trim_end_matches('\u{FFFD}')), "{name}: {:?}", answer.text);
        }
    }
}

#[test]
fn score_gives_a_line_per_step_and_the_same_bits_however_it_is_computed() {
    let case = case("english");
    let request = |header: RequestHeader| {
        Ask::new(header).ids(RecordKind::TokenIds, &case.prompt_ids).ids(RecordKind::ForcedIds, &case.greedy_ids)
    };
    let reset = || Ask::new(RequestHeader { kind: RequestKind::Reset, ..RequestHeader::default() });
    let answers = ask_all(vec![
        request(score(64)),
        reset(),
        request(RequestHeader { cores: 1, chunk_tokens: 1, ..score(64) }),
        request(RequestHeader { chunk_tokens: 5, ..score(64) }),
        request(RequestHeader { session: 1, ..score(0) }),
    ]);
    let first = &answers[0];
    let steps = lines(&first.json);
    assert_eq!(steps.len(), 64);
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], index);
        assert_eq!(step["top"].as_array().unwrap().len(), 5);
        assert_eq!(step["top"][0][0], step["id"]);
        assert_eq!(step["crc"].as_str().unwrap().len(), 8);
        if case.margins[index] > 0.02 {
            assert_eq!(step["id"], case.greedy_ids[index], "step {index}");
        }
    }
    for &(id, logit) in &case.top {
        let found = steps[0]["top"].as_array().unwrap().iter().find(|pair| pair[0] == id).unwrap();
        assert!((found[1].as_f64().unwrap() - logit).abs() < 0.01);
    }
    for other in [2, 3, 4] {
        assert_eq!(answers[other].json, first.json, "request {other}");
    }
    assert_eq!(answers[2].outcome.reused_tokens, 0);
    assert_eq!(answers[3].outcome.reused_tokens as usize, case.prompt_ids.len() - 1);
}

#[test]
fn score_without_forced_ids_is_greedy() {
    let case = case("code");
    let prompt = |header| Ask::new(header).ids(RecordKind::TokenIds, &case.prompt_ids);
    let answers = ask_all(vec![prompt(score(6)), prompt(RequestHeader { ignore_end: true, ..generate(6) })]);
    let ids: Vec<u32> = lines(&answers[0].json).iter().map(|step| step["id"].as_u64().unwrap() as u32).collect();
    assert_eq!(ids.len(), 6);
    let text = ask_all(vec![
        Ask::new(RequestHeader { kind: RequestKind::Detokenize, ..RequestHeader::default() })
            .ids(RecordKind::TokenIds, &ids),
    ]);
    assert_eq!(answers[1].text.trim_start(), text[0].text.trim_start());
}

#[test]
fn a_cancel_keeps_what_was_computed() {
    let case = case("long700");
    let kernel = FakeKernel::default();
    let request =
        || Ask::new(RequestHeader { chunk_tokens: 16, ..generate(2) }).ids(RecordKind::TokenIds, &case.prompt_ids);
    // Two layers a chunk: ten whole chunks, then the cancel is seen.
    kernel.cancel_at_step.store(21, Ordering::SeqCst);
    let file = tiny_model("q4_0.gguf");
    let answers = run(&file, &boot(0), &kernel, vec![request().build()]);
    assert_eq!(answers[1].outcome.stop_reason, StopReason::Cancelled);
    assert_eq!(answers[1].outcome.context_used_tokens, 160);
    assert_eq!(answers[1].outcome.generated_tokens, 0);
}

#[test]
fn a_second_turn_reuses_the_first() {
    let case = case("english");
    let longer: Vec<u32> = case.prompt_ids.iter().chain(&case.greedy_ids[..5]).copied().collect();
    let other: Vec<u32> = case.prompt_ids[..10].iter().chain(&[7, 8, 9]).copied().collect();
    let request =
        |ids: &[u32]| Ask::new(RequestHeader { ignore_end: true, ..generate(3) }).ids(RecordKind::TokenIds, ids);
    let answers = ask_all(vec![request(&case.prompt_ids), request(&longer), request(&other)]);
    let reused: Vec<u32> = answers.iter().map(|answer| answer.outcome.reused_tokens).collect();
    // The first answer's last token was never run.
    assert_eq!(reused, [0, case.prompt_ids.len() as u32 + 2, 10]);
}

#[test]
fn the_end_of_the_context_is_reported() {
    let case = case("english");
    let request = |ids: &[u32]| {
        Ask::new(RequestHeader { ignore_end: true, ..generate(0) }).ids(RecordKind::TokenIds, ids).build()
    };
    let too_long: Vec<u32> = case.prompt_ids.iter().cycle().take(65).copied().collect();
    let requests = vec![request(&case.prompt_ids), request(&too_long)];
    let answers = run(&tiny_model("f16.gguf"), &boot(64), &FakeKernel::default(), requests);
    let full = &answers[1].outcome;
    assert_eq!((full.stop_reason, full.context_used_tokens, full.context_tokens), (StopReason::ContextFull, 64, 64));
    // The last token comes out of a full context and is not fed again.
    assert_eq!(full.generated_tokens as usize, 64 - case.prompt_ids.len() + 1);
    assert_eq!(answers[2].outcome.stop_reason, StopReason::Error);
    assert!(answers[2].error.contains("65") && answers[2].error.contains("64"), "{}", answers[2].error);
}

#[test]
fn stop_strings_end_the_answer_and_are_not_shown() {
    let case = case("english");
    let request =
        || Ask::new(RequestHeader { ignore_end: true, ..generate(12) }).ids(RecordKind::TokenIds, &case.prompt_ids);
    let whole = ask_all(vec![request()])[0].text.clone();
    let middle = whole.chars().count() / 2;
    let stop: String = whole.chars().skip(middle).take(3).collect();
    let answers = ask_all(vec![request().text(RecordKind::Stop, &stop)]);
    assert_eq!(answers[0].outcome.stop_reason, StopReason::StopString);
    assert_eq!(answers[0].text, whole[..whole.find(&stop).unwrap()]);
}

#[test]
fn text_requests_give_ids_and_text_back() {
    let kind = |kind| RequestHeader { kind, ..RequestHeader::default() };
    let reference = support::read(support::root().join("tests/reference/tiny/f16.json"));
    let reference: serde_json::Value = serde_json::from_slice(&reference).unwrap();
    let case = &reference[0];
    let templated = case["templated"].as_str().unwrap();
    let answers = ask_all(vec![
        Ask::new(kind(RequestKind::Render)).text(RecordKind::User, case["prompt"].as_str().unwrap()),
        Ask::new(kind(RequestKind::Tokenize)).text(RecordKind::Prompt, templated),
        Ask::new(kind(RequestKind::Describe)),
        Ask::new(kind(RequestKind::Tokenize)),
    ]);
    assert_eq!(answers[0].text, templated);
    assert_eq!(lines(&answers[1].json)[0], case["prompt_ids"]);
    assert!(answers[2].report.contains("blk.1.ffn_down.weight"));
    assert_eq!(answers[3].outcome.stop_reason, StopReason::Error);
}

#[test]
fn a_request_names_its_chat_template_or_brings_it() {
    let header = RequestHeader { kind: RequestKind::Render, ..RequestHeader::default() };
    let ask = |template| Ask::new(header).text(RecordKind::User, "Hi").text(RecordKind::ChatTemplate, template);
    let cases = [
        ("auto", "<|user|>\nHi</s>\n<|assistant|>\n"),
        ("zephyr", "<|user|>\nHi</s>\n<|assistant|>\n"),
        ("none", "Hi"),
        ("chatml", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
        ("llama2", "<s>[INST] Hi [/INST]"),
        (
            "llama3",
            "<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        ("({{ messages[0].content }})", "(Hi)"),
    ];
    let answers = ask_all(cases.iter().map(|(template, _)| ask(template)).collect());
    for (answer, (template, expected)) in answers.iter().zip(cases) {
        assert_eq!(answer.text, expected, "{template}");
    }
}

#[test]
fn bad_requests_are_refused_and_the_next_is_answered() {
    let ids = |header, ids: &[u32]| Ask::new(header).ids(RecordKind::TokenIds, ids);
    let mut requests: Vec<Vec<u8>> = [
        Ask::new(generate(1)),
        ids(generate(1), &[4096]),
        ids(generate(1), &[]),
        ids(score(1), &[]),
        ids(RequestHeader { session: 2, ..generate(1) }, &[1]),
        ids(RequestHeader { top: 65, ..score(1) }, &[1]),
        Ask::new(generate(1)).bytes(RecordKind::Prompt, &[0xFF, 0xFE]),
        Ask::new(generate(1)).text(RecordKind::User, "x").text(RecordKind::ChatTemplate, "{% for %}"),
    ]
    .into_iter()
    .map(Ask::build)
    .collect();
    requests.push(vec![1, 0, 0, 0, 9]);
    requests.push(ids(generate(1), &[1, 2, 3]).build());
    let answers = run(&tiny_model("q8_0.gguf"), &boot(0), &FakeKernel::default(), requests).split_off(1);
    let (last, refused) = answers.split_last().unwrap();
    assert_eq!(refused.len(), 9);
    for answer in refused {
        assert_eq!(answer.outcome.stop_reason, StopReason::Error);
        assert!(!answer.error.is_empty());
    }
    assert_ne!(last.outcome.stop_reason, StopReason::Error);
}
