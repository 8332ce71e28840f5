//! Where the parts of a FAT file system lie: its boot sector (Microsoft FAT specification 3.1 to 3.5), checked.

use crate::block::BLOCK_BYTES;
use crate::bytes::{u8_at, u16_at, u32_at};
use core::fmt;

/// Fewer clusters are FAT12, fewer than [`FAT32_CLUSTERS_MIN`] FAT16 (3.5).
const FAT16_CLUSTERS_MIN: u32 = 4085;
/// Fewer clusters are no FAT32 by the standard.
pub const FAT32_CLUSTERS_MIN: u32 = 65_525;
/// Entries 0 and 1 of a FAT are no clusters.
pub const FIRST_CLUSTER: u32 = 2;
const DIRECTORY_ENTRY_BYTES: u32 = 32;
/// BPB_ExtFlags: only one FAT is active.
const IS_NOT_MIRRORED: u16 = 1 << 7;

/// Which FAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatKind {
    /// 16-bit entries.
    Fat16,
    /// 28-bit entries in 32 bits.
    Fat32,
}

/// Layout of a FAT16 or FAT32 file system. All block numbers are those of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Which FAT.
    pub kind: FatKind,
    /// First block of the file system.
    pub start_lba: u32,
    /// Blocks of the file system.
    pub block_count: u32,
    /// First block of the FAT.
    pub fat_lba: u32,
    /// First block behind the FATs: FAT16's root directory, then the clusters.
    pub directories_lba: u32,
    /// First block of cluster 2.
    pub data_lba: u32,
    /// Blocks in a cluster, a power of two.
    pub cluster_blocks: u32,
    /// Number of clusters; they are numbered from 2 on.
    pub cluster_count: u32,
    /// First cluster of the root directory; 0 for FAT16, whose root has a place of its own.
    pub root_cluster: u32,
}

/// Why a block is not the boot sector of a file system that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryFault {
    /// The signature 0x55AA or the jump is missing.
    NoSignature,
    /// Sectors are not of 512 bytes.
    SectorBytes(u16),
    /// A field has a value that no file system has.
    Field(&'static str),
    /// FAT12: too small.
    Fat12,
    /// The file system ends behind the end of the card.
    BeyondCard {
        /// Blocks that it needs, counted from the start of the card.
        needed_blocks: u64,
        /// Blocks of the card.
        card_blocks: u32,
    },
}

impl fmt::Display for GeometryFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSignature => write!(formatter, "it has no boot sector"),
            Self::SectorBytes(bytes) => write!(formatter, "its sectors have {bytes} bytes instead of 512"),
            Self::Field(field) => write!(formatter, "the field {field} of its boot sector has an impossible value"),
            Self::Fat12 => write!(formatter, "it is FAT12, which is too small for a model"),
            Self::BeyondCard { needed_blocks, card_blocks } => {
                write!(formatter, "it ends at block {needed_blocks}, but the card has only {card_blocks}")
            }
        }
    }
}

impl Geometry {
    /// Reads the boot sector that lies at `start_lba` of a card with `card_blocks`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(sector: &[u8; BLOCK_BYTES], start_lba: u32, card_blocks: u32) -> Result<Self, GeometryFault> {
        let fields = Fields::parse(sector)?;
        let block_count = fields.total_blocks;
        let needed_blocks = u64::from(start_lba) + u64::from(block_count);
        if needed_blocks > u64::from(card_blocks) {
            return Err(GeometryFault::BeyondCard { needed_blocks, card_blocks });
        }

