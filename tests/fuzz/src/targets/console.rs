//! What a person, or noise on the line, types at the console.

use barellama_abi::request::{RecordKind, Request, RequestWriter};
use barellama_shell::command::{Command, RenderSubject, ScoreRequest, parse, write_messages};
use barellama_shell::editor::{Event, LINE_BYTES_MAX, LineEditor};

use crate::heap;

/// A redraw of a row for each byte, at worst.
const OUTPUT_PER_BYTE: usize = 1024;
const OUTPUT_FIXED: usize = 4096;
/// Messages and ids of a JSON argument.
const HEAP_PER_BYTE: usize = 64;
const HEAP_FIXED: usize = 4096;

/// Any bytes from the terminal. Each line is carried out as far as the kernel's loop would parse it.
pub fn run(data: &[u8]) {
    let mut editor = Box::new(LineEditor::new());
    let mut shown = String::new();
    editor.redraw("> ", &mut shown);
    let mut is_line = false;
    for &byte in data {
        if std::mem::take(&mut is_line) && byte & 1 == 0 {
            // Half of the lines take a while: what comes meanwhile is typed ahead.
            is_line = editor.redraw("> ", &mut shown).is_some();
        }
        match editor.feed(byte, &mut shown) {
            Some(Event::Line) => {
                line(editor.line());
                is_line = true;
            }
            Some(Event::Interrupt) => is_line = false,
            None => {}
        }
    }
    while editor.redraw("> ", &mut shown) == Some(Event::Line) {
        line(editor.line());
    }
    assert!(shown.len() <= OUTPUT_PER_BYTE * data.len() + OUTPUT_FIXED, "{} bytes shown", shown.len());
}

fn line(line: &str) {
    assert!(line.len() <= LINE_BYTES_MAX && !line.contains(char::is_control), "{line:?}");
    let (parsed, peak) = heap::peak_of(|| parse(line));
    assert!(peak <= HEAP_PER_BYTE * line.len() + HEAP_FIXED, "{peak} bytes of heap for {}", line.len());
    match parsed {
        Ok(Command::Score(score)) => check_score(&score),
        Ok(Command::Render(RenderSubject::Messages(messages))) => {
            let mut slot = vec![0; 4 * LINE_BYTES_MAX];
            let mut writer = RequestWriter::new(&mut slot, ScoreRequest::default().header(1)).expect("room");
            write_messages(&messages, &mut writer).expect("a slot has room for every line");
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().contains('\n'), "a reason is one line"),
    }
}

/// What `/score` asks for arrives in the request.
fn check_score(score: &ScoreRequest) {
    let mut slot = vec![0; 4 * LINE_BYTES_MAX];
    let mut writer = RequestWriter::new(&mut slot, score.header(7)).expect("room");
    score.write_records(&mut writer).expect("a slot has room for every line");
    let length = writer.length();
    let request = Request::parse(&slot[..length]).expect("it was just written");
    assert_eq!(*request.header(), score.header(7));
    assert_eq!(request.first(RecordKind::Prompt), score.prompt.as_deref().map(str::as_bytes));
    let ids = |kind| -> Vec<u32> {
        request
            .records()
            .filter(|record| record.kind == kind)
            .flat_map(|record| record.ids().collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(ids(RecordKind::TokenIds), score.ids);
    assert_eq!(ids(RecordKind::ForcedIds), score.forced);
}
