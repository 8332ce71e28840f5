//! Lines kept in fixed memory: the history and the lines typed ahead.

use heapless::Vec;

/// Lines never hold this byte: the decoder drops control characters.
const END: u8 = b'\n';

/// Lines, oldest first, each followed by [`END`].
#[derive(Debug)]
pub(super) struct Lines<const BYTES: usize> {
    bytes: Vec<u8, BYTES>,
}

impl<const BYTES: usize> Lines<BYTES> {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Whether a line of that length fits into empty memory.
    pub(super) const fn can_hold(length: usize) -> bool {
        length < BYTES
    }

    /// Adds a line at the end; `false`, and nothing changes, if there is no room.
    pub(super) fn push(&mut self, line: &str) -> bool {
        if BYTES - self.bytes.len() <= line.len() {
            return false;
        }
        self.bytes.extend_from_slice(line.as_bytes()).is_ok() && self.bytes.push(END).is_ok()
    }

    /// Adds a line that should be found again: an equal one moves to the end, the oldest ones make room.
    pub(super) fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || !Self::can_hold(line.len()) {
            return;
        }
        self.forget(line);
        while !self.push(line) {
            self.pop_oldest();
        }
    }

    /// The oldest line, or an empty one.
    pub(super) fn oldest(&self) -> &str {
        self.iter().next_back().unwrap_or("")
    }

    /// Removes the oldest line.
    pub(super) fn pop_oldest(&mut self) {
        let length = self.oldest().len() + 1;
        self.remove(0, length);
    }

    /// The `age`-th newest line; 1 is the newest.
    pub(super) fn newest(&self, age: usize) -> Option<&str> {
        self.iter().nth(age.checked_sub(1)?)
    }

    /// From the newest to the oldest.
    fn iter(&self) -> impl DoubleEndedIterator<Item = &str> {
        let lines = self.bytes.strip_suffix(&[END]);
        let lines = lines.map(|bytes| bytes.split(|&byte| byte == END).rev());
        lines.into_iter().flatten().map(|line| core::str::from_utf8(line).unwrap_or(""))
    }

    fn forget(&mut self, line: &str) {
        let newer: usize = match self.iter().position(|known| known == line) {
            Some(position) => self.iter().take(position).map(|known| known.len() + 1).sum(),
            None => return,
        };
        let length = line.len() + 1;
        self.remove(self.bytes.len().saturating_sub(newer + length), length);
    }

    fn remove(&mut self, start: usize, length: usize) {
        let end = start.saturating_add(length);
        if end <= self.bytes.len() {
            self.bytes.copy_within(end.., start);
            self.bytes.truncate(self.bytes.len() - length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec as StdVec;

    fn all<const BYTES: usize>(lines: &Lines<BYTES>) -> StdVec<&str> {
        lines.iter().collect()
    }

    #[test]
    fn lines_are_a_queue() {
        let mut lines: Lines<8> = Lines::new();
        assert!(lines.push("abc") && lines.push("de"));
        assert!(!lines.push("f"));
        assert_eq!(lines.oldest(), "abc");
        lines.pop_oldest();
        assert_eq!(all(&lines), ["de"]);
        lines.pop_oldest();
        assert!(lines.is_empty());
        assert_eq!(all(&lines), StdVec::<&str>::new());
        lines.pop_oldest();
    }

    #[test]
    fn history_forgets_duplicates_and_the_oldest() {
        let mut lines: Lines<12> = Lines::new();
        for line in ["one", "two", "one", "  "] {
            lines.remember(line);
        }
        assert_eq!(all(&lines), ["one", "two"]);
        lines.remember("three");
        assert_eq!(all(&lines), ["three", "one"]);
        lines.remember("longer than all of it");
        assert_eq!(lines.newest(1), Some("three"));
        assert_eq!((lines.newest(0), lines.newest(3)), (None, None));
    }
}
