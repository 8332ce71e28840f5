//! Several models on a card: the menu at boot, `/models`, and `/load` without a reboot, well or not.

use std::path::{Path, PathBuf};

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};
use tempfile::TempDir;

/// The files of a card that stand in no folder of the project.
struct Sources {
    directory: TempDir,
}

impl Sources {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

/// Two models in the root, one in a folder.
fn card_of_three(more: &[(&str, &Path)]) -> Card {
    let (q4_0, iq2_xs, q2_k) = (artifacts::tiny("q4_0"), artifacts::tiny("iq2_xs"), artifacts::tiny("q2_k"));
    let mut files = vec![
        ("a-q4_0.gguf", q4_0.as_path()),
        ("b-iq2_xs.gguf", iq2_xs.as_path()),
        ("models/c-q2_k.gguf", q2_k.as_path()),
    ];
    files.extend(more);
    Card::with_files(CardSize::Auto, &files)
}

/// The answer of the model that is loaded to the same question: different models give different ones.
fn answer(machine: &mut Machine) -> String {
    machine.ask("/set max_tokens 12");
    machine.ask("/reset");
    machine.chat("Tell me something about rivers.").text
}

/// The machine with the first model of the menu.
#[track_caller]
fn boot_with_the_first(card: &Card) -> Machine {
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("without an answer", SHORT);
    machine.expect_prompt(SHORT);
    machine.send("\r");
    machine.expect_ready();
    machine
}

#[test]
fn the_menu_takes_the_first_model_after_a_while_and_a_person_may_choose() {
    let card = card_of_three(&[]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let menu = machine.expect("without an answer number 1 is loaded", SHORT);
    for row in ["The card has 3 models", "1  a-q4_0.gguf", "2  b-iq2_xs.gguf", "3  models/c-q2_k.gguf", "2.4 MB"] {
        assert!(menu.contains(row), "{row:?} is not in:\n{menu}");
    }
    machine.expect("a-q4_0.gguf: CRC-32", LONG);
    machine.expect_ready();

    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("without an answer number 1 is loaded", SHORT);
    machine.expect_prompt(SHORT);
    assert!(machine.ask("9").contains("the card has models 1 to 3"));
    machine.send("3\r");
    machine.expect("models/c-q2_k.gguf: CRC-32", LONG);
    machine.expect_ready();
}

#[test]
fn the_menu_is_left_out_where_nobody_has_to_choose() {
    let sources = Sources::new();
    // A number of the list in barellama.txt.
    let chosen = card_of_three(&[("barellama.txt", &sources.file("chosen.txt", b"model = 3\n"))]);
    let mut machine = Machine::raspi4b().card(&chosen.path()).boot();
    let shown = machine.expect("models/c-q2_k.gguf: CRC-32", LONG);
    machine.expect_ready();
    assert!(!shown.contains("The card has 3 models"), "{shown}");

    // Prompts that run by themselves.
    let autorun = card_of_three(&[
        ("barellama.txt", &sources.file("autorun.txt", b"autorun = prompts.txt\nmax_tokens = 2\n")),
        ("prompts.txt", &sources.file("prompts.txt", b"Hello\n")),
    ]);
    let mut machine = Machine::raspi4b().card(&autorun.path()).boot();
    let shown = machine.expect("a-q4_0.gguf: CRC-32", LONG);
    assert!(!shown.contains("The card has 3 models"), "{shown}");
    assert!(machine.expect_exit(LONG).success(), "{}", machine.transcript());

    // A program that speaks while the menu waits.
    let card = card_of_three(&[]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("without an answer number 1 is loaded", SHORT);
    let client = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}"#;
    machine.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{{client}}}}}\n"));
    // Only the answer has it, not the line that is echoed.
    machine.expect(r#""serverInfo""#, SHORT);
    machine.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n/console\n");
    // A menu that still waited would take the number; it would have been open for 20 s from the last byte that was typed.
    machine.send("2\r");
    let shown = machine.expect_ready();
    assert!(shown.contains("a-q4_0.gguf: CRC-32"), "{shown}");
}

#[test]
#[ignore = "takes two minutes: run it by its name"]
fn fifty_loads_leave_nothing_behind() {
    let card = card_of_three(&[]);
    let mut machine = boot_with_the_first(&card);
    let first = answer(&mut machine);
    let heap = |shown: String| shown.lines().find(|line| line.starts_with("kernel heap")).unwrap().to_owned();
    // The first round of all three finds what the kernel keeps for good.
    for name in ["2", "3", "1"] {
        assert!(machine.ask(&format!("/load {name}")).contains("Ready."));
    }
    assert_eq!(answer(&mut machine), first);
    let (memory, model, used) = (machine.ask("/mem"), machine.ask("/model"), heap(machine.ask("/status")));
    for load in 0..50 {
        let name = ["2", "3", "1"][load % 3];
        assert!(machine.ask(&format!("/load {name}")).contains("Ready."), "load {load}");
    }
    assert!(machine.ask("/load 1").contains("Ready."));
    assert_eq!(answer(&mut machine), first);
    assert_eq!(machine.ask("/mem"), memory);
    assert_eq!(machine.ask("/model"), model);
    assert_eq!(heap(machine.ask("/status")), used);
    println!("{used}\n{memory}");
}

