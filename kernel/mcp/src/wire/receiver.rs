//! Bytes from the wire to frames and text.

use heapless::Vec;

use super::frame::{APC_START, BODY_BYTES_MAX, ESCAPE, LINE_FEED, STRING_END};

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Bytes outside frames.
    Text(&'a [u8]),
    /// What stood between `ESC _` and `ESC \`, unchecked.
    Body(&'a [u8]),
    /// A frame that broke off: too long, a line end or a stray escape inside.
    Damaged,
    /// The end of a frame whose start was lost: the text in front of it in this row was its content.
    Rest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After an ESC outside frames.
    Escape,
    Body,
    /// After an ESC inside a frame.
    BodyEscape,
    /// Directly after a frame: its LF is no text.
    AfterFrame,
    /// In the rest of a frame that was too long.
    Skip,
    /// After an ESC in there.
    SkipEscape,
}

/// Tells frames from text. A frame that breaks off costs no more than itself: a line end, or the start of the next frame, ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiver {
    state: State,
    body: Vec<u8, BODY_BYTES_MAX>,
    text: Vec<u8, 2>,
}

impl Receiver {
    pub fn push(&mut self, byte: u8) -> Option<Token<'_>> {
        match self.state {
            State::AfterFrame if byte == LINE_FEED => {
                self.state = State::Text;
                None
            }
            State::Text | State::AfterFrame => self.outside(byte),
            State::Escape => self.after_escape(byte),
            State::Body | State::Skip => self.inside(byte),
            State::BodyEscape => self.after_escape_inside(byte),
            State::SkipEscape => self.after_escape_skipping(byte),
        }
    }

    fn outside(&mut self, byte: u8) -> Option<Token<'_>> {
        self.state = State::Text;
        if byte == ESCAPE {
            self.state = State::Escape;
            return None;
        }
        self.text(&[byte])
    }

    fn after_escape(&mut self, byte: u8) -> Option<Token<'_>> {
        match byte {
            APC_START => {
                self.begin_body();
                None
            }
            ESCAPE => self.text(&[ESCAPE]),
            STRING_END => {
                self.state = State::AfterFrame;
                Some(Token::Rest)
            }
            _ => {
                self.state = State::Text;
                self.text(&[ESCAPE, byte])
            }
        }
    }

    fn inside(&mut self, byte: u8) -> Option<Token<'_>> {
        match byte {
            LINE_FEED => self.break_off(State::Text),
            ESCAPE if self.state == State::Skip => {
                self.state = State::SkipEscape;
                None
            }
            ESCAPE => {
                self.state = State::BodyEscape;
                None
            }
            _ if self.state == State::Skip => None,
            _ if self.body.push(byte).is_err() => self.break_off(State::Skip),
            _ => None,
        }
    }

    fn after_escape_inside(&mut self, byte: u8) -> Option<Token<'_>> {
        match byte {
            STRING_END => {
                self.state = State::AfterFrame;
                Some(Token::Body(&self.body))
            }
            APC_START => {
                self.begin_body();
                Some(Token::Damaged)
            }
            ESCAPE => None,
            LINE_FEED => self.break_off(State::Text),
            _ => self.break_off(State::Skip),
        }
    }

    fn after_escape_skipping(&mut self, byte: u8) -> Option<Token<'_>> {
        match byte {
            APC_START => self.begin_body(),
            STRING_END => self.state = State::AfterFrame,
            LINE_FEED => self.state = State::Text,
            ESCAPE => {}
            _ => self.state = State::Skip,
        }
        None
    }

    fn begin_body(&mut self) {
        self.state = State::Body;
        self.body.clear();
    }

    fn break_off(&mut self, next: State) -> Option<Token<'_>> {
        let was_skipped = self.state == State::Skip;
        self.state = next;
        (!was_skipped).then_some(Token::Damaged)
    }

    fn text(&mut self, bytes: &[u8]) -> Option<Token<'_>> {
        self.text.clear();
        // At most an ESC and the byte behind it.
        let _ = self.text.extend_from_slice(bytes);
        Some(Token::Text(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;

    /// Frames in angle brackets, damage as `!`, the end of a frame without a start as `^`, text as it is.
    fn read(bytes: &[u8]) -> String {
        let mut receiver = Receiver::default();
        let mut out = vec![];
        for &byte in bytes {
            match receiver.push(byte) {
                Some(Token::Text(text)) => out.extend_from_slice(text),
                Some(Token::Body(body)) => out.extend_from_slice(&[b"<", body, b">"].concat()),
                Some(Token::Damaged) => out.push(b'!'),
                Some(Token::Rest) => out.push(b'^'),
                None => {}
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn frames_and_text_are_told_apart() {
        assert_eq!(
            read(b"log\n\x1b_one\x1b\\\nmore \x1b[1A\x1b_two\x1b\\\x1b_three\x1b\\\n\n"),
            "log\n<one>more \x1b[1A<two><three>\n"
        );
        assert_eq!(read(b"\x1b\x1b_x\x1b\\"), "\x1b<x>");
    }

    #[test]
    fn a_broken_frame_costs_only_itself() {
        assert_eq!(read(b"\x1b_lost end\n\x1b_next\x1b\\\n"), "!<next>");
        assert_eq!(read(b"\x1b_lost end\x1b_next\x1b\\\n"), "!<next>");
        assert_eq!(read(b"\x1b_stray \x1bx rest\x1b\\\n\x1b_next\x1b\\\n"), "!<next>");
        assert_eq!(read(b"lost start\x1b\\\n\x1b_next\x1b\\\n"), "lost start^<next>");
        assert_eq!(read(b"\x1b_half of the end \\\ntext"), "!text");
        let long = [b"\x1b_".as_slice(), &[b'x'; 400], b"\x1b\\\n\x1b_next\x1b\\\n"].concat();
        assert_eq!(read(&long), "!<next>");
    }
}
