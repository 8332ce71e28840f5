//! Bytes to lines.

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end, perhaps empty.
    Whole(&'a [u8]),
    /// A line that was longer than the buffer; it was dropped.
    TooLong,
    /// A line of which something is missing; it was dropped. What is left might look whole.
    Broken,
}

/// Puts bytes together to lines in a fixed buffer.
#[derive(Debug)]
pub struct LineAssembler<'b> {
    buffer: &'b mut [u8],
    length: usize,
    /// The next byte starts a new line: what is in the buffer was handed out.
    is_complete: bool,
    is_too_long: bool,
    is_broken: bool,
}

impl<'b> LineAssembler<'b> {
    /// An assembler whose longest line is as long as the buffer.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0, is_complete: false, is_too_long: false, is_broken: false }
    }

    /// Takes a byte. LF ends a line. In a line that starts with `/` CR ends it too: that is a command typed at a terminal.
    pub fn push(&mut self, byte: u8) -> Option<Line<'_>> {
        if core::mem::take(&mut self.is_complete) {
            self.clear();
        }
        if byte == b'\n' || (byte == b'\r' && self.length > 0 && self.buffer.first() == Some(&b'/')) {
            self.is_complete = true;
            return Some(match (self.is_broken, self.is_too_long) {
                (true, _) => Line::Broken,
                (false, true) => Line::TooLong,
                (false, false) => Line::Whole(self.buffer.get(..self.length).unwrap_or(&[])),
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

    /// Bytes were lost here: perhaps the end of a line, perhaps whole ones. The next line end gives [`Line::Broken`].
    pub fn lose(&mut self) {
        if core::mem::take(&mut self.is_complete) {
            self.clear();
        }
        self.is_broken = true;
    }

    /// Whether the line that is on its way will be [`Line::Broken`]. Its end may have been lost too.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken && !self.is_complete
    }

    /// Forgets what came of the line.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_too_long = false;
        self.is_broken = false;
        self.is_complete = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// `None`: a line that was too long. Bytes are lost at `*`.
    fn lines(bytes: &[u8]) -> Vec<Option<String>> {
        let mut buffer = [0; 8];
        let mut assembler = LineAssembler::new(&mut buffer);
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'*' {
                assembler.lose();
                assert!(assembler.is_broken());
                continue;
            }
            match assembler.push(byte) {
                Some(Line::Whole(line)) => lines.push(Some(String::from_utf8(line.to_vec()).unwrap())),
                Some(Line::TooLong) => lines.push(None),
                Some(Line::Broken) => lines.push(Some("broken".into())),
                None => continue,
            }
            assert!(!assembler.is_broken());
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

    #[test]
    fn a_line_with_a_hole_is_broken_and_the_next_is_good() {
        for bytes in [b"a*b\nok\n".as_slice(), b"*\nok\n", b"ab*\nok\n", b"*123456789\nok\n", b"123456789*\nok\n"] {
            assert_eq!(lines(bytes), [Some("broken".into()), Some("ok".into())], "{bytes:?}");
        }
        assert_eq!(lines(b"ok\n*a\n"), [Some("ok".into()), Some("broken".into())]);
    }
}
