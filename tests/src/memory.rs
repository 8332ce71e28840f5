//! What the console says about memory.

/// The arena, as the engine reports it when it has checked a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arena {
    /// MiB that the model needs.
    pub needed_mib: f64,
    /// MiB that there are.
    pub there_mib: f64,
    /// Context in tokens.
    pub context: u64,
}

impl Arena {
    /// Reads the line `Arena: needs 52.6 of 1362.0 MiB; context 2048 tokens`.
    #[must_use]
    pub fn from_report(shown: &str) -> Option<Self> {
        let mut words = shown.split_once("Arena: needs ")?.1.split_whitespace();
        let needed_mib = words.next()?.parse().ok()?;
        let there_mib = words.nth(1)?.parse().ok()?;
        let context = words.nth(2)?.parse().ok()?;
        Some(Self { needed_mib, there_mib, context })
    }
}

/// Sum of the sizes in the memory map that `/mem` shows, in KiB: all of them, or those of the named regions.
#[must_use]
pub fn mapped_kib(map: &str, is_counted: impl Fn(&str) -> bool) -> u64 {
    let rows = map.lines().filter(|line| line.contains("0x") && is_counted(line));
    rows.filter_map(|line| {
        let mut words = line.split_whitespace().rev().skip(2);
        let (unit, size) = (words.next()?, words.next()?.parse::<f64>().ok()?);
        Some(if unit == "MiB" { size * 1024.0 } else { size } as u64)
    })
    .sum()
}

/// Memory of kernel and engine outside model and arena, in KiB, as `/mem` shows it.
#[must_use]
pub fn kernel_kib(map: &str) -> u64 {
    mapped_kib(map, |line| !line.starts_with("model") && !line.starts_with("arena"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_maps_are_read() {
        let report = "x\r\nArena: needs 52.6 of 1362.0 MiB; context 2048 tokens\r\n  heap at 0";
        assert_eq!(Arena::from_report(report), Some(Arena { needed_mib: 52.6, there_mib: 1362.0, context: 2048 }));
        assert_eq!(Arena::from_report("Arena: needs more"), None);
        let map = "region  virtual  physical  size  EL1  EL0\n\
                   rings  0x80000000  0x00584000  1.0 MiB  rw-  rw-\n\
                   engine data  0x004b1000  0x0007c000  4 KiB  rw-  rw-\n\
                   model  0x1000000000  0x08000000  606.0 MiB  r--  r--\n";
        assert_eq!(kernel_kib(map), 1028);
        assert_eq!(mapped_kib(map, |line| line.starts_with("model")), 606 * 1024);
    }
}
