use super::*;
use crate::test_random::Random;
use std::boxed::Box;
use std::string::{String as Text, ToString};
use std::vec::Vec;

/// An editor at a prompt, and what it wrote since.
struct Session {
    editor: Box<LineEditor>,
    screen: Text,
    lines: Vec<Text>,
    interrupts: usize,
}

impl Session {
    fn new() -> Self {
        let mut editor = Box::new(LineEditor::new());
        let mut screen = Text::new();
        assert_eq!(editor.redraw("> ", &mut screen), None);
        assert_eq!(screen, "> ");
        Self { editor, screen: Text::new(), lines: Vec::new(), interrupts: 0 }
    }

    /// Types and stays busy after each line.
    fn type_busy(&mut self, bytes: impl AsRef<[u8]>) {
        for &byte in bytes.as_ref() {
            let event = self.editor.feed(byte, &mut self.screen);
            self.take(event);
        }
    }

    /// Types as if each line were handled at once.
    fn type_text(&mut self, bytes: impl AsRef<[u8]>) {
        for &byte in bytes.as_ref() {
            let mut event = self.editor.feed(byte, &mut self.screen);
            while event == Some(Event::Line) {
                self.take(event);
                event = self.editor.redraw("> ", &mut self.screen);
            }
            self.take(event);
        }
    }

    fn take(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Line) => self.lines.push(self.editor.line().to_string()),
            Some(Event::Interrupt) => self.interrupts += 1,
            None => {}
        }
    }

    fn redraw(&mut self) {
        let event = self.editor.redraw("> ", &mut self.screen);
        self.take(event);
    }

    fn taken_screen(&mut self) -> Text {
        core::mem::take(&mut self.screen)
    }
}

fn lines_of(bytes: impl AsRef<[u8]>) -> Vec<Text> {
    let mut session = Session::new();
    session.type_text(bytes);
    session.lines
}

#[test]
fn typing_is_echoed_and_delivered() {
    let mut session = Session::new();
    session.type_text("grüß dich\r\n");
    assert_eq!(session.lines, ["grüß dich"]);
    assert_eq!(session.screen, "grüß dich\r\n> ");
}

#[test]
fn cr_lf_and_crlf_end_a_line_once() {
    assert_eq!(lines_of("a\rb\nc\r\nd\r\n\r\n"), ["a", "b", "c", "d", ""]);
}

#[test]
fn backspace_needs_no_escape_sequence() {
    let mut session = Session::new();
    session.type_text("aü日\x7f\x08b\r");
    assert_eq!(session.lines, ["ab"]);
    assert_eq!(session.screen, "aü日\x08\x08  \x08\x08\x08 \x08b\r\n> ");
}

#[test]
fn editing_keys_do_what_they_say() {
    assert_eq!(lines_of("helo\x1b[Dl\r"), ["hello"]);
    assert_eq!(lines_of("bc\x01a\x05d\r"), ["abcd"]);
    assert_eq!(lines_of("one two three\x17\x17x\r"), ["one x"]);
    assert_eq!(lines_of("one two\x1bb\x0b\r"), ["one "]);
    assert_eq!(lines_of("one two\x1bb\x15\r"), ["two"]);
    assert_eq!(lines_of("abc\x1b[H\x1b[3~\x04\r"), ["c"]);
    assert_eq!(lines_of("a b\x1b[1;5D\x1b[1;5D\x1bfx\r"), ["ax b"]);
    assert_eq!(lines_of("\x7f\x04\x1b[D\x1b[C\x17\x15\x0b\x0cok\r"), ["ok"]);
}

#[test]
fn escape_sequences_are_never_inserted() {
    assert_eq!(lines_of("a\x1b[200~b\x1b[31;1mc\x1b]0;t\x07d\x1b_x\x1b\\e\x00\x1a\r"), ["abcde"]);
}

