//! Bytes of a terminal to keys: UTF-8, control characters and escape sequences.

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Enter,
    Interrupt,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Older,
    Newer,
    KillWord,
    KillToStart,
    KillToEnd,
    ClearScreen,
}

/// A control string (OSC, DCS, APC...) that never ends must not swallow the console for ever.
const CONTROL_STRING_BYTES_MAX: u16 = 1024;

const CARRIAGE_RETURN: u8 = b'\r';
const LINE_FEED: u8 = b'\n';
const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1B;
const DELETE: u8 = 0x7F;

/// Where in a character or sequence the decoder is. The representation makes [`State::Ground`] zero bytes, so that a static
/// editor lies in zeroed memory and not in the image.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum State {
    Ground,
    /// Inside a character of `wanted` bytes, of which `length` are there.
    Utf8 {
        bytes: [u8; 4],
        length: usize,
        wanted: usize,
    },
    /// Behind ESC.
    Escape,
    /// Behind ESC O: one more byte names a key.
    SingleShift,
    /// Behind ESC [ (ECMA-48 5.4): parameters, then a final byte. Two parameters are enough for every key.
    Sequence {
        first: u16,
        second: u16,
        is_first: bool,
    },
    /// Inside a control string, until BEL or ESC \ (ECMA-48 5.6).
    ControlString {
        bytes_left: u16,
    },
    /// Behind ESC inside a control string.
    ControlStringEscape,
}

/// The state between two bytes.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// CR LF is one line end: an LF right behind a CR is swallowed.
    is_after_carriage_return: bool,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { state: State::Ground, is_after_carriage_return: false }
    }

    /// Takes the next byte. Every byte gives at most one key; what is not a key is swallowed.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Key> {
        let is_second_half = self.is_after_carriage_return && byte == LINE_FEED;
        self.is_after_carriage_return = byte == CARRIAGE_RETURN;
        if is_second_half {
            return None;
        }
        match self.state {
            State::Ground => self.ground(byte),
            State::Utf8 { bytes, length, wanted } => self.continue_character(byte, bytes, length, wanted),
            State::ControlString { bytes_left } => self.continue_control_string(byte, bytes_left),
            State::ControlStringEscape if byte == b'\\' => self.end(None),
            // A control character inside a sequence ends it and means what it always means: Enter and Ctrl-C always work.
            _ if !(b' '..DELETE).contains(&byte) => self.abandon_sequence(byte),
            State::Escape | State::ControlStringEscape => self.escape(byte),
            State::SingleShift => self.end(cursor_key(byte, false)),
            State::Sequence { first, second, is_first } => self.continue_sequence(byte, first, second, is_first),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        self.state = State::Ground;
        match byte {
            ESCAPE => self.state = State::Escape,
            b' '..DELETE => return Some(Key::Character(char::from(byte))),
            0xC2..=0xF4 => self.state = State::Utf8 { bytes: [byte, 0, 0, 0], length: 1, wanted: utf8_length(byte) },
            _ => return control_key(byte),
        }
        None
    }

    fn continue_character(&mut self, byte: u8, mut bytes: [u8; 4], length: usize, wanted: usize) -> Option<Key> {
        if !(0x80..0xC0).contains(&byte) {
            // The character was cut off: it is dropped, this byte starts anew.
            return self.ground(byte);
        }
        if let Some(slot) = bytes.get_mut(length) {
            *slot = byte;
        }
        let length = length + 1;
        if length < wanted {
            self.state = State::Utf8 { bytes, length, wanted };
            return None;
        }
        self.state = State::Ground;
        let character = core::str::from_utf8(bytes.get(..wanted)?).ok()?.chars().next()?;
        (!character.is_control()).then_some(Key::Character(character))
    }

    fn continue_control_string(&mut self, byte: u8, bytes_left: u16) -> Option<Key> {
        match byte {
            BELL => self.end(None),
            ESCAPE => {
                self.state = State::ControlStringEscape;
                None
            }
            _ if byte < b' ' => self.ground(byte),
            _ if bytes_left == 0 => self.end(None),
            _ => {
                self.state = State::ControlString { bytes_left: bytes_left - 1 };
                None
            }
        }
    }

    fn abandon_sequence(&mut self, byte: u8) -> Option<Key> {
        let is_alt_backspace = matches!(self.state, State::Escape) && matches!(byte, DELETE | 0x08);
        if is_alt_backspace {
            return self.end(Some(Key::KillWord));
        }
        self.ground(byte)
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = match byte {
            b'[' => State::Sequence { first: 0, second: 0, is_first: true },
            b'O' => State::SingleShift,
            b'P' | b'X' | b']' | b'^' | b'_' => State::ControlString { bytes_left: CONTROL_STRING_BYTES_MAX },
            // Intermediate bytes (ECMA-35 13.2): a final byte follows.
            b' '..=b'/' => State::Escape,
            b'b' => return self.end(Some(Key::WordLeft)),
            b'f' => return self.end(Some(Key::WordRight)),
            _ => State::Ground,
        };
        None
    }

    fn continue_sequence(&mut self, byte: u8, first: u16, second: u16, is_first: bool) -> Option<Key> {
        let digit = u16::from(byte.wrapping_sub(b'0'));
        match byte {
            b'0'..=b'9' if is_first => {
                let first = first.saturating_mul(10).saturating_add(digit);
                self.state = State::Sequence { first, second, is_first };
            }
            b'0'..=b'9' => {
                let second = second.saturating_mul(10).saturating_add(digit);
                self.state = State::Sequence { first, second, is_first };
            }
            b';' => self.state = State::Sequence { first, second: 0, is_first: false },
            b'@'..=b'~' => return self.end(sequence_key(byte, first, second)),
            _ => {}
        }
        None
    }

    fn end(&mut self, key: Option<Key>) -> Option<Key> {
        self.state = State::Ground;
        key
    }
}

