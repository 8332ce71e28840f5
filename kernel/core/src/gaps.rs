//! Where bytes are missing among those that the serial line received. Pure.

/// What is known of an overrun of the UART's FIFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overrun {
    #[default]
    None,
    /// The interrupt came. What is missing lies behind the bytes that are in the FIFO.
    Raised,
    /// The gap is known, the byte that carries the mark of the overrun has not come yet.
    Placed,
}

/// The gaps that the reader has not come to. Between the first and the last of them every byte counts as one behind a gap: rather a good
/// line too many is dropped than one with a hole taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    received: u64,
    read: u64,
    /// The first and the last gap, each behind so many received bytes.
    pending: Option<(u64, u64)>,
    overrun: Overrun,
}

impl Gaps {
    /// Nothing is missing.
    #[must_use]
    pub const fn new() -> Self {
        Self { received: 0, read: 0, pending: None, overrun: Overrun::None }
    }

    /// A byte came.
    pub fn note_received(&mut self) {
        self.received += 1;
    }

    /// A byte was lost or dropped here.
    pub fn note_lost(&mut self) {
        let first = self.pending.map_or(self.received, |(first, _)| first);
        self.pending = Some((first, self.received));
    }

    /// The UART says that its FIFO ran over.
    pub fn note_overrun(&mut self) {
        self.overrun = Overrun::Raised;
    }

    /// The byte that comes next carries the mark of an overrun.
    pub fn note_overrun_mark(&mut self) {
        if core::mem::take(&mut self.overrun) != Overrun::Placed {
            self.note_lost();
        }
    }

    /// The FIFO is empty: what ran over came last.
    pub fn note_fifo_empty(&mut self) {
        if self.overrun == Overrun::Raised {
            self.overrun = Overrun::Placed;
            self.note_lost();
        }
    }

    /// Whether something is missing in front of the byte that is read next.
    #[must_use]
    pub fn is_next(&self) -> bool {
        self.pending.is_some_and(|(first, _)| first <= self.read)
    }

    /// The same, and the gap counts as read.
    pub fn take_next(&mut self) -> bool {
        let is_next = self.is_next();
        if is_next {
            self.pending = self.pending.filter(|(_, last)| *last > self.read).map(|(_, last)| (self.read + 1, last));
        }
        is_next
    }

    /// A byte was read.
    pub fn note_read(&mut self) {
        self.read += 1;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::String;

    /// Letters come, `-` is a loss, `!` the interrupt of an overrun, `^` the mark in front of a byte, `_` an empty FIFO. What the reader sees,
    /// with `-` for a gap; at `|` it reads all there is.
    fn read(events: &str) -> String {
        let (mut gaps, mut waiting, mut seen) = (Gaps::new(), String::new(), String::new());
        for event in events.chars().chain(['|']) {
            match event {
                '-' => gaps.note_lost(),
                '!' => gaps.note_overrun(),
                '^' => gaps.note_overrun_mark(),
                '_' => gaps.note_fifo_empty(),
                '|' => {
                    for byte in core::mem::take(&mut waiting).chars() {
                        seen.extend(gaps.take_next().then_some('-'));
                        gaps.note_read();
                        seen.push(byte);
                    }
                    seen.extend(gaps.take_next().then_some('-'));
                }
                byte => {
                    gaps.note_received();
                    waiting.push(byte);
                }
            }
        }
        assert!(!gaps.is_next());
        seen
    }

    #[test]
    fn gaps_are_read_where_they_are() {
        assert_eq!(read("abc"), "abc");
        assert_eq!(read("ab-c"), "ab-c");
        assert_eq!(read("-ab"), "-ab");
        assert_eq!(read("ab-"), "ab-");
        assert_eq!(read("a|b-|c"), "ab-c");
        assert_eq!(read("--a"), "-a");
    }

    #[test]
    fn nothing_between_two_gaps_counts_as_whole() {
        assert_eq!(read("a-bc-de"), "a-b-c-de");
        assert_eq!(read("a-bc|-de"), "a-bc-de");
    }

    #[test]
    fn an_overrun_is_one_gap_wherever_it_shows() {
        assert_eq!(read("ab!^c_"), "ab-c", "the mark came with the interrupt");
        assert_eq!(read("ab!_|^c_"), "ab-c", "nothing came behind it for a while");
        assert_eq!(read("ab!_"), "ab-", "nothing came behind it at all");
        assert_eq!(read("ab!_^c!_^d"), "ab-c-d");
        assert_eq!(read("ab_^c"), "ab-c", "a mark without an interrupt");
    }
}
