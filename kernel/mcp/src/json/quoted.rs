//! Texts as JSON strings.

use core::fmt::{self, Write};

/// Displays a text as a JSON string with its quotes, on one line. What came out of JSON is never longer than it was there.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        Escaping(formatter).write_str(self.0)?;
        formatter.write_char('"')
    }
}

/// Writes text into a JSON string that is open.
pub(crate) struct Escaping<'a>(pub &'a mut dyn Write);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| escape_bytes(byte) > 1) {
            let (plain, tail) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = tail.chars();
            if let Some(character) = characters.next() {
                write_escaped(self.0, character)?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

fn write_escaped(out: &mut dyn Write, character: char) -> fmt::Result {
    match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\u{8}' => out.write_str("\\b"),
        '\u{c}' => out.write_str("\\f"),
        other => write!(out, "\\u{:04x}", u32::from(other)),
    }
}

/// How many bytes a byte of a text takes in a JSON string.
const fn escape_bytes(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Length of a text in a JSON string, without the quotes.
#[must_use]
pub fn quoted_bytes(text: &str) -> usize {
    text.bytes().map(escape_bytes).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    #[test]
    fn every_character_is_read_back_and_stays_on_the_line() {
        let text: String = (0..0x300).filter_map(char::from_u32).chain("🥧\u{2028}".chars()).collect();
        let json = Quoted(&text).to_string();
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert!(!json.bytes().any(|byte| byte < 0x20));
        assert_eq!(quoted_bytes(&text) + 2, json.len());
    }
}
