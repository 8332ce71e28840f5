//! Memory as a bus master sees it: by other addresses, not all of it, and past the caches.

/// Bytes of a cache line on every core here: what a master writes shares no line with anything else.
pub const LINE_BYTES: usize = 64;

/// Which memory a master with 32 address bits reaches, and by which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterReach {
    /// Physical address where its reach ends.
    pub physical_end: u64,
    /// What is added to a physical address.
    pub bus_offset: u64,
}

impl MasterReach {
    /// The VideoCore's uncached alias of the first GiB: the masters of the BCM2835 to BCM2837, and the BCM2711's EMMC2 up to
    /// stepping B0 (Linux bcm2711.dtsi, emmc2bus).
    pub const VIDEO_CORE_ALIAS: Self = Self { physical_end: 1 << 30, bus_offset: 0xC000_0000 };
    /// The same addresses as the processor's, up to the peripherals: the BCM2711's EMMC2 from stepping C0 on.
    pub const BCM2711_C0: Self = Self { physical_end: 0xFC00_0000, bus_offset: 0 };
    /// The same addresses as the processor's, 32 bits of them.
    pub const FIRST_4_GIB: Self = Self { physical_end: 1 << 32, bus_offset: 0 };

    /// The master's address of physical memory; `None` if it does not reach all of it.
    #[must_use]
    pub fn bus_address(&self, physical: u64, bytes: usize) -> Option<u32> {
        let end = physical.checked_add(bytes as u64).filter(|&end| end <= self.physical_end)?;
        // The last byte has to fit too: the alias ends with the 32 bits.
        u32::try_from((end - 1).checked_add(self.bus_offset)?).ok()?;
        u32::try_from(physical + self.bus_offset).ok()
    }
}

/// What a driver needs of the kernel's memory for a master that writes into it.
pub trait MasterMemory {
    /// Physical address of `bytes`; `None` if they do not lie next to each other there.
    fn physical(&self, bytes: &[u8]) -> Option<u64>;

    /// Lets the master see what was written: cleans to the point of coherency.
    fn clean(&mut self, bytes: &[u8]);

    /// Cleans and invalidates whole lines. Before the master writes, so that no dirty line is written back over its data; and
    /// after it wrote, so that lines that were fetched meanwhile do not hide them.
    fn clean_invalidate(&mut self, bytes: &mut [u8]);
}

/// Whether memory consists of whole cache lines.
#[must_use]
pub fn is_whole_lines(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(LINE_BYTES) && bytes.len().is_multiple_of(LINE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_reaches_the_first_gib_only() {
        let reach = MasterReach::VIDEO_CORE_ALIAS;
        assert_eq!(reach.bus_address(0, 64), Some(0xC000_0000));
        assert_eq!(reach.bus_address(0x3FFF_F000, 4096), Some(0xFFFF_F000));
        assert_eq!(reach.bus_address(0x3FFF_F000, 4097), None);
        assert_eq!(reach.bus_address(0x4000_0000, 64), None);
    }

    #[test]
    fn later_steppings_reach_up_to_the_peripherals() {
        let reach = MasterReach::BCM2711_C0;
        assert_eq!(reach.bus_address(0x4000_0000, 64), Some(0x4000_0000));
        assert_eq!(reach.bus_address(0xFBFF_FFC0, 64), Some(0xFBFF_FFC0));
        assert_eq!(reach.bus_address(0xFBFF_FFC0, 128), None);
        assert_eq!(reach.bus_address(0x1_0000_0000, 64), None);
        assert_eq!(reach.bus_address(u64::MAX, 64), None);
    }

    #[test]
    fn lines_are_whole_in_base_and_size() {
        #[repr(align(64))]
        struct Lines([u8; 256]);
        let lines = Lines([0; 256]);
        assert!(is_whole_lines(&lines.0) && is_whole_lines(&lines.0[64..192]));
        assert!(!is_whole_lines(&lines.0[4..68]) && !is_whole_lines(&lines.0[64..190]));
    }
}
