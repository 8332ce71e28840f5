//! The last lines that kernel and engine logged, in a fixed ring of bytes.
//!
//! Pure. [`crate::logging`] puts it behind the `log` crate; `/log` prints it.

/// A ring of lines. When it is full the oldest lines go.
pub struct LogRing<const BYTES: usize> {
    bytes: [u8; BYTES],
    start: usize,
    length: usize,
    lines: u64,
    /// Bytes that were ever added.
    bytes_total: u64,
}

impl<const BYTES: usize> LogRing<BYTES> {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES], start: 0, length: 0, lines: 0, bytes_total: 0 }
    }

    /// Adds a line; newlines in it become spaces, what is longer than half of the ring is cut at a character.
    pub fn push(&mut self, line: &str) {
        let line = &line[..line.floor_char_boundary(BYTES / 2)];
        while self.length + line.len() + 1 > BYTES {
            self.drop_oldest();
        }
        for byte in line.bytes() {
            self.put(if byte == b'\n' { b' ' } else { byte });
        }
        self.put(b'\n');
        self.lines += 1;
    }

    /// How many lines were ever added.
    #[must_use]
    pub fn lines_total(&self) -> u64 {
        self.lines
    }

    /// Bytes held now, lines one after the other, each with a newline.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the next line will begin, in bytes since the first.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.bytes_total
    }

    /// Copies the start of the line that begins at `position`, or of the oldest one if that is gone. Returns how much was copied and where
    /// the next line begins; `None` at the end.
    pub fn copy_line(&self, position: u64, destination: &mut [u8]) -> Option<(usize, u64)> {
        let oldest = self.bytes_total - self.length as u64;
        let offset = usize::try_from(position.saturating_sub(oldest)).ok().filter(|offset| *offset < self.length)?;
        let bytes = (offset..self.length).take_while(|at| self.bytes[(self.start + at) % BYTES] != b'\n').count();
        let count = bytes.min(destination.len());
        self.copy_to(offset, &mut destination[..count]);
        Some((count, oldest + (offset + bytes + 1) as u64))
    }

    /// Copies bytes from `offset` on; returns how many.
    pub fn copy_to(&self, offset: usize, destination: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(offset).min(destination.len());
        for (index, byte) in destination.iter_mut().take(count).enumerate() {
            *byte = self.bytes[(self.start + offset + index) % BYTES];
        }
        count
    }

    fn put(&mut self, byte: u8) {
        self.bytes[(self.start + self.length) % BYTES] = byte;
        self.length += 1;
        self.bytes_total += 1;
    }

    fn drop_oldest(&mut self) {
        while self.length > 0 {
            let byte = self.bytes[self.start];
            self.start = (self.start + 1) % BYTES;
            self.length -= 1;
            if byte == b'\n' {
                break;
            }
        }
    }
}

impl<const BYTES: usize> Default for LogRing<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec;

    fn text<const BYTES: usize>(ring: &LogRing<BYTES>) -> String {
        let mut bytes = vec![0; ring.len()];
        assert_eq!(ring.copy_to(0, &mut bytes), ring.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_oldest_lines_go_first() {
        let mut ring = LogRing::<31>::new();
        for line in ["first", "second", "third", "fourth", "fifth"] {
            ring.push(line);
        }
        assert_eq!(text(&ring), "second\nthird\nfourth\nfifth\n");
        assert_eq!(ring.lines_total(), 5);
    }

    #[test]
    fn long_lines_are_cut_at_a_character_and_newlines_kept_out() {
        let mut ring = LogRing::<16>::new();
        ring.push("aaaaaaaéb");
        assert_eq!(text(&ring), "aaaaaaa\n");
        ring.push("x\ny");
        assert_eq!(text(&ring), "aaaaaaa\nx y\n");
    }

    #[test]
    fn lines_are_read_one_by_one_while_new_ones_come() {
        let mut ring = LogRing::<24>::new();
        let mut line = [0; 5];
        let mut position = ring.end();
        assert_eq!(ring.copy_line(position, &mut line), None);
        let mut seen = vec![];
        for text in ["one", "two", "a long one", "four", "five", "six", "seven"] {
            ring.push(text);
            if text.len() < 5 {
                continue;
            }
            while let Some((count, next)) = ring.copy_line(position, &mut line) {
                seen.push(String::from_utf8(line[..count].to_vec()).unwrap());
                position = next;
            }
        }
        assert_eq!(seen, ["one", "two", "a lon", "four", "five", "six", "seven"]);
        for _ in 0..9 {
            ring.push("later");
        }
        assert_eq!(ring.copy_line(position, &mut line).map(|(count, _)| count), Some(5), "what is gone is passed over");
    }

    #[test]
    fn copies_go_on_from_an_offset() {
        let mut ring = LogRing::<16>::new();
        ring.push("abcdef");
        let mut part = [0; 4];
        assert_eq!((ring.copy_to(3, &mut part), &part), (4, b"def\n"));
        assert_eq!(ring.copy_to(7, &mut part), 0);
    }
}
