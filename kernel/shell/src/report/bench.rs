//! What `/bench` shows.

use super::status::throttling_brief;
use super::units::Tenths;
use core::fmt::{Result, Write};

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct BenchRow {
    /// Cores that computed.
    pub cores: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Time of the prompt, in nanoseconds of the board's clock.
    pub prompt_ns: u64,
    /// Tokens that were generated.
    pub generated_tokens: u32,
    /// Time of these, likewise.
    pub decode_ns: u64,
    /// The cores' clock behind the run.
    pub arm_hz: Option<u32>,
    /// The SoC's temperature behind the run, in thousandths of a degree Celsius.
    pub temperature_millidegrees: Option<u32>,
    /// The firmware's GET_THROTTLED bits behind the run.
    pub throttled: Option<u32>,
}

/// Writes the head of the table.
///
/// # Errors
/// Those of `out`.
pub fn bench_head(out: &mut dyn Write) -> Result {
    out.write_str("         prompt            generated\r\n")?;
    out.write_str("cores  tokens   ms each  tokens   ms each   MHz     °C  throttling\r\n")
}

/// Writes the row of a run.
///
/// # Errors
/// Those of `out`.
pub fn bench_row(row: &BenchRow, out: &mut dyn Write) -> Result {
    write!(out, "{:>5}  {:>6}  ", row.cores, row.prompt_tokens)?;
    write_milliseconds(row.prompt_ns, row.prompt_tokens, out)?;
    write!(out, "  {:>6}  ", row.generated_tokens)?;
    write_milliseconds(row.decode_ns, row.generated_tokens, out)?;
    match row.arm_hz {
        Some(hz) => write!(out, "  {:>4}", hz / 1_000_000)?,
        None => write!(out, "  {:>4}", "-")?,
    }
    match row.temperature_millidegrees {
        Some(millidegrees) => write!(out, "  {:>5}  ", Tenths(u64::from(millidegrees / 100)))?,
        None => write!(out, "  {:>5}  ", "-")?,
    }
    match row.throttled {
        Some(bits) => throttling_brief(bits, out)?,
        None => out.write_str("not told")?,
    }
    out.write_str("\r\n")
}

/// Says what the times are.
///
/// # Errors
/// Those of `out`.
pub fn bench_foot(is_emulator: bool, out: &mut dyn Write) -> Result {
    out.write_str(if is_emulator {
        "An emulator's times mean nothing: they depend on the PC and what else it does.\r\n"
    } else {
        "Times by the board's counter, everything included; clock and heat behind each run.\r\n"
    })
}

/// Time for each, in milliseconds with three decimals.
fn write_milliseconds(total_ns: u64, count: u32, out: &mut dyn Write) -> Result {
    match total_ns.checked_div(u64::from(count)) {
        Some(each_ns) => {
            let mut text: heapless::String<32> = heapless::String::new();
            write!(text, "{}.{:03}", each_ns / 1_000_000, each_ns / 1000 % 1000)?;
            write!(out, "{text:>8}")
        }
        None => write!(out, "{:>8}", "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const ROW: BenchRow = BenchRow {
        cores: 4,
        prompt_tokens: 64,
        prompt_ns: 640_064_000,
        generated_tokens: 16,
        decode_ns: 1_600_000_000,
        arm_hz: Some(1_500_345_000),
        temperature_millidegrees: Some(48_312),
        throttled: Some(0),
    };

    #[test]
    fn the_table_is_aligned() {
        let rows = rows(|out| {
            bench_head(out)?;
            bench_row(&ROW, out)?;
            bench_row(&BenchRow { generated_tokens: 0, arm_hz: None, temperature_millidegrees: None, ..ROW }, out)
        });
        assert_eq!(
            rows,
            [
                "         prompt            generated",
                "cores  tokens   ms each  tokens   ms each   MHz     °C  throttling",
                "    4      64    10.001      16   100.000  1500   48.3  none",
                "    4      64    10.001       0         -     -      -  none",
            ]
        );
    }

    #[test]
    fn throttling_stands_beside_the_times() {
        let rows = rows(|out| bench_row(&BenchRow { throttled: Some(0x5_0001), ..ROW }, out));
        assert!(rows[0].ends_with("under-voltage (0x50001)"), "{rows:?}");
    }

    #[test]
    fn nobody_takes_an_emulators_times_for_true() {
        assert!(rows(|out| bench_foot(true, out))[0].contains("mean nothing"));
    }
}
