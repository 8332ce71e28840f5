//! A card that is pulled, while it is read or between two loads, and one that is put in instead: what is in memory goes on answering,
//! and the next `/load` or `/models` takes the card that is there.

use std::fs;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::SHORT;
use barellama_tests::monitor::Monitor;
use barellama_tests::{Machine, artifacts};

const NO_CARD: &str = "no SD card answers: put one in";

fn answer(machine: &mut Machine) -> String {
    machine.ask("/reset");
    machine.chat("Tell me something about rivers.").text
}

#[track_caller]
fn expect_all(machine: &mut Machine, line: &str, sentences: &[&str]) -> String {
    let shown = machine.ask(line);
    for sentence in sentences {
        assert!(shown.contains(sentence), "{line}: {sentence:?} is not in:\n{shown}");
    }
    shown
}

#[test]
fn a_pulled_card_is_told_and_the_next_one_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let half = directory.path().join("half");
    let whole = fs::read(artifacts::tiny("q4_0")).unwrap();
    fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    let (small, large) = (artifacts::tiny("iq2_xs"), artifacts::tiny("f16"));
    let first = Card::with_files(CardSize::Auto, &[("a-small.gguf", &small), ("large.gguf", &large)]);
    let second = Card::with_files(CardSize::Auto, &[("a-small.gguf", &half), ("half.gguf", &half)]);

    let socket = directory.path().join("monitor.sock");
    let mut machine = Machine::raspi4b().card(&first.path()).monitor_socket(&socket).boot();
    let slot = Monitor::new(&socket);
    machine.expect("without an answer", SHORT);
    machine.expect_prompt(SHORT);
    machine.send("1\r");
    machine.expect_ready();
    machine.ask("/set max_tokens 8");
    let before = answer(&mut machine);

    // Nothing is read, nobody notices; what needs the card says so and leaves the model alone.
    slot.pull_card();
    expect_all(&mut machine, "/models", &[NO_CARD]);
    expect_all(&mut machine, "/load large", &["Not loaded: ", NO_CARD]);
    assert_eq!(answer(&mut machine), before);

    // Another card, with a file that was cut: refused, and the way back is shown.
    slot.put_card(&second.path());
    let listed = expect_all(&mut machine, "/models", &["half.gguf", "a-small.gguf"]);
    assert!(!listed.contains("large.gguf") && !listed.contains("loaded"), "{listed}");
    slot.put_card(&first.path());
    expect_all(&mut machine, "/models", &["large.gguf", "loaded"]);
    slot.put_card(&second.path());
    let way_back = "/load a-small.gguf takes the model back";
    expect_all(&mut machine, "/load half.gguf", &["The model was refused:", way_back]);

    // The first one again, without asking for the list; and away with it while it is read.
    slot.put_card(&first.path());
    machine.send("/load large\r");
    machine.expect("of 7.4 MB", SHORT);
    slot.pull_card();
    let said = machine.expect(way_back, SHORT);
    for sentence in ["large.gguf was not loaded: block ", "take the card out and in"] {
        assert!(said.contains(sentence), "{sentence:?} is not in:\n{said}");
    }
    machine.expect_prompt(SHORT);
    expect_all(&mut machine, "Is anybody there?", &["The engine cannot answer now"]);
    slot.put_card(&first.path());
    expect_all(&mut machine, "/load a-small.gguf", &["Ready."]);
    assert_eq!(answer(&mut machine), before);
}