        let fats_blocks = fields.fat_count.saturating_mul(fields.fat_blocks);
        let root_blocks = (fields.root_entries * DIRECTORY_ENTRY_BYTES).div_ceil(BLOCK_BYTES as u32);
        let directories_offset = fields.reserved_blocks.saturating_add(fats_blocks);
        let data_offset = directories_offset.saturating_add(root_blocks);
        let data_blocks = block_count.checked_sub(data_offset).ok_or(GeometryFault::Field("BPB_TotSec"))?;
        let cluster_count = data_blocks / fields.cluster_blocks;
        let kind = match cluster_count {
            // Whatever the standard says: `mkfs.fat -F 32` makes them of any size, and firmware, Linux and Windows go by this field.
            1.. if fields.is_fat_size_long => FatKind::Fat32,
            0..FAT16_CLUSTERS_MIN => return Err(GeometryFault::Fat12),
            FAT16_CLUSTERS_MIN..FAT32_CLUSTERS_MIN => FatKind::Fat16,
            FAT32_CLUSTERS_MIN.. => FatKind::Fat32,
        };
        let geometry = Self {
            kind,
            start_lba,
            block_count,
            fat_lba: start_lba + fields.reserved_blocks,
            directories_lba: start_lba + directories_offset,
            data_lba: start_lba + data_offset,
            cluster_blocks: fields.cluster_blocks,
            cluster_count,
            root_cluster: if kind == FatKind::Fat32 { u32_at(sector, 44) } else { 0 },
        };
        geometry.check_kind(sector, &fields)?;
        Ok(geometry)
    }

    /// What the standard asks of each kind; `embedded-sdmmc` takes it for granted.
    fn check_kind(&self, sector: &[u8], fields: &Fields) -> Result<(), GeometryFault> {
        let entries_in_block = BLOCK_BYTES as u32 / self.entry_bytes();
        if fields.fat_blocks.saturating_mul(entries_in_block) < self.cluster_count + FIRST_CLUSTER {
            return Err(GeometryFault::Field("BPB_FATSz"));
        }
        match self.kind {
            FatKind::Fat16 if fields.root_entries == 0 => return Err(GeometryFault::Field("BPB_RootEntCnt")),
            FatKind::Fat16 => return Ok(()),
            FatKind::Fat32 => {}
        }
        let flags = u16_at(sector, 40);
        let info_block = u32::from(u16_at(sector, 48));
        if fields.root_entries != 0 {
            Err(GeometryFault::Field("BPB_RootEntCnt"))
        } else if u16_at(sector, 42) != 0 {
            Err(GeometryFault::Field("BPB_FSVer"))
        } else if flags & IS_NOT_MIRRORED != 0 && flags & 0xF != 0 {
            Err(GeometryFault::Field("BPB_ExtFlags"))
        } else if info_block == 0 || info_block >= fields.reserved_blocks {
            Err(GeometryFault::Field("BPB_FSInfo"))
        } else if !self.is_cluster(self.root_cluster) {
            Err(GeometryFault::Field("BPB_RootClus"))
        } else {
            Ok(())
        }
    }

    /// Size of an entry of the FAT, in bytes.
    #[must_use]
    pub const fn entry_bytes(&self) -> u32 {
        match self.kind {
            FatKind::Fat16 => 2,
            FatKind::Fat32 => 4,
        }
    }

    /// Size of a cluster, in bytes.
    #[must_use]
    pub const fn cluster_bytes(&self) -> u32 {
        self.cluster_blocks * BLOCK_BYTES as u32
    }

    /// Whether a cluster of that number exists.
    #[must_use]
    pub const fn is_cluster(&self, number: u32) -> bool {
        number >= FIRST_CLUSTER && number - FIRST_CLUSTER < self.cluster_count
    }

    /// First block of a cluster that exists.
    #[must_use]
    pub const fn cluster_lba(&self, number: u32) -> u32 {
        let offset = number.saturating_sub(FIRST_CLUSTER).saturating_mul(self.cluster_blocks);
        self.data_lba.saturating_add(offset)
    }
}

struct Fields {
    cluster_blocks: u32,
    reserved_blocks: u32,
    fat_count: u32,
    fat_blocks: u32,
    /// Whether it stands in the place that FAT32 alone has (BPB_FATSz32).
    is_fat_size_long: bool,
    root_entries: u32,
    total_blocks: u32,
}

impl Fields {
    fn parse(sector: &[u8; BLOCK_BYTES]) -> Result<Self, GeometryFault> {
        let jumps = matches!(u8_at(sector, 0), 0xEB | 0xE9);
        if !jumps || u16_at(sector, 510) != 0xAA55 {
            return Err(GeometryFault::NoSignature);
        }
        let sector_bytes = u16_at(sector, 11);
        if sector_bytes as usize != BLOCK_BYTES {
            return Err(GeometryFault::SectorBytes(sector_bytes));
        }
        let fields = Self {
            cluster_blocks: u8_at(sector, 13).into(),
            reserved_blocks: u16_at(sector, 14).into(),
            fat_count: u8_at(sector, 16).into(),
            is_fat_size_long: u16_at(sector, 22) == 0,
            fat_blocks: first_nonzero(u16_at(sector, 22).into(), u32_at(sector, 36)),
            root_entries: u16_at(sector, 17).into(),
            total_blocks: first_nonzero(u16_at(sector, 19).into(), u32_at(sector, 32)),
        };
        if !fields.cluster_blocks.is_power_of_two() {
            Err(GeometryFault::Field("BPB_SecPerClus"))
        } else if fields.reserved_blocks == 0 {
            Err(GeometryFault::Field("BPB_RsvdSecCnt"))
        } else if !matches!(fields.fat_count, 1 | 2) {
            Err(GeometryFault::Field("BPB_NumFATs"))
        } else if fields.fat_blocks == 0 {
            Err(GeometryFault::Field("BPB_FATSz"))
        } else {
            Ok(fields)
        }
    }
}

/// FAT has two places for some sizes: the small one counts unless it is 0.
fn first_nonzero(small: u32, large: u32) -> u32 {
    if small != 0 { small } else { large }
}
