//! A card whose controller can write to memory itself, which no Raspberry Pi of QEMU has: an SD controller on PCI of `virt`.

use barellama_tests::card::Card;
use barellama_tests::score::Score;
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

/// What QEMU's controller says of itself, without the bit for ADMA2.
const WITHOUT_ADMA2: &str = ",capareg=0x057034b4";

/// Boots with the tiny model on a card and returns the log and what the model chooses.
fn boot(controller_options: &str) -> (String, Score) {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[]);
    let mut machine = Machine::virt_with_pci("cortex-a72").card_on_pci(&card.path(), controller_options).boot();
    machine.expect_ready();
    let log = machine.ask("/log");
    let score = machine.score(&request());
    (log, score)
}

fn request() -> serde_json::Value {
    let case = &reference::cases("tiny/q4_0-f32.json")[0];
    json!({"ids": case.prompt_ids, "steps": 4})
}

#[test]
fn a_model_comes_by_adma2_and_without_it_by_the_processor() {
    let expected = Machine::with_model(&artifacts::tiny("q4_0")).score(&request());
    let (log, score) = boot("");
    for text in ["SDHCI: ADMA2, compared to programmed input", "card of 67 MB on SDHCI", "high speed, ADMA2"] {
        assert!(log.contains(text), "{text:?} is not in:\n{log}");
    }
    assert!(!log.contains("given up"), "{log}");
    assert_eq!(score.checksums(), expected.checksums());

    let (log, score) = boot(WITHOUT_ADMA2);
    assert!(log.contains("high speed, programmed input") && !log.contains("ADMA2"), "{log}");
    assert_eq!(score.checksums(), expected.checksums());
}
