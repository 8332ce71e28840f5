//! Which physical memory becomes what: RAM minus what is taken, then engine, model and arena.
//!
//! Pure: works on ranges only, nothing is mapped here.

mod free;

use barellama_abi::layout::{BLOCK_BYTES, DESCRIPTOR_BYTES};

pub use self::free::{Extents, FreeMemory, PlanError, total_bytes};
use crate::platform::PhysicalRange;

/// Where model and arena lie.
#[derive(Clone, Debug)]
pub struct ModelMemory {
    /// Physical ranges of the model region, in virtual order: the file, zeros up to a block, the descriptor block.
    pub model: Extents,
    /// Physical ranges of the arena, in virtual order.
    pub arena: Extents,
}

impl ModelMemory {
    /// Plans for a model that will be read from the card.
    ///
    /// # Errors
    /// [`PlanError`] if the model does not fit or nothing is left for an arena.
    pub fn for_file(mut free: FreeMemory, file_bytes: u64) -> Result<Self, PlanError> {
        let model = free.take_blocks(region_bytes(file_bytes))?;
        let arena = take_arena(&mut free)?;
        Ok(Self { model, arena })
    }

    /// Plans for a file that lies in memory already, at a block-aligned address. Its whole blocks are used where they lie; the
    /// rest of it, which shares a block with other memory, gets a block of its own (second value: from, to) and must be copied.
    ///
    /// # Errors
    /// [`PlanError`] if nothing is left.
    pub fn for_placed_file(
        mut free: FreeMemory,
        file: PhysicalRange,
    ) -> Result<(Self, Option<(PhysicalRange, u64)>), PlanError> {
        let whole = PhysicalRange { start: file.start, bytes: file.bytes / BLOCK_BYTES * BLOCK_BYTES };
        let tail = PhysicalRange { start: whole.end(), bytes: file.bytes - whole.bytes };
        let mut model = Extents::new();
        if whole.bytes != 0 {
            model.push(whole).map_err(|_| PlanError::TooManyExtents)?;
        }
        let own_bytes = tail.bytes.next_multiple_of(BLOCK_BYTES) + DESCRIPTOR_BYTES;
        let own = free.take_contiguous(own_bytes, BLOCK_BYTES)?;
        model.push(own).map_err(|_| PlanError::TooManyExtents)?;
        let arena = take_arena(&mut free)?;
        Ok((Self { model, arena }, (tail.bytes != 0).then_some((tail, own.start))))
    }

    /// The physical place of the model region's bytes from `offset` on: at most `bytes`, fewer at the end of an extent; `None` behind
    /// the region.
    #[must_use]
    pub fn model_part(&self, offset: u64, bytes: u64) -> Option<PhysicalRange> {
        let mut start = 0;
        for extent in &self.model {
            if offset < start + extent.bytes {
                let inside = offset - start;
                return Some(PhysicalRange { start: extent.start + inside, bytes: bytes.min(extent.bytes - inside) });
            }
            start += extent.bytes;
        }
        None
    }

    /// Size of the model region in bytes.
    #[must_use]
    pub fn model_bytes(&self) -> u64 {
        total_bytes(&self.model)
    }

    /// Size of the arena in bytes.
    #[must_use]
    pub fn arena_bytes(&self) -> u64 {
        total_bytes(&self.arena)
    }
}

/// Bytes of the model region for a file: whole blocks, and the descriptor behind them.
#[must_use]
pub const fn region_bytes(file_bytes: u64) -> u64 {
    file_bytes.next_multiple_of(BLOCK_BYTES).saturating_add(DESCRIPTOR_BYTES)
}

fn take_arena(free: &mut FreeMemory) -> Result<Extents, PlanError> {
    let bytes = free.whole_blocks_bytes();
    if bytes == 0 {
        return Err(PlanError::OutOfMemory { needed_bytes: BLOCK_BYTES, available_bytes: 0 });
    }
    free.take_blocks(bytes)
}

#[cfg(test)]
mod tests {
    use super::free::tests::{MIB, PI_4_RAM, overlaps, pi_4};
    use super::*;

    #[test]
    fn a_large_model_spans_the_hole_below_one_gigabyte() {
        let memory = ModelMemory::for_file(pi_4(), 1169 * MIB + 17).unwrap();
        assert_eq!(memory.model_bytes(), 1170 * MIB + DESCRIPTOR_BYTES);
        assert!(memory.model.len() > 1);
        for model in &memory.model {
            assert!(model.start % BLOCK_BYTES == 0 && model.bytes % BLOCK_BYTES == 0);
            assert!(memory.arena.iter().all(|arena| !overlaps(*model, *arena)));
        }
        assert!(memory.arena_bytes() > 700 * MIB);
    }

    #[test]
    fn a_model_larger_than_memory_is_refused_with_both_sizes() {
        let error = ModelMemory::for_file(pi_4(), 4096 * MIB).unwrap_err();
        assert!(matches!(error, PlanError::OutOfMemory { needed_bytes, .. } if needed_bytes == 4098 * MIB));
    }

    #[test]
    fn a_placed_file_stays_where_it_is_but_for_its_last_part_block() {
        let file = PhysicalRange { start: 128 * MIB, bytes: 93 * MIB + 12_345 };
        let free = FreeMemory::new(&PI_4_RAM, &[PhysicalRange { start: 0, bytes: 8 * MIB }, file]).unwrap();
        let (memory, copy) = ModelMemory::for_placed_file(free, file).unwrap();
        assert_eq!(memory.model[0], PhysicalRange { start: 128 * MIB, bytes: 92 * MIB });
        let (tail, to) = copy.unwrap();
        assert_eq!(tail, PhysicalRange { start: 220 * MIB, bytes: MIB + 12_345 });
        assert_eq!(memory.model[1], PhysicalRange { start: to, bytes: 2 * BLOCK_BYTES });
        assert!(memory.arena.iter().all(|arena| !overlaps(*arena, file) && !overlaps(*arena, memory.model[1])));
    }
}
