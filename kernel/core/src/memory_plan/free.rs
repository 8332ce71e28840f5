//! Free physical memory: RAM without what is taken.

use barellama_abi::layout::{BLOCK_BYTES, PAGE_BYTES};
use heapless::Vec;

use crate::platform::{EXTENTS_MAX, PhysicalRange};

/// A list of physical ranges.
pub type Extents = Vec<PhysicalRange, EXTENTS_MAX>;

/// Why memory could not be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// RAM is cut into more pieces than the kernel keeps track of.
    TooManyExtents,
    /// There is not enough memory; both sizes in bytes.
    OutOfMemory {
        /// What was asked for.
        needed_bytes: u64,
        /// What is there.
        available_bytes: u64,
    },
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooManyExtents => {
                write!(f, "RAM is cut into more than {EXTENTS_MAX} pieces: remove reserved areas from the device tree")
            }
            Self::OutOfMemory { needed_bytes, available_bytes } => write!(
                f,
                "{} MiB of memory are needed, {} MiB are free: use a smaller model or a board with more memory",
                needed_bytes.div_ceil(1 << 20),
                available_bytes >> 20
            ),
        }
    }
}

/// Free physical memory, taken from piece by piece.
#[derive(Clone, Debug)]
pub struct FreeMemory {
    extents: Extents,
}

impl FreeMemory {
    /// RAM without the reserved ranges.
    ///
    /// # Errors
    /// [`PlanError::TooManyExtents`].
    pub fn new(ram: &[PhysicalRange], reserved: &[PhysicalRange]) -> Result<Self, PlanError> {
        let mut extents = Extents::new();
        for range in ram.iter().filter(|range| range.bytes != 0) {
            // A device tree that names memory twice does not make it two.
            extents = without(&extents, *range)?;
            extents.push(*range).map_err(|_| PlanError::TooManyExtents)?;
        }
        for range in reserved.iter().filter(|range| range.bytes != 0) {
            extents = without(&extents, *range)?;
        }
        Ok(Self { extents })
    }

    /// The free ranges.
    #[must_use]
    pub fn extents(&self) -> &[PhysicalRange] {
        &self.extents
    }

    /// Takes one contiguous range of whole pages that starts on a multiple of `alignment_bytes`.
    ///
    /// # Errors
    /// [`PlanError::OutOfMemory`] if no single range is large enough.
    pub fn take_contiguous(&mut self, bytes: u64, alignment_bytes: u64) -> Result<PhysicalRange, PlanError> {
        let bytes = bytes.next_multiple_of(PAGE_BYTES);
        let fitting = self.extents.iter().find_map(|extent| {
            let start = extent.start.checked_next_multiple_of(alignment_bytes)?;
            let end = start.checked_add(bytes)?;
            (end <= extent.end()).then_some(PhysicalRange { start, bytes })
        });
        let range = fitting.ok_or_else(|| self.out_of_memory(bytes))?;
        self.extents = without(&self.extents, range)?;
        Ok(range)
    }

    /// Takes `bytes` (rounded up to blocks) as few block-aligned extents, lowest addresses first.
    ///
    /// # Errors
    /// [`PlanError::OutOfMemory`] if all free blocks together are too few; nothing is taken then.
    pub fn take_blocks(&mut self, bytes: u64) -> Result<Extents, PlanError> {
        let mut missing = bytes.next_multiple_of(BLOCK_BYTES);
        if self.whole_blocks_bytes() < missing {
            return Err(PlanError::OutOfMemory { needed_bytes: missing, available_bytes: self.whole_blocks_bytes() });
        }
        let mut taken = Extents::new();
        for extent in self.extents.clone() {
            let blocks = whole_blocks(extent);
            let part = PhysicalRange { start: blocks.start, bytes: blocks.bytes.min(missing) };
            if part.bytes == 0 {
                continue;
            }
            taken.push(part).map_err(|_| PlanError::TooManyExtents)?;
            missing -= part.bytes;
        }
        for part in &taken {
            self.extents = without(&self.extents, *part)?;
        }
        Ok(taken)
    }

    /// Gives back a range that was reserved, as far as it has whole pages of its own: a placed model that is not used any more.
    ///
    /// # Errors
    /// [`PlanError::TooManyExtents`]; the range stays reserved then.
    pub fn give_back(&mut self, range: PhysicalRange) -> Result<(), PlanError> {
        let start = range.start.next_multiple_of(PAGE_BYTES);
        let end = range.end() / PAGE_BYTES * PAGE_BYTES;
        if start >= end {
            return Ok(());
        }
        let mut joined = PhysicalRange { start, bytes: end - start };
        let mut extents = Extents::new();
        // What touches the range becomes one with it; the order stays ascending.
        for extent in &self.extents {
            if extent.end() < joined.start {
                extents.push(*extent).map_err(|_| PlanError::TooManyExtents)?;
            } else if extent.start <= joined.end() {
                let first = joined.start.min(extent.start);
                joined = PhysicalRange { start: first, bytes: joined.end().max(extent.end()) - first };
            }
        }
        extents.push(joined).map_err(|_| PlanError::TooManyExtents)?;
        for extent in self.extents.iter().filter(|extent| extent.start > joined.end()) {
            extents.push(*extent).map_err(|_| PlanError::TooManyExtents)?;
        }
        self.extents = extents;
        Ok(())
    }

    /// How many bytes [`Self::take_blocks`] could take.
    #[must_use]
    pub fn whole_blocks_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| whole_blocks(*extent).bytes).sum()
    }

    fn out_of_memory(&self, needed_bytes: u64) -> PlanError {
        let available_bytes = self.extents.iter().map(|extent| extent.bytes).max().unwrap_or(0);
        PlanError::OutOfMemory { needed_bytes, available_bytes }
    }
}

