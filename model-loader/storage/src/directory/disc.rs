//! The file system as `embedded-sdmmc` sees it: a disc with one partition that has been checked.
//!
//! That crate trusts what it reads: an impossible boot sector, a cluster chain in a circle or a certain broken long name make it
//! panic or run for ever. So it is given a disc of our making: block 0 is a partition table written here, block `n` is block
//! `n - 1` of a file system whose [`Geometry`] was checked, and directory entries that it cannot take are changed on the way.

use crate::block::{BLOCK_BYTES, BlockReader, ReadError};
use crate::bytes::{u8_at, u16_at};
use crate::cache::CachedBlocks;
use crate::fat::geometry::{FAT32_CLUSTERS_MIN, FatKind, Geometry};
use core::cell::RefCell;
use core::fmt;
use embedded_sdmmc::{Block, BlockCount, BlockDevice, BlockIdx};

const FAT32_LBA_TYPE: u8 = 0x0C;
/// Where the file system begins on the disc.
const START: u32 = 1;
const ENTRY_BYTES: usize = 32;
/// Offsets of BPB_TotSec16 and BPB_TotSec32 in the boot sector (FAT specification 3.1).
const TOTAL_BLOCKS_16: usize = 19;
const TOTAL_BLOCKS_32: usize = 32;
const ATTRIBUTES_OFFSET: usize = 11;
/// Attributes of an entry that holds a part of a long name (FAT specification 7.1).
const LONG_NAME: u8 = 0x0F;
const VOLUME_LABEL: u8 = 0x08;
const DELETED: u8 = 0xE5;
const REPLACEMENT_CHARACTER: u16 = 0xFFFD;

/// The disc.
pub struct Disc<'a, R> {
    blocks: RefCell<&'a mut CachedBlocks<R>>,
    geometry: Geometry,
}

/// Why the disc refuses.
#[derive(Debug)]
pub enum DiscError {
    /// The card failed.
    Read(ReadError),
    /// A block outside the file system, a write, or a call out of turn.
    Refused,
}

impl core::error::Error for DiscError {}

impl fmt::Display for DiscError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(formatter),
            Self::Refused => write!(formatter, "the block lies outside the file system"),
        }
    }
}

impl<'a, R: BlockReader> Disc<'a, R> {
    /// The disc whose partition is the file system of `geometry`.
    pub fn new(blocks: &'a mut CachedBlocks<R>, geometry: Geometry) -> Self {
        Self { blocks: RefCell::new(blocks), geometry }
    }

    /// The card behind it.
    pub fn blocks(&mut self) -> &mut CachedBlocks<R> {
        self.blocks.get_mut()
    }

    /// Block of the card behind a block of the disc.
    pub fn card_lba(&self, index: BlockIdx) -> Option<u32> {
        let offset = index.0.checked_sub(START).filter(|&offset| offset < self.geometry.block_count)?;
        self.geometry.start_lba.checked_add(offset)
    }

    fn read_one(&self, block: &mut Block, index: BlockIdx) -> Result<(), DiscError> {
        if index.0 == 0 {
            block.contents = partition_table(self.geometry.block_count);
            return Ok(());
        }
        let lba = self.card_lba(index).ok_or(DiscError::Refused)?;
        let mut blocks = self.blocks.try_borrow_mut().map_err(|_| DiscError::Refused)?;
        block.contents = *blocks.block(lba).map_err(DiscError::Read)?;
        if index.0 == START && self.geometry.kind == FatKind::Fat32 {
            make_large(&mut block.contents, &self.geometry);
        }
        if lba >= self.geometry.directories_lba {
            make_digestible(&mut block.contents);
        }
        Ok(())
    }
}

impl<R: BlockReader> BlockDevice for Disc<'_, R> {
    type Error = DiscError;

    fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), DiscError> {
        for (block, index) in blocks.iter_mut().zip(start.0..) {
            self.read_one(block, BlockIdx(index))?;
        }
        Ok(())
    }

    fn write(&self, _blocks: &[Block], _start: BlockIdx) -> Result<(), DiscError> {
        Err(DiscError::Refused)
    }

    fn num_blocks(&self) -> Result<BlockCount, DiscError> {
        Ok(BlockCount(self.geometry.block_count.saturating_add(START)))
    }
}

/// The crate takes a FAT32 with few clusters for a FAT16. So it is told of more blocks than there are: clusters behind the end are in no
/// chain, since every chain is checked before it walks it.
fn make_large(boot_sector: &mut [u8; BLOCK_BYTES], geometry: &Geometry) {
    let clusters = geometry.cluster_count.max(FAT32_CLUSTERS_MIN);
    let blocks =
        geometry.data_lba.saturating_sub(geometry.start_lba).saturating_add(clusters * geometry.cluster_blocks);
    boot_sector[TOTAL_BLOCKS_16..TOTAL_BLOCKS_16 + 2].fill(0);
    boot_sector[TOTAL_BLOCKS_32..TOTAL_BLOCKS_32 + 4].copy_from_slice(&blocks.to_le_bytes());
}

/// A partition table with one entry.
fn partition_table(block_count: u32) -> [u8; BLOCK_BYTES] {
    let mut table = [0; BLOCK_BYTES];
    table[446 + 4] = FAT32_LBA_TYPE;
    table[446 + 8..446 + 12].copy_from_slice(&START.to_le_bytes());
    table[446 + 12..446 + 16].copy_from_slice(&block_count.to_le_bytes());
    table[510..512].copy_from_slice(&[0x55, 0xAA]);
    table
}

/// Changes the entries of a directory that the reader cannot take.
fn make_digestible(directory: &mut [u8; BLOCK_BYTES]) {
    for entry in directory.chunks_exact_mut(ENTRY_BYTES) {
        let attributes = u8_at(entry, ATTRIBUTES_OFFSET);
        if attributes & LONG_NAME == LONG_NAME {
            replace_lone_surrogate(entry);
        } else if attributes & VOLUME_LABEL != 0 && u8_at(entry, 0) != 0 {
            // A card named MODELS hides a folder of that name.
            entry[0] = DELETED;
        }
    }
}

/// The crate panics on a name part that begins with half of a character whose other half does not follow, unless the rest of
/// it ends the part before. The price: a character outside the basic plane that really lies across two parts shows as two
/// replacement characters.
fn replace_lone_surrogate(entry: &mut [u8]) {
    let (first, second) = (u16_at(entry, 1), u16_at(entry, 3));
    let is_pair = is_high_surrogate(first) && is_low_surrogate(second);
    if (is_high_surrogate(first) || is_low_surrogate(first)) && !is_pair {
        entry[1..3].copy_from_slice(&REPLACEMENT_CHARACTER.to_le_bytes());
    }
}

fn is_high_surrogate(unit: u16) -> bool {
    (0xD800..0xDC00).contains(&unit)
}

fn is_low_surrogate(unit: u16) -> bool {
    (0xDC00..0xE000).contains(&unit)
}
