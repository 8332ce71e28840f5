//! How much RAM a Raspberry Pi has, and which part of it is the Arm's. Pure arithmetic.

use barellama_kernel::platform::{EXTENTS_MAX, PhysicalRange};
use heapless::Vec;

const GIB: u64 = 1 << 30;
/// On the BCM2711 the peripherals cover the RAM from here to 4 GiB (low-peripheral mode; BCM2711 ARM Peripherals 1.2.4).
const BCM2711_PERIPHERALS: u64 = 0xFC00_0000;
/// Likewise on the BCM2837.
const BCM2837_PERIPHERALS: u64 = 0x3F00_0000;
const FOUR_GIB: u64 = 4 * GIB;

/// Bytes of RAM that a new-style revision code stands for (bit 23 set; bits 22:20 count doublings of 256 MiB).
#[must_use]
pub const fn ram_bytes_by_revision(revision: u32) -> Option<u64> {
    if revision & 1 << 23 == 0 {
        return None;
    }
    Some((256 << 20) << ((revision >> 20) & 7))
}

/// The Arm's RAM of a Pi 4: up to the VideoCore's part of the first GiB, then on to the peripherals, then above 4 GiB.
#[must_use]
pub fn raspberry_pi_4_ram(total_bytes: u64, video_core_start: u64) -> Vec<PhysicalRange, EXTENTS_MAX> {
    let mut ram = Vec::new();
    push(&mut ram, 0, video_core_start.min(total_bytes).min(GIB));
    push(&mut ram, GIB, total_bytes.min(BCM2711_PERIPHERALS));
    push(&mut ram, FOUR_GIB, total_bytes);
    ram
}

/// The Arm's RAM of a Pi 3 or Zero 2 W: up to the VideoCore's part, which lies at the end; at 1 GB the peripherals cover its last 16 MiB
/// (BCM2835 ARM Peripherals 1.2).
#[must_use]
pub fn raspberry_pi_3_ram(total_bytes: u64, video_core_start: u64) -> Vec<PhysicalRange, EXTENTS_MAX> {
    let mut ram = Vec::new();
    push(&mut ram, 0, video_core_start.min(total_bytes).min(BCM2837_PERIPHERALS));
    ram
}

/// Bytes of all ranges together.
#[must_use]
pub fn total_bytes(ranges: &[PhysicalRange]) -> u64 {
    ranges.iter().fold(0, |sum, range| sum.saturating_add(range.bytes))
}

/// Whether a range lies within one of `ranges`.
#[must_use]
pub fn contains(ranges: &[PhysicalRange], start: u64, bytes: u64) -> bool {
    let end = start.checked_add(bytes);
    ranges.iter().any(|range| range.start <= start && end.is_some_and(|end| end <= range.end()))
}

fn push(ranges: &mut Vec<PhysicalRange, EXTENTS_MAX>, start: u64, end: u64) {
    if start < end {
        // Three pushes at most, into a list of EXTENTS_MAX.
        let _ = ranges.push(PhysicalRange { start, bytes: end - start });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(ram: &[PhysicalRange]) -> Vec<(u64, u64), 4> {
        ram.iter().map(|range| (range.start, range.end())).collect()
    }

    #[test]
    fn revisions_tell_the_size() {
        assert_eq!(ram_bytes_by_revision(0x00B0_3115), Some(2 * GIB), "QEMU's Pi 4");
        assert_eq!(ram_bytes_by_revision(0x00A0_2082), Some(GIB), "Pi 3B");
        assert_eq!(ram_bytes_by_revision(0x00D0_3114), Some(8 * GIB), "Pi 4, 8 GB");
        assert_eq!(ram_bytes_by_revision(0x0000_000E), None, "old style");
    }

    #[test]
    fn a_pi_4_loses_the_video_core_and_the_peripherals() {
        assert_eq!(ends(&raspberry_pi_4_ram(GIB, 0x3C00_0000)), [(0, 0x3C00_0000)]);
        assert_eq!(ends(&raspberry_pi_4_ram(2 * GIB, 0x3C00_0000)), [(0, 0x3C00_0000), (GIB, 2 * GIB)]);
        assert_eq!(ends(&raspberry_pi_4_ram(4 * GIB, 0x3B40_0000)), [(0, 0x3B40_0000), (GIB, 0xFC00_0000)]);
        let eight = raspberry_pi_4_ram(8 * GIB, 0x3B40_0000);
        assert_eq!(ends(&eight), [(0, 0x3B40_0000), (GIB, 0xFC00_0000), (4 * GIB, 8 * GIB)]);
        assert_eq!(total_bytes(&eight), 0x3B40_0000 + (0xFC00_0000 - GIB) + 4 * GIB);
    }

    #[test]
    fn a_pi_3_ends_at_the_video_core() {
        assert_eq!(ends(&raspberry_pi_3_ram(GIB, 0x3C00_0000)), [(0, 0x3C00_0000)]);
        assert_eq!(ends(&raspberry_pi_3_ram(GIB / 2, 0x1C00_0000)), [(0, 0x1C00_0000)]);
        assert_eq!(ends(&raspberry_pi_3_ram(GIB / 2, 0x3C00_0000)), [(0, 0x2000_0000)], "an answer that cannot be");
        assert_eq!(ends(&raspberry_pi_3_ram(GIB, u64::MAX)), [(0, 0x3F00_0000)]);
    }

    #[test]
    fn containment_is_exact() {
        let ram = raspberry_pi_4_ram(2 * GIB, 0x3C00_0000);
        assert!(contains(&ram, 0x3BFF_F000, 0x1000));
        assert!(!contains(&ram, 0x3BFF_F000, 0x1001));
        assert!(!contains(&ram, u64::MAX, 2));
    }
}
