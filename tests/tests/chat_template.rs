//! The setting `chat_template`: the model's own, a known name, Jinja, or a file on the card; and a model without one.

use barellama_tests::card::Card;
use barellama_tests::{Machine, artifacts};

const HELLO: &str = "/render Hello";

#[test]
fn a_template_comes_from_the_card_from_a_name_or_from_the_model() {
    let model = artifacts::tiny("q4_0");
    let texts = [
        ("barellama.txt", "chat_template = own.jinja\n"),
        ("own.jinja", "{% for message in messages %}[{{ message.content | upper }}]{% endfor %}"),
        ("empty.jinja", "\n"),
        ("broken.jinja", "{% for %}"),
    ];
    let card = Card::with_model_and_texts(&model, &texts);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect_ready();
    let cases = [
        ("own.jinja", "[HELLO]"),
        ("none", "Hello"),
        ("chatml", "<|im_start|>user"),
        ("llama2", "[INST] Hello [/INST]"),
        ("llama3", "<|start_header_id|>user<|end_header_id|>"),
        ("auto", "<|user|>"),
        ("\"({{ messages[0].content }})\"", "(Hello)"),
        ("broken.jinja", "chat template, line 1"),
    ];
    assert!(machine.ask(HELLO).contains("[HELLO]"), "the one of barellama.txt");
    for (value, expected) in cases {
        machine.ask(&format!("/set chat_template {value}"));
        let shown = machine.ask(HELLO);
        assert!(shown.contains(expected), "{value}: {shown}");
    }
    for (value, problem) in [("empty.jinja", "the file is empty"), ("zephir", "zephyr")] {
        let shown = machine.ask(&format!("/set chat_template {value}"));
        assert!(shown.contains(problem) && shown.contains("The model's own is used"), "{shown}");
        assert!(machine.ask(HELLO).contains("<|user|>"), "{value}");
    }
}

#[test]
fn a_model_without_a_template_continues_what_is_typed_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain.gguf");
    let mut file = std::fs::read(artifacts::tiny("q4_0")).unwrap();
    let key = b"tokenizer.chat_template";
    let at = file.windows(key.len()).position(|window| window == key).unwrap();
    file[at..at + key.len()].copy_from_slice(b"tokenizer.lost_template");
    std::fs::write(&path, file).unwrap();
    let mut machine = Machine::raspi4b().placed_model(&path).boot();
    let shown = machine.expect_ready();
    assert!(shown.contains("no chat template in the file"), "{shown}");
    let shown = machine.ask(HELLO);
    assert!(shown.contains("Hello") && !shown.contains("<|"), "{shown}");
    machine.ask("/set max_tokens 3");
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
}
