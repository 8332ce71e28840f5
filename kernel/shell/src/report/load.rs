//! The progress of reading the model.

use super::units::{Duration, megabytes, per_second};
use core::fmt::{Result, Write};

const BAR_COLUMNS: u64 = 24;
/// Shorter measurements make wild guesses of the time left.
const MEASURED_NS_MIN: u64 = 200_000_000;

/// How far reading is.
#[derive(Clone, Copy, Debug)]
pub struct LoadFacts {
    /// Bytes that were read.
    pub done_bytes: u64,
    /// Bytes of the file.
    pub total_bytes: u64,
    /// Time since the first byte, in nanoseconds.
    pub elapsed_ns: u64,
}

/// Draws the progress over the row that is there. No line end: the next call draws over it, [`load_done`] ends it.
///
/// # Errors
/// Those of `out`.
pub fn load_progress(facts: &LoadFacts, out: &mut dyn Write) -> Result {
    let LoadFacts { done_bytes, total_bytes, elapsed_ns } = *facts;
    let filled = (u128::from(done_bytes) * u128::from(BAR_COLUMNS)).checked_div(u128::from(total_bytes)).unwrap_or(0);
    out.write_str("\r[")?;
    for column in 0..BAR_COLUMNS {
        out.write_char(if u128::from(column) < filled { '#' } else { '.' })?;
    }
    write!(out, "] {:>6} of {} MB", megabytes(done_bytes), megabytes(total_bytes))?;
    let mut rest: heapless::String<64> = heapless::String::new();
    if let Some(left_ns) = left_ns(facts) {
        let rate = megabytes_per_second(done_bytes, elapsed_ns);
        let _ = write!(rest, "  {rate} MB/s  {} left", Duration(left_ns));
    }
    // Padded, so that a shorter text leaves nothing of a longer one.
    write!(out, "{rest:<32}")
}

/// Draws over the progress what was reached, and ends the row.
///
/// # Errors
/// Those of `out`.
pub fn load_done(facts: &LoadFacts, out: &mut dyn Write) -> Result {
    let mut text: heapless::String<96> = heapless::String::new();
    let rate = megabytes_per_second(facts.done_bytes, facts.elapsed_ns);
    let _ = write!(text, "read {} MB in {}, {rate} MB/s", megabytes(facts.done_bytes), Duration(facts.elapsed_ns));
    write!(out, "\r{text:<78}\r\n")
}

fn megabytes_per_second(bytes: u64, elapsed_ns: u64) -> impl core::fmt::Display {
    megabytes(per_second(bytes, elapsed_ns).map_or(0, |rate| rate.0 / 10))
}

fn left_ns(facts: &LoadFacts) -> Option<u64> {
    if facts.elapsed_ns < MEASURED_NS_MIN {
        return None;
    }
    let left_bytes = u128::from(facts.total_bytes.saturating_sub(facts.done_bytes));
    let left = (left_bytes * u128::from(facts.elapsed_ns)).checked_div(u128::from(facts.done_bytes))?;
    u64::try_from(left).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn progress(done_bytes: u64, total_bytes: u64, elapsed_ns: u64) -> String {
        let mut text = String::new();
        load_progress(&LoadFacts { done_bytes, total_bytes, elapsed_ns }, &mut text).unwrap();
        assert!(text.starts_with('\r') && text.chars().count() <= 80, "{text:?}");
        String::from(text.trim())
    }

    #[test]
    fn progress_has_a_bar_a_rate_and_the_time_left() {
        assert_eq!(
            progress(49_000_000, 98_000_000, 4_000_000_000),
            "[############............]   49.0 of 98.0 MB  12.2 MB/s  4 s left"
        );
        assert_eq!(progress(0, 98_000_000, 0), "[........................]    0.0 of 98.0 MB");
        assert_eq!(progress(1_000_000, 98_000_000, 1000), "[........................]    1.0 of 98.0 MB");
    }

    #[test]
    fn odd_figures_do_not_panic() {
        progress(0, 0, u64::MAX);
        progress(0, 1_000_000, 1_000_000_000);
        let mut text = String::new();
        let facts = LoadFacts { done_bytes: u64::MAX, total_bytes: 1, elapsed_ns: u64::MAX };
        load_progress(&facts, &mut text).unwrap();
        load_done(&facts, &mut text).unwrap();
    }

    #[test]
    fn the_end_covers_the_progress() {
        let mut text = String::new();
        let facts = LoadFacts { done_bytes: 98_362_432, total_bytes: 98_362_432, elapsed_ns: 7_800_000_000 };
        load_done(&facts, &mut text).unwrap();
        assert_eq!(text.trim(), "read 98.3 MB in 7 s, 12.6 MB/s");
        assert_eq!(text.len(), 81);
    }
}