#[test]
fn history_goes_up_and_down_without_duplicates() {
    let up = "\x1b[A";
    let down = "\x1b[B";
    let start = "one\rtwo\rone\r";
    assert_eq!(lines_of([start, up, "\r"].concat())[3..], ["one"]);
    assert_eq!(lines_of([start, up, up, "\r"].concat())[3..], ["two"]);
    assert_eq!(lines_of([start, up, up, up, up, "!\r"].concat())[3..], ["two!"]);
    assert_eq!(lines_of([start, up, up, down, "\r"].concat())[3..], ["one"]);
    assert_eq!(lines_of([start, up, down, "new\r"].concat())[3..], ["new"]);
}

#[test]
fn a_draft_survives_a_look_into_the_history() {
    assert_eq!(lines_of("one\rdra\x1b[A\x1b[Bft\r"), ["one", "draft"]);
}

#[test]
fn tab_completes_commands_and_keeps_pasted_words_apart() {
    assert_eq!(lines_of("/stat\t\r"), ["/status "]);
    assert_eq!(lines_of("/re\tx\r"), ["/rex"]);
    assert_eq!(lines_of("/zz\t\r"), ["/zz"]);
    assert_eq!(lines_of("\ta\tb\r"), ["a b"]);
}

#[test]
fn ctrl_c_at_the_prompt_clears_the_line() {
    let mut session = Session::new();
    session.type_text("abc\x03d\r");
    assert_eq!((session.interrupts, session.lines.as_slice()), (1, ["d".to_string()].as_slice()));
    assert_eq!(session.screen, "abc^C\r\n> d\r\n> ");
}

#[test]
fn an_overlong_line_is_discarded_with_a_message() {
    let mut session = Session::new();
    session.type_text("x".repeat(LINE_BYTES_MAX));
    session.type_text("y\x7f\x1b[Dtoo much\r\nnext\r\n");
    assert_eq!(session.lines, ["next"]);
    assert!(session.screen.contains("\r\nThe line is longer than 64 KiB and was discarded.\r\n> next"));
    session.type_text("x".repeat(LINE_BYTES_MAX));
    session.type_text("\r");
    assert_eq!(session.lines[1].len(), LINE_BYTES_MAX);
}

#[test]
fn a_long_paste_costs_one_character_of_output_each() {
    let mut session = Session::new();
    session.type_text("ab".repeat(20_000));
    assert_eq!(session.screen.len(), 40_000);
}

#[test]
fn a_long_line_is_edited_in_a_window_of_one_row() {
    let mut session = Session::new();
    session.type_text("0123456789".repeat(30));
    session.taken_screen();
    session.type_text("\x1b[D");
    let drawn = session.taken_screen();
    assert!(drawn.starts_with("\r\x1b[K<") && drawn.ends_with("9\x1b[1D"), "{drawn:?}");
    session.type_text("\x01");
    let drawn = session.taken_screen();
    assert!(drawn.starts_with("\r\x1b[K> 0123") && drawn.ends_with(">\x1b[77D"), "{drawn:?}");
    session.type_text("X\r");
    assert!(session.lines[0].starts_with("X0123"));
}

#[test]
fn type_ahead_is_shown_below_the_stream_and_kept_for_the_prompt() {
    let mut session = Session::new();
    session.type_busy("question\r");
    session.taken_screen();
    session.type_busy("ne");
    assert_eq!(session.taken_screen(), "\x1bD\x1b[A\x1b7\r\n(next) ne");
    session.editor.before_output(&mut session.screen);
    session.screen.push_str("token");
    session.editor.after_output(&mut session.screen);
    assert_eq!(session.taken_screen(), "\r\x1b[2K\x1b8token\x1bD\x1b[A\x1b7\r\n(next) ne");
    session.type_busy("\x7f\x7f");
    assert!(session.taken_screen().ends_with("\r\x1b[2K\x1b8"), "an empty row goes away");
    session.type_busy("xt");
    session.editor.before_output(&mut session.screen);
    session.screen.push_str("\r\n");
    session.editor.after_output(&mut session.screen);
    session.taken_screen();
    session.redraw();
    assert_eq!(session.taken_screen(), "\r\x1b[2K\x1b8> xt");
    session.type_busy("!\r");
    assert_eq!(session.lines, ["question", "xt!"]);
}

