//! Directories and long names, read by `embedded-sdmmc` from a [`disc`] that it cannot stumble over.

mod disc;

use crate::block::BlockReader;
use crate::bytes::u16_at;
use crate::cache::CachedBlocks;
use crate::error::StorageError;
use crate::fat::chain::{ChainFault, WalkError, measure};
use crate::fat::geometry::{FatKind, Geometry};
use core::fmt::Write;
use core::ops::ControlFlow;
use disc::{Disc, DiscError};
use embedded_sdmmc::{
    BlockIdx, DirEntry, Error, LfnBuffer, RawDirectory, ShortFileName, TimeSource, Timestamp, VolumeIdx, VolumeManager,
};

/// The standard allows 65,536 entries of 32 bytes in a directory.
const DIRECTORY_BYTES_MAX: u32 = 65_536 * 32;
/// A long name has at most 255 UTF-16 units, each at most 3 bytes of UTF-8.
const LONG_NAME_BYTES_MAX: usize = 255 * 3;
/// Eight characters, a point, three characters, each at most 2 bytes of UTF-8.
const SHORT_NAME_BYTES_MAX: usize = 24;
/// How deep a path may lead, the root included.
const DEPTH_MAX: usize = 5;

/// A file or directory that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Size of a file in bytes.
    pub bytes: u32,
    /// Whether it is a directory.
    pub is_directory: bool,
    short_name: ShortFileName,
    block: BlockIdx,
    offset: u32,
}

impl Found {
    fn new(entry: &DirEntry) -> Self {
        Self {
            bytes: entry.size,
            is_directory: entry.attributes.is_directory(),
            short_name: entry.name,
            block: entry.entry_block,
            offset: entry.entry_offset,
        }
    }
}

/// An opened directory.
#[derive(Clone, Copy)]
pub struct Directory(RawDirectory);

/// The directories of a file system.
pub struct Tree<'a, R: BlockReader> {
    manager: VolumeManager<Disc<'a, R>, NoClock, DEPTH_MAX, 1, 1>,
    geometry: Geometry,
}

impl<'a, R: BlockReader> Tree<'a, R> {
    /// Opens the file system and its root.
    ///
    /// # Errors
    /// [`StorageError::Read`], [`StorageError::Directory`] where the root's chain is damaged.
    pub fn open(blocks: &'a mut CachedBlocks<R>, geometry: Geometry) -> Result<(Self, Directory), StorageError> {
        if geometry.kind == FatKind::Fat32 {
            check_directory(&geometry, blocks, geometry.root_cluster)?;
        }
        let manager = VolumeManager::new_with_limits(Disc::new(blocks, geometry), NoClock, 0);
        let volume = manager.open_raw_volume(VolumeIdx(0)).map_err(translate)?;
        let root = manager.open_root_dir(volume).map_err(translate)?;
        Ok((Self { manager, geometry }, Directory(root)))
    }

    /// Calls `visit` with the name of every file and directory.
    ///
    /// # Errors
    /// [`StorageError::Read`], [`StorageError::DirectoryDamaged`].
    pub fn each(
        &self,
        directory: Directory,
        mut visit: impl FnMut(&str, Found) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut storage = [0; LONG_NAME_BYTES_MAX];
        let mut long_name = LfnBuffer::new(&mut storage);
        let visit_entry = |entry: &DirEntry, long_name: Option<&str>| {
            if entry.attributes.is_lfn() || entry.attributes.is_volume() {
                return ControlFlow::Continue(());
            }
            match long_name.filter(|name| !name.is_empty()) {
                Some(name) => visit(name, Found::new(entry)),
                None => {
                    let mut name = heapless::String::<SHORT_NAME_BYTES_MAX>::new();
                    // Cannot fail: a short name has at most so many bytes.
                    let _ = write!(name, "{}", entry.name);
                    visit(&name, Found::new(entry))
                }
            }
        };
        self.manager.iterate_dir_lfn(directory.0, &mut long_name, visit_entry).map_err(translate)
    }

    /// Finds a name, long or short, without regard to the case of ASCII letters.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`], or what [`Self::each`] says.
    pub fn find(&self, directory: Directory, name: &str) -> Result<Found, StorageError> {
        let mut short_name = heapless::String::<SHORT_NAME_BYTES_MAX>::new();
        let mut found = None;
        self.each(directory, |candidate, entry| {
            short_name.clear();
            // Cannot fail: a short name has at most so many bytes.
            let _ = write!(short_name, "{}", entry.short_name);
            if candidate.eq_ignore_ascii_case(name) || short_name.eq_ignore_ascii_case(name) {
                found = Some(entry);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        found.ok_or(StorageError::FileNotFound)
    }

    /// Opens a directory inside another one.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`] if there is none of that name, [`StorageError::Directory`] if its chain is damaged.
    pub fn descend(&mut self, parent: Directory, name: &str) -> Result<Directory, StorageError> {
        let short_name = self.find(parent, name)?.short_name;
        // What the crate will open is the first entry of that short name, so that is the one to check.
        let entry = self.manager.find_directory_entry(parent.0, short_name).map_err(translate)?;
        let found = Found::new(&entry);
        if !found.is_directory {
            return Err(StorageError::FileNotFound);
        }
        let first_cluster = self.first_cluster(&found)?;
        let geometry = self.geometry;
        self.manager.device(|disc| check_directory(&geometry, disc.blocks(), first_cluster))?;
        self.manager.open_dir(parent.0, short_name).map(Directory).map_err(translate)
    }

    /// First cluster of what was found. `embedded-sdmmc` keeps the number to itself, so the entry is read once more
    /// (FAT specification 6: DIR_FstClusHI and DIR_FstClusLO).
    ///
    /// # Errors
    /// [`StorageError::Read`].
    pub fn first_cluster(&self, found: &Found) -> Result<u32, StorageError> {
        let kind = self.geometry.kind;
        self.manager.device(|disc| {
            let lba = disc.card_lba(found.block).ok_or(StorageError::DirectoryDamaged)?;
            let block = disc.blocks().block(lba)?;
            let entry = block.get(found.offset as usize..).ok_or(StorageError::DirectoryDamaged)?;
            let high = match kind {
                FatKind::Fat16 => 0,
                FatKind::Fat32 => u16_at(entry, 20),
            };
            Ok(u32::from(high) << 16 | u32::from(u16_at(entry, 26)))
        })
    }
}

/// Proves that a directory's chain comes to an end before it is walked by someone who does not check.
fn check_directory<R: BlockReader>(
    geometry: &Geometry,
    blocks: &mut CachedBlocks<R>,
    first_cluster: u32,
) -> Result<(), StorageError> {
    let clusters_max = (DIRECTORY_BYTES_MAX / geometry.cluster_bytes()).max(1);
    match measure(geometry, blocks, first_cluster, clusters_max) {
        Ok(_) => Ok(()),
        Err(WalkError::Read(error)) => Err(StorageError::Read(error)),
        Err(WalkError::Chain(fault)) => Err(StorageError::Directory(fault)),
    }
}

fn translate(error: Error<DiscError>) -> StorageError {
    match error {
        Error::DeviceError(DiscError::Read(error)) => StorageError::Read(error),
        Error::NotFound => StorageError::FileNotFound,
        Error::BadCluster => StorageError::Directory(ChainFault::Bad { cluster: 0 }),
        _ => StorageError::DirectoryDamaged,
    }
}

/// Files are only read, so the time does not matter.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}
