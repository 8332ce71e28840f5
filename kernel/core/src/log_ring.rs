//! The last lines that kernel and engine logged, in fixed rings of bytes: one for each, so that an engine that logs without end pushes
//! out its own lines and none of the kernel's.
//!
//! Pure. [`crate::logging`] puts it behind the `log` crate; `/log` prints it.

/// Who logged a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The kernel.
    Kernel,
    /// The engine.
    Engine,
}

/// The rings. Lines are numbered from 0 in the order in which they came, whoever logged them.
pub struct Log<const KERNEL: usize, const ENGINE: usize> {
    kernel: LineRing<KERNEL>,
    engine: LineRing<ENGINE>,
    next: u64,
}

impl<const KERNEL: usize, const ENGINE: usize> Log<KERNEL, ENGINE> {
    /// An empty log.
    #[must_use]
    pub const fn new() -> Self {
        Self { kernel: LineRing::new(), engine: LineRing::new(), next: 0 }
    }

    /// Adds a line; newlines in it become spaces, what is longer than half of the ring is cut at a character.
    pub fn push(&mut self, source: Source, line: &str) {
        match source {
            Source::Kernel => self.kernel.push(self.next, line),
            Source::Engine => self.engine.push(self.next, line),
        }
        self.next += 1;
    }

    /// The number that the next line will have.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.next
    }

    /// Copies the start of the first line that is left of those from number `from` on. Returns how much was copied and the number to
    /// go on from; `None` at the end.
    pub fn copy_line(&mut self, from: u64, destination: &mut [u8]) -> Option<(usize, u64)> {
        match (self.kernel.find(from), self.engine.find(from)) {
            (Some(kernel), Some(engine)) if engine.number < kernel.number => {
                Some(self.engine.copy(engine, destination))
            }
            (Some(kernel), _) => Some(self.kernel.copy(kernel, destination)),
            (None, Some(engine)) => Some(self.engine.copy(engine, destination)),
            (None, None) => None,
        }
    }
}

impl<const KERNEL: usize, const ENGINE: usize> Default for Log<KERNEL, ENGINE> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes in front of each line: its number and its length.
const HEADER_BYTES: usize = 8 + 2;

/// A line in a ring.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    /// Where its header begins, in bytes since the first one.
    at: u64,
    length: usize,
}

/// A ring of numbered lines. When it is full the oldest lines go.
struct LineRing<const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Where the oldest line begins and where the next one will, in bytes since the first one.
    start: u64,
    end: u64,
    /// The line that was found last: lines are read in their order.
    found: Option<Place>,
}

impl<const BYTES: usize> LineRing<BYTES> {
    const fn new() -> Self {
        Self { bytes: [0; BYTES], start: 0, end: 0, found: None }
    }

    fn push(&mut self, number: u64, line: &str) {
        let longest = (BYTES / 2).min(usize::from(u16::MAX)) - HEADER_BYTES;
        let line = &line[..line.floor_char_boundary(longest)];
        let needed = (HEADER_BYTES + line.len()) as u64;
        while self.end - self.start + needed > BYTES as u64 {
            self.start = self.place(self.start).end();
        }
        number.to_le_bytes().into_iter().for_each(|byte| self.put(byte));
        (line.len() as u16).to_le_bytes().into_iter().for_each(|byte| self.put(byte));
        line.bytes().for_each(|byte| self.put(if byte == b'\n' { b' ' } else { byte }));
    }

    fn put(&mut self, byte: u8) {
        self.bytes[(self.end % BYTES as u64) as usize] = byte;
        self.end += 1;
    }

    /// The line that begins there.
    fn place(&self, at: u64) -> Place {
        let byte = |offset: usize| self.byte(at + offset as u64);
        let number = u64::from_le_bytes(core::array::from_fn(byte));
        let length = u16::from_le_bytes([byte(8), byte(9)]);
        Place { number, at, length: usize::from(length) }
    }

    fn byte(&self, at: u64) -> u8 {
        self.bytes[(at % BYTES as u64) as usize]
    }

