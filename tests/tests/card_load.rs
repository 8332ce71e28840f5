//! The model is read from the card, whatever the size of the card.

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

/// Boots from a card of that size; the model that was read chooses what the placed one would.
#[track_caller]
fn load_and_score(size: CardSize) {
    let model = artifacts::tiny("q8_0");
    let card = Card::with_files(size, &[("A tiny model with a long name.gguf", &model)]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    assert!(loading.contains("MB/s"), "{loading}");
    let case = &reference::cases("tiny/q8_0-f32.json")[0];
    let request = json!({"ids": case.prompt_ids, "steps": 4});
    let from_card = machine.score(&request);
    let placed = Machine::with_model(&model).score(&request);
    assert_eq!(from_card, placed);
}

#[test]
fn standard_capacity() {
    load_and_score(CardSize::Bytes(64 << 20));
}

#[test]
fn high_capacity() {
    load_and_score(CardSize::Bytes(4 << 30));
}

#[test]
fn the_configuration_on_the_card_is_applied_and_its_errors_are_told() {
    let texts = [("barellama.txt", "context = 256\nmax_tokens = 3\nnonsense = 1\ntemperature = hot\nbaud = 4000000\n")];
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &texts);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    for text in ["line 3", "nonsense", "line 4", "temperature"] {
        assert!(loading.contains(text), "{text:?} is not in:\n{loading}");
    }
    // A rate that the UART cannot reach is never announced.
    assert!(loading.contains("instead of 4000000: it stays at 115200"), "{loading}");
    assert!(!loading.contains("The serial line goes on"), "{loading}");
    assert!(machine.ask("/set baud").contains("115200"));
    assert!(machine.ask("/set max_tokens").contains('3'));
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
}
