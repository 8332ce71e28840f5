//! How far a load is, and how fast.

use core::fmt;

const SECOND_NS: u64 = 1_000_000_000;
const MEGABYTE: u64 = 1_000_000;

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes at their place.
    pub done_bytes: u64,
    /// Bytes of the file.
    pub total_bytes: u64,
    /// Mean rate since the first byte.
    pub bytes_per_second: u64,
    /// Time left at that rate, in seconds; `None` before the first bytes.
    pub seconds_left: Option<u64>,
}

impl Progress {
    /// The progress after `elapsed_ns` of reading.
    #[must_use]
    pub fn new(done_bytes: u64, total_bytes: u64, elapsed_ns: u64) -> Self {
        let rate = u128::from(done_bytes) * u128::from(SECOND_NS) / u128::from(elapsed_ns.max(1));
        let bytes_per_second = if elapsed_ns == 0 { 0 } else { u64::try_from(rate).unwrap_or(u64::MAX) };
        let left_bytes = total_bytes.saturating_sub(done_bytes);
        let seconds_left = (bytes_per_second > 0).then(|| left_bytes.div_ceil(bytes_per_second));
        Self { done_bytes, total_bytes, bytes_per_second, seconds_left }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| (bytes / MEGABYTE, bytes % MEGABYTE / (MEGABYTE / 10));
        let (done, done_tenths) = megabytes(self.done_bytes);
        let (total, total_tenths) = megabytes(self.total_bytes);
        let (rate, rate_tenths) = megabytes(self.bytes_per_second);
        write!(formatter, "{done}.{done_tenths} of {total}.{total_tenths} MB")?;
        match self.seconds_left {
            Some(seconds) => write!(formatter, ", {rate}.{rate_tenths} MB/s, {seconds} s left"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_rate_and_time_left() {
        let progress = Progress::new(12_340_000, 640_000_000, 4 * SECOND_NS);
        assert_eq!(progress.bytes_per_second, 3_085_000);
        assert_eq!(progress.to_string(), "12.3 of 640.0 MB, 3.0 MB/s, 204 s left");
    }

    #[test]
    fn knows_no_rate_before_the_first_bytes() {
        assert_eq!(Progress::new(0, 1_500_000, 0).to_string(), "0.0 of 1.5 MB");
        assert_eq!(Progress::new(0, 1_500_000, 1000).seconds_left, None);
    }
}
