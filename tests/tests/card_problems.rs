//! A card with a problem is reported in a clear sentence, and the console lives on.

use std::fs;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};

/// Boots with a card, waits for the sentence, and asks the console for a sign of life.
#[track_caller]
fn boot_and_expect(card: Option<&Card>, sentence: &str) {
    let mut setup = Machine::raspi4b();
    if let Some(card) = card {
        setup = setup.card(&card.path());
    }
    let mut machine = setup.boot();
    machine.expect(sentence, SHORT);
    machine.expect_prompt(SHORT);
    let help = machine.ask("/help");
    assert!(help.contains("/status"), "{help}");
    let refused = machine.ask("Is anybody there?");
    assert!(refused.to_lowercase().contains("model"), "{refused}");
}

#[test]
fn no_card() {
    boot_and_expect(None, "no SD card answers");
}

#[test]
fn no_partition() {
    boot_and_expect(Some(&Card::with_bytes(&[])), "the card has no FAT partition");
}

#[test]
fn no_file_system() {
    let mut bytes = vec![0; 512];
    // One entry of type 0C at sector 2048, with 100,000 sectors of nothing.
    bytes[446..462].copy_from_slice(&[0, 0, 0, 0, 0x0C, 0, 0, 0, 0, 8, 0, 0, 0xA0, 0x86, 1, 0]);
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    boot_and_expect(Some(&Card::with_bytes(&bytes)), "not a FAT16 or FAT32 file system");
}

#[test]
fn no_model() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("readme.txt");
    fs::write(&text, "no model here").unwrap();
    let card = Card::with_files(CardSize::Auto, &[("readme.txt", &text)]);
    boot_and_expect(Some(&card), "the card has no model");
}

#[test]
fn a_truncated_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("half.gguf");
    let whole = fs::read(artifacts::tiny("q4_0")).unwrap();
    fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    let card = Card::with_files(CardSize::Auto, &[("half.gguf", &model)]);
    boot_and_expect(Some(&card), "The model was refused:");
}

#[test]
fn a_file_that_is_no_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("noise.gguf");
    fs::write(&model, b"GGUF but then nothing that makes sense".repeat(1000)).unwrap();
    let card = Card::with_files(CardSize::Auto, &[("noise.gguf", &model)]);
    boot_and_expect(Some(&card), "The model was refused:");
}