#[test]
fn models_are_changed_without_a_reboot() {
    let card = card_of_three(&[]);
    let mut machine = boot_with_the_first(&card);
    let first = answer(&mut machine);
    let memory = machine.ask("/mem");

    let shown = machine.ask("/load 2");
    assert!(shown.contains("b-iq2_xs.gguf: CRC-32") && shown.contains("Ready."), "{shown}");
    let second = answer(&mut machine);
    assert_ne!(first, second);
    let listed = machine.ask("/models");
    let loaded = listed.lines().filter(|line| line.contains("loaded")).collect::<Vec<_>>();
    assert_eq!(loaded.len(), 1, "{listed}");
    assert!(loaded[0].contains("b-iq2_xs.gguf"), "{listed}");

    // By path, by name alone, by number; the last one gives back what the first answered, in the memory of the first.
    for name in ["models/c-q2_k.gguf", "b-iq2_xs", "3", "/models/C-Q2_K.GGUF", "a-q4_0.gguf"] {
        let shown = machine.ask(&format!("/load {name}"));
        assert!(shown.contains("Ready."), "{name}: {shown}");
    }
    assert_eq!(answer(&mut machine), first);
    assert_eq!(machine.ask("/mem"), memory, "every load is planned into the same memory");
    let status = machine.ask("/status");
    assert!(status.contains("a-q4_0.gguf") && status.contains("0 faults, 0 restarts"), "{status}");
}

#[test]
fn what_cannot_be_loaded_leaves_a_board_that_can() {
    let sources = Sources::new();
    let noise = sources.file("noise.gguf", &b"GGUF but then nothing that makes sense".repeat(1000));
    let wrong_sum = sources.file("sum.crc32", b"12345678  sum.gguf\n");
    let empty = sources.file("empty.gguf", b"");
    let sum = artifacts::tiny("q3_k_m");
    let more = [
        ("noise.gguf", noise.as_path()),
        ("sum.gguf", sum.as_path()),
        ("sum.crc32", wrong_sum.as_path()),
        ("empty.gguf", empty.as_path()),
        ("barellama.txt", &sources.file("barellama.txt", b"model = c-q2_k\n")),
    ];
    let card = card_of_three(&more.map(|(name, path): (&str, &Path)| (name, path)));
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("models/c-q2_k.gguf: CRC-32", LONG);
    machine.expect_ready();
    let before = answer(&mut machine);

    // What is known before anything is given up leaves the model where it is.
    for (name, sentence) in [
        ("nothing.gguf", "the card has no model of this name"),
        ("77", "the card has models 1 to 6"),
        ("models/nothing.gguf", "the card has no file of this name"),
        ("empty.gguf", "the file is empty"),
    ] {
        let shown = machine.ask(&format!("/load {name}"));
        assert!(shown.contains(sentence), "{name}: {sentence:?} is not in:\n{shown}");
    }
    assert_eq!(answer(&mut machine), before);
    // What is found later is said, and the way back is offered, also after the second failure, and works.
    for (name, sentence) in [("noise.gguf", "The model was refused:"), ("sum.gguf", "instead of 12345678")] {
        let shown = machine.ask(&format!("/load {name}"));
        assert!(shown.contains(sentence), "{name}: {sentence:?} is not in:\n{shown}");
        assert!(shown.contains("/load models/c-q2_k.gguf takes the model back"), "{shown}");
        let refused = machine.ask("Is anybody there?");
        assert!(refused.contains("The engine cannot answer now"), "{refused}");
    }
    assert!(machine.ask("/load models/c-q2_k.gguf").contains("Ready."));
    assert_eq!(answer(&mut machine), before);
}

#[test]
fn a_placed_model_makes_room_for_those_of_a_card_with_more_than_are_listed() {
    // More models than the list has room for: 16 of the root and its first folders, the others by path or by name.
    let sources = Sources::new();
    let (small, iq2_xs) = (sources.file("small.gguf", b"GGUF"), artifacts::tiny("iq2_xs"));
    let names = (1..=13).map(|number| format!("n{number:02}.gguf")).collect::<Vec<_>>();
    let mut more = names.iter().map(|name| (name.as_str(), small.as_path())).collect::<Vec<_>>();
    more.extend([("models/old/first.gguf", iq2_xs.as_path()), ("models/old/second one.gguf", iq2_xs.as_path())]);
    let card = card_of_three(&more);
    let placed = artifacts::tiny("q8_0");
    let mut machine = Machine::raspi4b().placed_model(&placed).card(&card.path()).boot();
    machine.expect_ready();
    let shown = machine.ask("/models");
    assert!(shown.contains("placed in memory by the firmware") && shown.contains("1  a-q4_0.gguf"), "{shown}");
    let before = answer(&mut machine);
    assert!(machine.ask("/load 1").contains("Ready."));
    assert_ne!(answer(&mut machine), before);
    let shown = machine.ask("/models");
    assert!(shown.contains("16  models/c-q2_k.gguf") && shown.contains("and 2 more"), "{shown}");
    assert!(!shown.contains("placed"), "{shown}");
    for (name, path) in
        [("models/OLD/first.gguf", "models/OLD/first.gguf"), ("second one", "models/old/second one.gguf")]
    {
        let shown = machine.ask(&format!("/load {name}"));
        assert!(shown.contains(&format!("{path}: CRC-32")) && shown.contains("Ready."), "{shown}");
    }
    let shown = machine.ask("/load third");
    assert!(shown.contains("Not loaded: the card has no model of this name"), "{shown}");
}

#[test]
fn a_load_can_be_stopped() {
    let smollm2 = artifacts::smollm2();
    let card = card_of_three(&[("smollm2.gguf", smollm2.as_path())]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    machine.expect("without an answer", SHORT);
    machine.expect_prompt(SHORT);
    machine.send("a-q4_0\r");
    machine.expect_ready();
    machine.send("/load smollm2\r");
    machine.expect("of 98.3 MB", LONG);
    machine.send("\x03");
    machine.expect("smollm2.gguf was not loaded: it was stopped.", SHORT);
    machine.expect("/load a-q4_0.gguf takes the model back", SHORT);
    machine.expect_prompt(SHORT);
    assert!(machine.ask("/load a-q4_0.gguf").contains("Ready."));
}
