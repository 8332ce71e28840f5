//! Which part of the card holds the FAT file system: the partition table of the first block, or a card without one.

use crate::block::{BLOCK_BYTES, BlockReader};
use crate::bytes::{u8_at, u16_at, u32_at};
use crate::cache::CachedBlocks;
use crate::error::StorageError;
use crate::fat::geometry::{Geometry, GeometryFault};

const TABLE_OFFSET: usize = 446;
const ENTRY_BYTES: usize = 16;
const ENTRIES: usize = 4;

/// Partition types that say FAT: FAT12, FAT16 (small, large, LBA), FAT32 (CHS, LBA).
const FAT_TYPES: [u8; 6] = [0x01, 0x04, 0x06, 0x0E, 0x0B, 0x0C];
/// The only entry of a protective table: the real one is a GPT (UEFI 5.2.3).
const GPT_TYPE: u8 = 0xEE;
/// exFAT and NTFS share this type; their boot sectors tell them apart.
const EXFAT_OR_NTFS_TYPE: u8 = 0x07;
const EMPTY_TYPE: u8 = 0;

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    start_lba: u32,
}

/// Finds the first FAT file system of the card that can be read.
///
/// # Errors
/// Why there is none, by name: a read error, an empty card, a GPT, exFAT or NTFS, a damaged or truncated file system.
pub fn find<R: BlockReader>(blocks: &mut CachedBlocks<R>) -> Result<Geometry, StorageError> {
    let card_blocks = blocks.reader_ref().block_count();
    let first = *blocks.block(0)?;
    if u16_at(&first, 510) != 0xAA55 {
        return Err(StorageError::NoPartition);
    }
    if let Some(error) = foreign(&first) {
        return Err(error);
    }
    // A card formatted as a whole: the first block is the boot sector itself.
    match Geometry::parse(&first, 0, card_blocks) {
        Ok(geometry) => return Ok(geometry),
        Err(fault @ GeometryFault::BeyondCard { .. }) => return Err(StorageError::NotFat(fault)),
        Err(_) => {}
    }

    let mut error = StorageError::NoPartition;
    for entry in entries(&first) {
        match mount_entry(blocks, entry, card_blocks) {
            Ok(geometry) => return Ok(geometry),
            Err(found) if error == StorageError::NoPartition => error = found,
            Err(_) => {}
        }
    }
    Err(error)
}

fn entries(table: &[u8; BLOCK_BYTES]) -> impl Iterator<Item = Entry> {
    let offsets = (0..ENTRIES).map(|index| TABLE_OFFSET + index * ENTRY_BYTES);
    offsets
        .map(|offset| Entry { kind: u8_at(table, offset + 4), start_lba: u32_at(table, offset + 8) })
        .filter(|entry| entry.kind != EMPTY_TYPE && entry.start_lba != 0)
}

fn mount_entry<R: BlockReader>(
    blocks: &mut CachedBlocks<R>,
    entry: Entry,
    card_blocks: u32,
) -> Result<Geometry, StorageError> {
    let is_fat = FAT_TYPES.contains(&entry.kind);
    if entry.kind == GPT_TYPE {
        return Err(StorageError::Gpt);
    }
    if !is_fat && entry.kind != EXFAT_OR_NTFS_TYPE {
        return Err(StorageError::NoPartition);
    }
    if entry.start_lba >= card_blocks {
        let needed_blocks = u64::from(entry.start_lba) + 1;
        return Err(StorageError::NotFat(GeometryFault::BeyondCard { needed_blocks, card_blocks }));
    }
    let boot_sector = blocks.block(entry.start_lba)?;
    if let Some(error) = foreign(boot_sector) {
        return Err(error);
    }
    if !is_fat {
        return Err(StorageError::NoPartition);
    }
    Geometry::parse(boot_sector, entry.start_lba, card_blocks).map_err(StorageError::NotFat)
}

/// File systems that share FAT's boot sector place and are none.
fn foreign(boot_sector: &[u8; BLOCK_BYTES]) -> Option<StorageError> {
    match boot_sector.get(3..11)? {
        b"EXFAT   " => Some(StorageError::ExFat),
        b"NTFS    " => Some(StorageError::Ntfs),
        _ => None,
    }
}