#[test]
fn nothing_is_written_around_output_while_nothing_is_typed() {
    let mut session = Session::new();
    session.type_busy("question\r");
    session.taken_screen();
    session.editor.before_output(&mut session.screen);
    session.editor.after_output(&mut session.screen);
    assert_eq!(session.screen, "");
}

#[test]
fn messages_at_the_prompt_go_above_it() {
    let mut session = Session::new();
    session.type_busy("ab\x1b[D");
    session.taken_screen();
    session.editor.before_output(&mut session.screen);
    session.screen.push_str("card found\r\n");
    session.editor.after_output(&mut session.screen);
    assert_eq!(session.taken_screen(), "\r\x1b[Kcard found\r\n> ab\x1b[1D");
}

#[test]
fn lines_typed_ahead_are_delivered_in_order() {
    let mut session = Session::new();
    session.type_busy("one\rtwo\r\n\r\nthree\nfou");
    assert_eq!(session.lines, ["one"]);
    session.taken_screen();
    session.redraw();
    assert!(session.taken_screen().ends_with("> two\r\n"));
    session.redraw();
    assert_eq!(session.lines, ["one", "two", "three"]);
    session.taken_screen();
    session.redraw();
    assert_eq!(session.taken_screen(), "> fou");
    session.type_busy("r\r");
    assert_eq!(session.lines[3], "four");
}

#[test]
fn ctrl_c_while_busy_drops_what_was_typed_before_it_only() {
    let mut session = Session::new();
    session.type_busy("one\rtwo\rthr\x03four\r");
    session.redraw();
    session.redraw();
    assert_eq!((session.interrupts, session.lines.join(" ")), (1, "one four".to_string()));
}

#[test]
fn type_ahead_beyond_the_queue_is_reported() {
    let mut session = Session::new();
    session.type_busy("one\r");
    session.type_busy("x".repeat(LINE_BYTES_MAX));
    session.type_busy("\rtwo\r");
    assert!(session.screen.contains("the last one was discarded"));
    session.redraw();
    assert_eq!(session.lines[1].len(), LINE_BYTES_MAX);
    session.redraw();
    assert_eq!(session.lines.len(), 2);
}

#[test]
fn random_bytes_keep_the_invariants() {
    let interesting =
        b"\x1b[;~ABCDHF0123456\r\n\x03\x08\x7f\x01\x05\x17\x15\x0b\x0c\t\xC3\xBC\xF0\x9F\x98\x80\xFF /a\x10\x0e";
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut session = Session::new();
        for _ in 0..3000 {
            let byte = if random.below(3) == 0 { random.next() as u8 } else { random.pick(interesting) };
            session.type_busy([byte]);
            match random.below(60) {
                0 => session.redraw(),
                1 => session.editor.before_output(&mut session.screen),
                2 => session.editor.after_output(&mut session.screen),
                3 => session.editor.set_busy(byte.is_multiple_of(2), &mut session.screen),
                _ => {}
            }
            let buffer = &session.editor.buffer;
            let text = core::str::from_utf8(buffer.text().as_bytes()).unwrap();
            assert_eq!(text.len(), buffer.length(), "the whole text is UTF-8");
            assert!(text.is_char_boundary(buffer.cursor()));
            assert_eq!(buffer.columns(), buffer.columns_of(0..buffer.length()));
            assert!(!text.chars().any(char::is_control));
        }
        assert!(session.lines.iter().all(|line| !line.chars().any(char::is_control)));
    }
}
