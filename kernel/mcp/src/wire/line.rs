//! Bytes to lines.

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end, perhaps empty.
    Whole(&'a [u8]),
    /// A line that was longer than the buffer; it was dropped.
    TooLong,
}

/// Puts bytes together to lines in a fixed buffer.
#[derive(Debug)]
pub struct LineAssembler<'b> {
    buffer: &'b mut [u8],
    length: usize,
    /// The next byte starts a new line: what is in the buffer was handed out.
    is_complete: bool,
    is_too_long: bool,
}

impl<'b> LineAssembler<'b> {
    /// An assembler whose longest line is as long as the buffer.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0, is_complete: false, is_too_long: false }
    }

    /// Takes a byte. LF ends a line. In a line that starts with `/` CR ends it too: that is a command typed at a terminal.
    pub fn push(&mut self, byte: u8) -> Option<Line<'_>> {
        if core::mem::take(&mut self.is_complete) {
            self.clear();
        }
        if byte == b'\n' || (byte == b'\r' && self.length > 0 && self.buffer.first() == Some(&b'/')) {
            self.is_complete = true;
            return Some(match self.is_too_long {
                true => Line::TooLong,
                false => Line::Whole(self.buffer.get(..self.length).unwrap_or(&[])),
            });
        }
        match self.buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.is_too_long = true,
        }
        None
    }

    /// Forgets what came of the line.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_too_long = false;
        self.is_complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        let mut buffer = [0; 8];
        let mut assembler = LineAssembler::new(&mut buffer);
        let mut lines = Vec::new();
        for &byte in bytes {
            match assembler.push(byte) {
                Some(Line::Whole(line)) => lines.push(Some(String::from_utf8(line.to_vec()).unwrap())),
                Some(Line::TooLong) => lines.push(None),
                None => {}
            }
        }
        lines
    }

    #[test]
    fn lines_end_at_line_feeds() {
        assert_eq!(lines(b"ab\n\n12345678\nrest"), [Some("ab".into()), Some("".into()), Some("12345678".into())]);
    }

    #[test]
    fn long_lines_are_dropped_once_and_the_next_is_good() {
        assert_eq!(lines(b"123456789abc\nok\n"), [None, Some("ok".into())]);
    }

    #[test]
    fn a_carriage_return_ends_only_commands() {
        assert_eq!(lines(b"/mcp\r{}\r\n"), [Some("/mcp".into()), Some("{}\r".into())]);
    }
}