    /// The first line of those from number `from` on.
    fn find(&mut self, from: u64) -> Option<Place> {
        let known = self.found.filter(|found| found.at >= self.start && found.number <= from);
        let mut at = known.map_or(self.start, |found| found.at);
        while at < self.end {
            let place = self.place(at);
            self.found = Some(place);
            if place.number >= from {
                return Some(place);
            }
            at = place.end();
        }
        None
    }

    fn copy(&self, place: Place, destination: &mut [u8]) -> (usize, u64) {
        let count = place.length.min(destination.len());
        for (byte, at) in destination[..count].iter_mut().zip(place.at + HEADER_BYTES as u64..) {
            *byte = self.byte(at);
        }
        (count, place.number + 1)
    }
}

impl Place {
    const fn end(self) -> u64 {
        self.at + (HEADER_BYTES + self.length) as u64
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;
    use std::{format, vec};

    fn lines<const K: usize, const E: usize>(log: &mut Log<K, E>, from: u64) -> Vec<String> {
        let mut position = from;
        let mut bytes = [0; 64];
        core::iter::from_fn(|| {
            let (count, next) = log.copy_line(position, &mut bytes)?;
            position = next;
            Some(String::from_utf8(bytes[..count].to_vec()).unwrap())
        })
        .collect()
    }

    #[test]
    fn the_oldest_lines_go_first() {
        let mut log = Log::<63, 64>::new();
        for line in ["first", "second", "third", "fourth", "fifth"] {
            log.push(Source::Kernel, line);
        }
        assert_eq!(lines(&mut log, 0), ["second", "third", "fourth", "fifth"]);
        assert_eq!(log.end(), 5);
    }

    #[test]
    fn lines_of_both_come_in_their_order() {
        let mut log = Log::<256, 256>::new();
        for number in 0..9 {
            let source = if number % 3 == 1 { Source::Engine } else { Source::Kernel };
            log.push(source, &format!("{number}"));
        }
        assert_eq!(lines(&mut log, 0).concat(), "012345678");
        assert_eq!(lines(&mut log, 4).concat(), "45678");
        assert_eq!(lines(&mut log, 0).concat(), "012345678", "what was found last does not hide what is older");
        assert!(lines(&mut log, 9).is_empty());
    }

    #[test]
    fn a_flood_of_the_engine_leaves_the_kernels_lines() {
        let mut log = Log::<256, 128>::new();
        log.push(Source::Kernel, "the boot");
        for number in 0..10_000 {
            log.push(Source::Engine, &format!("spam {number}"));
        }
        log.push(Source::Kernel, "engine fault: call-budget");
        let left = lines(&mut log, 0);
        assert_eq!((left[0].as_str(), left[left.len() - 1].as_str()), ("the boot", "engine fault: call-budget"));
        assert!(left.len() > 4 && left[left.len() - 2] == "spam 9999", "{left:?}");
    }

    #[test]
    fn long_lines_are_cut_at_a_character_and_newlines_kept_out() {
        let mut log = Log::<36, 64>::new();
        log.push(Source::Kernel, "aaaaaaaéb");
        assert_eq!(lines(&mut log, 0), ["aaaaaaa"]);
        log.push(Source::Kernel, "x\ny");
        assert_eq!(lines(&mut log, 0), ["aaaaaaa", "x y"]);
    }

    #[test]
    fn lines_are_read_one_by_one_while_new_ones_come() {
        let mut log = Log::<64, 64>::new();
        let mut line = [0; 5];
        let mut position = log.end();
        assert_eq!(log.copy_line(position, &mut line), None);
        let mut seen = vec![];
        for text in ["one", "two", "a long one", "four", "five", "six", "seven"] {
            log.push(Source::Kernel, text);
            if text.len() < 5 {
                continue;
            }
            while let Some((count, next)) = log.copy_line(position, &mut line) {
                seen.push(String::from_utf8(line[..count].to_vec()).unwrap());
                position = next;
            }
        }
        assert_eq!(seen, ["one", "two", "a lon", "four", "five", "six", "seven"]);
        for _ in 0..9 {
            log.push(Source::Kernel, "later");
        }
        assert_eq!(log.copy_line(position, &mut line).map(|(count, _)| count), Some(5), "what is gone is passed over");
    }
}
