//! The banner and the memory map.

use super::units::{MemorySize, mebibytes};
use core::fmt::{Result, Write};

/// Facts of the banner.
#[derive(Clone, Copy, Debug)]
pub struct BannerFacts<'a> {
    /// Version of the kernel.
    pub version: &'a str,
    /// Name of the board.
    pub board: &'a str,
    /// Name of the processor, e.g. "Cortex-A72".
    pub processor: &'a str,
    /// How many cores compute.
    pub cores: usize,
    /// Rate of the cores in Hz, if the firmware tells.
    pub arm_hz: Option<u32>,
    /// RAM that the Arm may use, in bytes.
    pub ram_bytes: u64,
    /// Bit rate of the serial line.
    pub baud: u32,
    /// Whether the watchdog may be armed.
    pub has_watchdog: bool,
    /// Whether the machine is an emulator.
    pub is_emulator: bool,
}

/// Writes the banner.
///
/// # Errors
/// Those of `out`.
pub fn banner(facts: &BannerFacts<'_>, out: &mut dyn Write) -> Result {
    write!(out, "barellama {} on {}\r\n", facts.version, facts.board)?;
    write!(out, "  processor  {} x {}", facts.cores, facts.processor)?;
    match facts.arm_hz {
        Some(hz) => write!(out, ", {} MHz\r\n", hz / 1_000_000)?,
        None => out.write_str(", rate unknown\r\n")?,
    }
    write!(out, "  memory     {} MiB\r\n", mebibytes(facts.ram_bytes))?;
    write!(out, "  console    {} bit/s\r\n", facts.baud)?;
    out.write_str(match (facts.has_watchdog, facts.is_emulator) {
        (true, _) => "  watchdog   on\r\n",
        (false, true) => "  watchdog   off: this emulator resets at once when it is armed\r\n",
        (false, false) => "  watchdog   off: the board has none that is known\r\n",
    })?;
    out.write_str("Type a message, or /help.\r\n")
}

/// What one side may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    Execute,
}

impl Access {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "---",
            Self::Read => "r--",
            Self::ReadWrite => "rw-",
            Self::Execute => "r-x",
        }
    }
}

/// A row of the memory map.
#[derive(Clone, Copy, Debug)]
pub struct MemoryRow<'a> {
    /// What it is.
    pub name: &'a str,
    /// First virtual address; `None`: not mapped.
    pub virtual_start: Option<u64>,
    /// First physical address; `None`: it has several extents, or none.
    pub physical_start: Option<u64>,
    /// Length in bytes.
    pub bytes: u64,
    /// What EL1 may do.
    pub kernel_access: Access,
    /// What EL0 may do.
    pub engine_access: Access,
}

/// Writes the memory map.
///
/// # Errors
/// Those of `out`.
pub fn memory_map(rows: &[MemoryRow<'_>], out: &mut dyn Write) -> Result {
    write!(out, "{:<20} {:<18} {:<12} {:>12}  EL1  EL0\r\n", "region", "virtual", "physical", "size")?;
    for row in rows {
        write!(out, "{:<20} ", row.name)?;
        write_address(row.virtual_start, 18, out)?;
        write_address(row.physical_start, 12, out)?;
        let mut size: heapless::String<32> = heapless::String::new();
        let _ = write!(size, "{}", MemorySize(row.bytes));
        write!(out, "{size:>12}  {}  {}\r\n", row.kernel_access.name(), row.engine_access.name())?;
    }
    Ok(())
}

fn write_address(address: Option<u64>, width: usize, out: &mut dyn Write) -> Result {
    match address {
        Some(address) => {
            let mut digits: heapless::String<20> = heapless::String::new();
            let _ = write!(digits, "{address:#010x}");
            write!(out, "{digits:<width$} ")
        }
        None => write!(out, "{:<width$} ", "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const FACTS: BannerFacts<'_> = BannerFacts {
        version: "0.1.0",
        board: "Raspberry Pi 4 Model B",
        processor: "Cortex-A72",
        cores: 4,
        arm_hz: Some(1_500_000_000),
        ram_bytes: 0x7C00_0000,
        baud: 115_200,
        has_watchdog: false,
        is_emulator: true,
    };

    #[test]
    fn banner_says_what_it_runs_on() {
        assert_eq!(
            rows(|out| banner(&FACTS, out)),
            [
                "barellama 0.1.0 on Raspberry Pi 4 Model B",
                "  processor  4 x Cortex-A72, 1500 MHz",
                "  memory     1984.0 MiB",
                "  console    115200 bit/s",
                "  watchdog   off: this emulator resets at once when it is armed",
                "Type a message, or /help.",
            ]
        );
        let facts = BannerFacts { arm_hz: None, has_watchdog: true, ..FACTS };
        let rows = rows(|out| banner(&facts, out));
        assert_eq!(
            (rows[1].as_str(), rows[4].as_str()),
            ("  processor  4 x Cortex-A72, rate unknown", "  watchdog   on")
        );
    }

    #[test]
    fn memory_map_is_aligned() {
        let code = MemoryRow {
            name: "kernel code",
            virtual_start: Some(0xFFFF_FF80_0000_0000),
            physical_start: Some(0x8_0000),
            bytes: 160 << 10,
            kernel_access: Access::Execute,
            engine_access: Access::None,
        };
        let model = MemoryRow {
            name: "model (2 extents)",
            virtual_start: Some(0x10_0000_0000),
            physical_start: None,
            bytes: 102 << 20,
            kernel_access: Access::Read,
            engine_access: Access::Read,
        };
        assert_eq!(
            rows(|out| memory_map(&[code, model], out)),
            [
                "region               virtual            physical             size  EL1  EL0",
                "kernel code          0xffffff8000000000 0x00080000        160 KiB  r-x  ---",
                "model (2 extents)    0x1000000000       -               102.0 MiB  r--  r--",
            ]
        );
    }
}
