//! The kernel's last log lines in memory that a warm reset leaves alone, whatever the reset came from: the watchdog, the reset button, a
//! fault of the kernel.
//!
//! There are two places. A run writes into the one that the run before did not use, so that it can tell what is in the other. Each line
//! is cleaned to memory at once: a reset drops the caches. A sum over the bytes, kept up to date line by line, tells whether memory
//! survived. The caller sees to it that one core writes at a time.

use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

#[cfg(target_os = "none")]
use crate::cache::clean;
use crate::checksum::Checksum;

/// Bytes of lines that are kept: with their head two pages.
const BYTES: usize = (8 << 10) - size_of::<Head>();
const MAGIC: u64 = u64::from_le_bytes(*b"LOGLINES");
/// The run goes on, or was ended by something that it did not see.
const OPEN: u64 = 0;
/// It ended as it was asked to.
const CLOSED: u64 = 1;

/// The PC's tests reset nothing.
#[cfg(not(target_os = "none"))]
fn clean(_address: usize, _bytes: usize) {}

/// The head of a place, in a cache line of its own so that it reaches memory as a whole.
#[repr(C, align(64))]
struct Head {
    /// Counts runs.
    run: AtomicU64,
    state: AtomicU64,
    /// Bytes that were ever added; the ring holds the last of them.
    end: AtomicU64,
    /// Sum of all bytes of the ring.
    sum: AtomicU64,
    /// Over magic and the fields above.
    check: AtomicU64,
}

#[repr(C, align(4096))]
struct Place {
    head: Head,
    bytes: [AtomicU8; BYTES],
}

/// Not zeroed and not loaded: what they hold at the start is what earlier runs left.
#[cfg_attr(target_os = "none", unsafe(link_section = ".kept"))]
static PLACES: [Place; 2] = [const {
    Place {
        head: Head {
            run: AtomicU64::new(0),
            state: AtomicU64::new(0),
            end: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            check: AtomicU64::new(0),
        },
        bytes: [const { AtomicU8::new(0) }; BYTES],
    }
}; 2];

/// The place of this run.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// Begins the log of this run; that of the last one stays readable.
pub fn begin() {
    let run_of = |place: &Place| if place.is_valid() { place.head.run.load(Ordering::Relaxed) } else { 0 };
    let runs = PLACES.each_ref().map(run_of);
    let current = usize::from(runs[0] >= runs[1]);
    CURRENT.store(current, Ordering::Relaxed);
    PLACES[current].empty(runs[0].max(runs[1]).wrapping_add(1));
}

/// Adds a line.
pub fn push(line: &str) {
    PLACES[CURRENT.load(Ordering::Relaxed)].push(line);
}

/// This run ends because it was asked to.
pub fn close() {
    let place = &PLACES[CURRENT.load(Ordering::Relaxed)];
    place.head.state.store(CLOSED, Ordering::Relaxed);
    place.seal();
}

/// Whether the last run left a log and ended without being asked to.
#[must_use]
pub fn was_cut_off() -> bool {
    let place = last();
    place.is_valid() && place.head.state.load(Ordering::Relaxed) == OPEN && place.head.end.load(Ordering::Relaxed) > 0
}

/// Copies bytes of the last run's log from `offset` on; returns how many. Meant to be read if [`was_cut_off`].
pub fn copy_to(offset: usize, destination: &mut [u8]) -> usize {
    let place = last();
    let end = place.head.end.load(Ordering::Relaxed);
    let held = end.min(BYTES as u64) as usize;
    let count = held.saturating_sub(offset).min(destination.len());
    let first = end - held as u64 + offset as u64;
    for (byte, at) in destination[..count].iter_mut().zip(first..) {
        *byte = place.byte(at).load(Ordering::Relaxed);
    }
    count
}

fn last() -> &'static Place {
    &PLACES[1 - CURRENT.load(Ordering::Relaxed)]
}

impl Place {
    fn byte(&self, at: u64) -> &AtomicU8 {
        &self.bytes[(at % BYTES as u64) as usize]
    }

    fn empty(&self, run: u64) {
        self.bytes.iter().for_each(|byte| byte.store(0, Ordering::Relaxed));
        let head = &self.head;
        head.run.store(run, Ordering::Relaxed);
        head.state.store(OPEN, Ordering::Relaxed);
        head.end.store(0, Ordering::Relaxed);
        head.sum.store(0, Ordering::Relaxed);
        clean(core::ptr::from_ref(self).addr(), size_of::<Self>());
        self.seal();
    }

    fn push(&self, line: &str) {
        let start = self.head.end.load(Ordering::Relaxed);
        let mut sum = self.head.sum.load(Ordering::Relaxed);
        let mut end = start;
        for byte in line.bytes().chain(*b"\n") {
            let old = self.byte(end).swap(byte, Ordering::Relaxed);
            sum = sum.wrapping_add(u64::from(byte)).wrapping_sub(u64::from(old));
            end += 1;
        }
        self.head.end.store(end, Ordering::Relaxed);
        self.head.sum.store(sum, Ordering::Relaxed);
        self.clean(start, end);
        // Behind the bytes: a reset in between leaves a sum that does not fit rather than lines that are not there.
        self.seal();
    }

    /// Brings the bytes to memory, which may go round the end of the ring.
    fn clean(&self, start: u64, end: u64) {
        let first = (start % BYTES as u64) as usize;
        let length = (end - start) as usize;
        let in_front = length.min(BYTES - first);
        let base = self.bytes.as_ptr().addr();
        clean(base + first, in_front);
        if length > in_front {
            clean(base, (length - in_front).min(BYTES));
        }
    }

    fn seal(&self) {
        self.head.check.store(self.check(), Ordering::Relaxed);
        clean(core::ptr::from_ref(&self.head).addr(), size_of::<Head>());
    }

    fn check(&self) -> u64 {
        let Head { run, state, end, sum, .. } = &self.head;
        [run, state, end, sum]
            .iter()
            .fold(Checksum::new().word(MAGIC), |check, field| check.word(field.load(Ordering::Relaxed)))
            .value()
    }

    fn is_valid(&self) -> bool {
        let sum: u64 = self.bytes.iter().map(|byte| u64::from(byte.load(Ordering::Relaxed))).sum();
        self.head.check.load(Ordering::Relaxed) == self.check() && self.head.sum.load(Ordering::Relaxed) == sum
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::String;

    fn last_lines() -> String {
        let mut bytes = [0; BYTES];
        let count = copy_to(0, &mut bytes);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    /// One test, because there is one memory: runs follow each other.
    #[test]
    fn a_run_can_tell_how_the_one_before_went() {
        begin();
        assert!(!was_cut_off(), "nobody ran before");
        push("one");
        push("two");

        begin();
        assert!(was_cut_off());
        assert_eq!(last_lines(), "one\ntwo\n");
        (0..3000).for_each(|number| push(&format!("line {number}")));

        begin();
        assert!(was_cut_off());
        let lines = last_lines();
        assert_eq!(lines.len(), BYTES);
        assert!(lines.ends_with("line 2998\nline 2999\n"));
        push("asked to reboot");
        close();

        begin();
        assert!(!was_cut_off(), "it was asked to");
        push("power fails");
        let place = &PLACES[CURRENT.load(Ordering::Relaxed)];
        place.bytes[5000].fetch_xor(1, Ordering::Relaxed);

        begin();
        assert!(!was_cut_off(), "memory did not survive");
    }
}