/// Sum of the lengths of some ranges, in bytes.
#[must_use]
pub fn total_bytes(extents: &[PhysicalRange]) -> u64 {
    extents.iter().map(|extent| extent.bytes).sum()
}

fn whole_blocks(extent: PhysicalRange) -> PhysicalRange {
    // At the end of all addresses there is no whole block.
    let start = extent.start.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX);
    let end = extent.end() / BLOCK_BYTES * BLOCK_BYTES;
    PhysicalRange { start, bytes: end.saturating_sub(start) }
}

/// The extents without a range, on page boundaries: what shares a page with the range goes too.
fn without(extents: &[PhysicalRange], range: PhysicalRange) -> Result<Extents, PlanError> {
    let hole_start = range.start / PAGE_BYTES * PAGE_BYTES;
    let hole_end = range.end().checked_next_multiple_of(PAGE_BYTES).unwrap_or(u64::MAX);
    let mut rest = Extents::new();
    for extent in extents {
        let below = (extent.start, extent.end().min(hole_start));
        let above = (extent.start.max(hole_end), extent.end());
        for (start, end) in [below, above] {
            if start < end {
                rest.push(PhysicalRange { start, bytes: end - start }).map_err(|_| PlanError::TooManyExtents)?;
            }
        }
    }
    Ok(rest)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const MIB: u64 = 1 << 20;
    pub const PI_4_RAM: [PhysicalRange; 2] =
        [PhysicalRange { start: 0, bytes: 948 * MIB }, PhysicalRange { start: 1024 * MIB, bytes: 1024 * MIB }];

    pub fn pi_4() -> FreeMemory {
        let reserved = [
            PhysicalRange { start: 0, bytes: 4096 },
            PhysicalRange { start: 0x80000, bytes: 7 * MIB },
            PhysicalRange { start: 128 * MIB + 5, bytes: 100 },
        ];
        FreeMemory::new(&PI_4_RAM, &reserved).unwrap()
    }

    pub fn overlaps(a: PhysicalRange, b: PhysicalRange) -> bool {
        a.start < b.end() && b.start < a.end()
    }

    #[test]
    fn memory_that_is_named_twice_is_there_once() {
        let twice = [PI_4_RAM[0], PhysicalRange { start: 947 * MIB, bytes: 100 * MIB }, PI_4_RAM[0]];
        let free = FreeMemory::new(&twice, &[]).unwrap();
        assert_eq!(total_bytes(free.extents()), 1047 * MIB);
    }

    #[test]
    fn ranges_up_to_the_end_of_all_addresses_are_no_trouble() {
        let high = PhysicalRange { start: u64::MAX - 5000, bytes: u64::MAX };
        let mut free = FreeMemory::new(&[PI_4_RAM[0], high], &[]).unwrap();
        assert_eq!(free.whole_blocks_bytes(), 948 * MIB);
        assert!(free.take_contiguous(MIB, BLOCK_BYTES).is_ok());
        assert!(FreeMemory::new(&PI_4_RAM, &[high]).is_ok());
        assert_eq!(FreeMemory::new(&PI_4_RAM, &[PhysicalRange { start: 0, bytes: u64::MAX }]).unwrap().extents(), []);
    }

    #[test]
    fn reserved_ranges_are_cut_out_on_page_boundaries() {
        let free = pi_4();
        assert_eq!(
            free.extents(),
            [
                PhysicalRange { start: 4096, bytes: 0x80000 - 4096 },
                PhysicalRange { start: 0x80000 + 7 * MIB, bytes: 128 * MIB - 0x80000 - 7 * MIB },
                PhysicalRange { start: 128 * MIB + 4096, bytes: 820 * MIB - 4096 },
                PhysicalRange { start: 1024 * MIB, bytes: 1024 * MIB },
            ]
        );
    }

    #[test]
    fn what_was_reserved_can_be_given_back() {
        let hole = PhysicalRange { start: 128 * MIB, bytes: 93 * MIB };
        let whole = FreeMemory::new(&PI_4_RAM, &[]).unwrap();
        let mut free = FreeMemory::new(&PI_4_RAM, &[hole]).unwrap();
        assert_eq!(free.extents().len(), 3);
        free.give_back(hole).unwrap();
        assert_eq!(free.extents(), whole.extents());
        // Parts of pages stay with their neighbours.
        let part = PhysicalRange { start: 128 * MIB + 5, bytes: 100 };
        let mut free = pi_4();
        let before = free.whole_blocks_bytes();
        free.give_back(part).unwrap();
        assert_eq!(free.whole_blocks_bytes(), before);
        // What overlaps free memory is not counted twice.
        free.give_back(PhysicalRange { start: 120 * MIB, bytes: 20 * MIB }).unwrap();
        assert_eq!(free.extents().len(), 3);
        assert_eq!(total_bytes(free.extents()), total_bytes(&PI_4_RAM) - 7 * MIB - 4096);
    }

    #[test]
    fn contiguous_ranges_are_aligned_and_leave_the_free_list() {
        let mut free = pi_4();
        let first = free.take_contiguous(3 * MIB, BLOCK_BYTES).unwrap();
        let second = free.take_contiguous(3 * MIB, BLOCK_BYTES).unwrap();
        assert!(first.start.is_multiple_of(BLOCK_BYTES) && !overlaps(first, second));
        assert!(free.take_contiguous(3000 * MIB, PAGE_BYTES).is_err());
    }
}
