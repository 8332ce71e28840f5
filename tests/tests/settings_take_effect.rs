//! Every key of `barellama.txt` does what it says: what is read from the card is used.

use barellama_tests::card::Card;
use barellama_tests::machine::LONG;
use barellama_tests::{Machine, artifacts};
use serde_json::json;

const PROMPT: &str = "Tell me something about rivers.";

/// As an editor of another system leaves it: byte order mark, CRLF, quotes, comments.
const FILE: &str = "\u{FEFF}# my board\r\n\
    context = 256\r\n\
    sessions = 2   # conversations\r\n\
    cores = 2\r\n\
    chunk = 4\r\n\
    baud = 57600\r\n\
    max_tokens = 12\r\n\
    system = \"Be kind # always.\"\r\n\
    chat_template = \"{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\"\r\n\
    temperature = 3\r\n\
    top_k = 0\r\n\
    top_p = 1\r\n\
    min_p = 0\r\n\
    repeat_penalty = 1\r\n\
    repeat_last = 32\r\n\
    seed = 5\r\n\
    model = model\r\n";

fn boot(file: &str) -> (Card, Machine) {
    let card = Card::with_model_and_texts(&artifacts::tiny("q4_0"), &[("barellama.txt", file)]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    assert!(!loading.contains("barellama.txt line"), "no line is refused:\n{loading}");
    (card, machine)
}

/// The answer to the one question, from an empty conversation.
fn answer(machine: &mut Machine) -> String {
    machine.ask("/reset");
    machine.chat(PROMPT).text
}

#[test]
fn what_the_file_sets_is_used() {
    let (_card, mut machine) = boot(FILE);
    assert!(machine.transcript().contains("The serial line goes on at 57600 bit/s."));
    let model = machine.ask("/model");
    assert!(model.contains("context 256 tokens"), "{model}");
    let rendered = machine.ask("/render Hello");
    assert!(rendered.contains("<system>Be kind # always.<user>Hello"), "{rendered}");
    // A second session exists, a third does not.
    machine.score(&json!({"ids": [300, 301], "steps": 2, "session": 1}));
    assert!(machine.ask(r#"/score {"ids":[300],"session":2}"#).contains("session"));
    // Two cores of four.
    let bench = machine.ask("/bench 4 2");
    assert!(!bench.lines().any(|line| line.trim_start().starts_with("4 ")), "{bench}");
    assert!(bench.lines().any(|line| line.trim_start().starts_with("2 ")), "{bench}");

    // Hot answers depend on the seed, and repeat with it; the same seed gives the same answer.
    let hot = answer(&mut machine);
    assert_eq!(answer(&mut machine), hot);
    machine.ask("/set seed 6");
    assert_ne!(answer(&mut machine), hot);
    machine.ask("/set temperature 0");
    let greedy = answer(&mut machine);
    // One candidate leaves nothing to chance, whichever setting leaves it.
    machine.ask("/set temperature 3");
    for (set, back) in [("top_k 1", "top_k 0"), ("top_p 0.0001", "top_p 1"), ("min_p 1", "min_p 0")] {
        machine.ask(&format!("/set {set}"));
        assert_eq!(answer(&mut machine), greedy, "{set}");
        machine.ask(&format!("/set {back}"));
        assert_ne!(answer(&mut machine), greedy, "{back}");
    }
}

#[test]
fn limits_of_an_answer_are_kept() {
    let (_card, mut machine) = boot("max_tokens = 24\r\nrequest_deadline_ms = 0\r\n");
    let plain = machine.chat(PROMPT);
    assert_eq!(plain.stop(), "max_tokens");
    // A text from the middle of the answer ends it there.
    let middle = plain.text.chars().skip(plain.text.chars().count() / 2).take(3).collect::<String>();
    assert!(middle.chars().all(|character| !character.is_control() && character != '|'), "{:?}", plain.text);
    machine.ask(&format!("/set stop {}", json!(middle)));
    machine.ask("/reset");
    let stopped = machine.chat(PROMPT);
    assert_eq!(stopped.stop(), "stop", "{stopped:?}");
    assert!(plain.text.starts_with(&stopped.text) && stopped.text.len() < plain.text.len(), "{stopped:?}");
    machine.ask("/set stop \"\"");
    // A penalty below 1 favours what was said: it is said again, where the plain answer repeats nothing.
    machine.ask("/set repeat_penalty 0.1");
    assert_ne!(answer(&mut machine), plain.text);
    machine.ask("/set repeat_last 0");
    assert_eq!(answer(&mut machine), plain.text);
    machine.ask("/set max_tokens 0");
    machine.ask("/set request_deadline_ms 1");
    machine.ask("/reset");
    assert_eq!(machine.chat(PROMPT).stop(), "deadline");
}

#[test]
fn a_step_that_takes_too_long_ends_its_request_alone() {
    let (_card, mut machine) = boot("step_deadline_ms = 1\r\nmax_tokens = 4\r\n");
    // A layer of hundreds of tokens takes more than a millisecond on every machine.
    let long = "Tell me something about rivers. ".repeat(60);
    let shown = machine.ask(&long);
    assert!(shown.contains("step-deadline") && shown.contains("A step took longer than its budget."), "{shown}");
    machine.expect_ready();
    machine.ask("/set step_deadline_ms 0");
    assert_eq!(machine.chat(&long).stop(), "max_tokens");
}

#[test]
fn a_rate_that_the_uart_cannot_reach_leaves_the_line_as_it_is() {
    // QEMU's firmware tells a UART clock of 3 MHz, of which a sixteenth is the highest rate.
    let (_card, mut machine) = boot("baud = 4000000\r\n");
    let sentence = "baud: the UART reaches 187500 bit/s instead of 4000000: it stays at 115200.";
    assert!(machine.transcript().contains(sentence), "{}", machine.transcript());
    let baud = machine.ask("/set baud");
    assert!(baud.contains("115200") && !baud.contains("4000000"), "{baud}");
}

#[test]
fn what_applies_to_a_load_applies_to_the_next_one() {
    let (_card, mut machine) = boot("context = 512\r\n");
    assert!(machine.ask("/set context 128").contains("from the next /load"));
    assert!(machine.ask("/model").contains("context 512 tokens"));
    machine.send("/load 1\r");
    machine.expect("context 128 tokens", LONG);
    machine.expect_ready();
    assert!(machine.ask("/set baud 9600").contains("applies at boot only"));
}
