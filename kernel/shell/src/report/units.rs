//! Numbers with units.

use core::fmt;

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// A number with one decimal, held in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tenths(pub(super) u64);

impl fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits: heapless::String<24> = heapless::String::new();
        fmt::Write::write_fmt(&mut digits, format_args!("{}.{}", self.0 / 10, self.0 % 10))?;
        formatter.pad_integral(true, "", &digits)
    }
}

/// So much per second, in tenths; `None` if no time was taken.
pub(super) fn per_second(amount: u64, duration_ns: u64) -> Option<Tenths> {
    let tenths = (u128::from(amount) * 10 * NANOSECONDS_PER_SECOND).checked_div(u128::from(duration_ns))?;
    Some(Tenths(u64::try_from(tenths).unwrap_or(u64::MAX)))
}

/// Bytes in MB (10^6): files and rates, as cards and cables are sold.
pub(super) fn megabytes(bytes: u64) -> Tenths {
    Tenths(bytes / 100_000)
}

/// Bytes in MiB (2^20): memory.
pub(super) fn mebibytes(bytes: u64) -> Tenths {
    Tenths(u64::try_from((u128::from(bytes) * 10) >> 20).unwrap_or(u64::MAX))
}

/// Displays Hz in MHz, to the kHz.
pub(super) struct Megahertz(pub(super) u64);

impl fmt::Display for Megahertz {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kilohertz = self.0.saturating_add(500) / 1000;
        write!(formatter, "{}.{:03}", kilohertz / 1000, kilohertz % 1000)
    }
}

/// Displays a size of memory in the unit that fits it.
pub(super) struct MemorySize(pub(super) u64);

impl fmt::Display for MemorySize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..0x10_0000 if bytes % 1024 == 0 => write!(formatter, "{} KiB", bytes >> 10),
            bytes @ ..0x10_0000 => write!(formatter, "{bytes} B"),
            bytes => write!(formatter, "{} MiB", mebibytes(bytes)),
        }
    }
}

/// Displays a time span as people say it.
pub(super) struct Duration(pub(super) u64);

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000_000;
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match seconds {
            0 => write!(formatter, "{} ms", self.0 / 1_000_000),
            1..120 => write!(formatter, "{seconds} s"),
            120..7200 => write!(formatter, "{minutes} min {} s", seconds % 60),
            7200..86_400 => write!(formatter, "{hours} h {minutes} min"),
            _ => write!(formatter, "{days} d {hours} h {minutes} min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn rates_and_sizes_are_rounded_down() {
        assert_eq!(per_second(25, 8_000_000_000).unwrap().to_string(), "3.1");
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(u64::MAX, 1), Some(Tenths(u64::MAX)));
        assert_eq!(alloc::format!("[{:>6}]", megabytes(98_362_432)), "[  98.3]");
        assert_eq!(MemorySize(64 << 10).to_string(), "64 KiB");
        assert_eq!(MemorySize(100).to_string(), "100 B");
        assert_eq!(MemorySize(3 << 19).to_string(), "1.5 MiB");
        assert_eq!(mebibytes(u64::MAX).to_string(), "17592186044415.9");
    }

    #[test]
    fn durations_use_two_units_at_most_below_a_day() {
        let second = 1_000_000_000;
        assert_eq!(Duration(93_000_000).to_string(), "93 ms");
        assert_eq!(Duration(100 * second).to_string(), "100 s");
        assert_eq!(Duration(125 * second).to_string(), "2 min 5 s");
        assert_eq!(Duration(7260 * second).to_string(), "2 h 1 min");
        assert_eq!(Duration(90_061 * second).to_string(), "1 d 1 h 1 min");
    }
}