/// Length of the character that a lead byte from 0xC2 to 0xF4 starts.
fn utf8_length(lead: u8) -> usize {
    match lead {
        ..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

fn control_key(byte: u8) -> Option<Key> {
    Some(match byte {
        CARRIAGE_RETURN | LINE_FEED => Key::Enter,
        DELETE | 0x08 => Key::Backspace,
        b'\t' => Key::Tab,
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::Delete,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0B => Key::KillToEnd,
        0x0C => Key::ClearScreen,
        0x0E => Key::Newer,
        0x10 => Key::Older,
        0x15 => Key::KillToStart,
        0x17 => Key::KillWord,
        _ => return None,
    })
}

/// Keys that end in a letter, with or without Ctrl or Alt.
fn cursor_key(byte: u8, has_modifier: bool) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Older,
        b'B' => Key::Newer,
        b'C' if has_modifier => Key::WordRight,
        b'D' if has_modifier => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => return None,
    })
}

fn sequence_key(byte: u8, first: u16, second: u16) -> Option<Key> {
    match (byte, first) {
        (b'~', 1 | 7) => Some(Key::Home),
        (b'~', 3) => Some(Key::Delete),
        (b'~', 4 | 8) => Some(Key::End),
        _ => cursor_key(byte, second > 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|&byte| decoder.feed(byte)).collect()
    }

    #[test]
    fn every_line_end_is_one_enter() {
        assert_eq!(keys(b"\r\n"), [Key::Enter]);
        assert_eq!(keys(b"\r"), [Key::Enter]);
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\r\n\n"), [Key::Enter; 3]);
    }

    #[test]
    fn utf8_is_put_together_and_rubbish_is_dropped() {
        assert_eq!(keys("ü€😀".as_bytes()), ['ü', '€', '😀'].map(Key::Character));
        assert_eq!(keys(b"\xC3a\xFF\x80\xE2\x82\xC3\xBCb"), ['a', 'ü', 'b'].map(Key::Character));
        // A surrogate, an overlong form and a C1 control character.
        assert_eq!(keys(b"\xED\xA0\x80\xE0\x80\x80\xC2\x9Bx"), [Key::Character('x')]);
    }

    #[test]
    fn sequences_are_keys_or_nothing() {
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[C\x1b[D"), [Key::Older, Key::Newer, Key::Right, Key::Left]);
        assert_eq!(keys(b"\x1b[3~\x1b[1~\x1b[8~\x1b[1;5C"), [Key::Delete, Key::Home, Key::End, Key::WordRight]);
        assert_eq!(keys(b"\x1b[200~x\x1b[201~\x1b[?25h\x1b(B"), [Key::Character('x')]);
        assert_eq!(keys(b"\x1b]0;title\x07y\x1b_frame\x1b\\z"), ['y', 'z'].map(Key::Character));
        assert_eq!(keys(b"\x1b\x7f"), [Key::KillWord]);
    }

    #[test]
    fn enter_and_interrupt_work_inside_any_sequence() {
        for start in ["\x1b", "\x1b[", "\x1b[12;", "\x1bO", "\x1b]0;", "\x1b_x\x1b"] {
            assert_eq!(keys([start.as_bytes(), b"\r"].concat().as_slice()), [Key::Enter], "{start:?}");
            assert_eq!(keys([start.as_bytes(), b"\x03"].concat().as_slice()), [Key::Interrupt], "{start:?}");
        }
    }

    #[test]
    fn an_endless_control_string_ends() {
        let bytes = [b"\x1b_".as_slice(), &[b'x'; 2000]].concat();
        assert!(keys(&bytes).len() > 900);
    }
}
