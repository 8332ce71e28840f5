//! The file system of the card: its models, its small files, and where a file lies.

use crate::block::{BLOCK_BYTES, BlockReader};
use crate::cache::CachedBlocks;
use crate::directory::Tree;
use crate::error::StorageError;
use crate::fat::chain::{ChainFault, ChainWalk, WalkError};
use crate::fat::geometry::Geometry;
use crate::listing::{Listing, Models};
use crate::partition;
use core::ops::ControlFlow;

/// The longest path that is listed, in bytes.
pub const PATH_BYTES_MAX: usize = 264;

/// Where a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The file system.
    pub geometry: Geometry,
    /// Its first cluster; 0 for an empty file.
    pub first_cluster: u32,
    /// Its size in bytes.
    pub bytes: u32,
}

impl FileEntry {
    /// The walk along the file's clusters.
    ///
    /// # Errors
    /// [`StorageError::Chain`] if it begins nowhere.
    pub fn walk(&self) -> Result<ChainWalk, StorageError> {
        let clusters = self.bytes.div_ceil(self.geometry.cluster_bytes());
        ChainWalk::new(self.geometry, self.first_cluster, clusters).map_err(StorageError::Chain)
    }

    /// An error of the walk in the words of the file.
    #[must_use]
    pub fn explain(&self, error: WalkError) -> StorageError {
        match error {
            WalkError::Chain(ChainFault::TooShort { clusters, .. }) => StorageError::Truncated {
                file_bytes: self.bytes.into(),
                present_bytes: u64::from(clusters) * u64::from(self.geometry.cluster_bytes()),
            },
            other => other.into(),
        }
    }

    /// Reads as much of the file's beginning as `buffer` has room for; returns how many bytes.
    fn read_beginning<R: BlockReader>(
        &self,
        blocks: &mut CachedBlocks<R>,
        buffer: &mut [u8],
    ) -> Result<usize, StorageError> {
        let bytes = buffer.len().min(self.bytes as usize);
        let mut rest = buffer.get_mut(..bytes).unwrap_or_default();
        let mut walk = self.walk()?;
        while !rest.is_empty() {
            let next = walk.next_extent(blocks, u32::MAX).map_err(|error| self.explain(error))?;
            let Some(extent) = next else { break };
            for offset in 0..extent.blocks {
                let count = rest.len().min(BLOCK_BYTES);
                let (part, behind) = core::mem::take(&mut rest).split_at_mut(count);
                if part.is_empty() {
                    break;
                }
                let block = blocks.block(extent.lba.saturating_add(offset))?;
                part.copy_from_slice(block.get(..count).unwrap_or_default());
                rest = behind;
            }
        }
        Ok(bytes)
    }
}

/// A FAT16 or FAT32 file system.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    geometry: Geometry,
}

impl Volume {
    /// Finds the file system of the card.
    ///
    /// # Errors
    /// Why there is none; see [`crate::partition::find`].
    pub fn mount<R: BlockReader>(blocks: &mut CachedBlocks<R>) -> Result<Self, StorageError> {
        Ok(Self { geometry: partition::find(blocks)? })
    }

    /// Its layout.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// All models at once; see [`Listing::step`] for how they are found and what goes wrong.
    ///
    /// # Errors
    /// See [`Listing::step`].
    pub fn find_models<R: BlockReader>(&self, blocks: &mut CachedBlocks<R>) -> Result<Models, StorageError> {
        let mut listing = Listing::new();
        while !listing.step(self, blocks)? {}
        Ok(listing.models().clone())
    }

    /// Calls `visit` with name, whether it is a folder, and size in bytes of everything in a folder; the root is the empty path.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`] if there is no such folder, [`StorageError::Read`], [`StorageError::Directory`] or
    /// [`StorageError::DirectoryDamaged`].
    pub(crate) fn each_entry<R: BlockReader>(
        &self,
        blocks: &mut CachedBlocks<R>,
        folder: &str,
        mut visit: impl FnMut(&str, bool, u32) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let (mut tree, mut directory) = Tree::open(blocks, self.geometry)?;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            directory = tree.descend(directory, part)?;
        }
        tree.each(directory, |name, found| visit(name, found.is_directory, found.bytes))
    }

    /// Finds a file by its path from the root, parts separated by `/`, without regard to the case of ASCII letters.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`], or what reading the directories says.
    pub fn open<R: BlockReader>(&self, blocks: &mut CachedBlocks<R>, path: &str) -> Result<FileEntry, StorageError> {
        let (mut tree, mut directory) = Tree::open(blocks, self.geometry)?;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                directory = tree.descend(directory, part)?;
                continue;
            }
            let found = tree.find(directory, part)?;
            if found.is_directory {
                break;
            }
            let first_cluster = tree.first_cluster(&found)?;
            return Ok(FileEntry { geometry: self.geometry, first_cluster, bytes: found.bytes });
        }
        Err(StorageError::FileNotFound)
    }

    /// Reads a whole small file; returns its size in bytes.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] if it does not fit in `buffer`, what [`Self::open`] says, or what is wrong with its clusters.
    pub fn read_small_file<R: BlockReader>(
        &self,
        blocks: &mut CachedBlocks<R>,
        path: &str,
        buffer: &mut [u8],
    ) -> Result<usize, StorageError> {
        let file = self.open(blocks, path)?;
        let (file_bytes, room_bytes) = (file.bytes.into(), buffer.len() as u64);
        if file_bytes > room_bytes {
            return Err(StorageError::TooLarge { file_bytes, room_bytes });
        }
        file.read_beginning(blocks, buffer)
    }

    /// Reads as much of the beginning of a file as `buffer` has room for; returns how many bytes.
    ///
    /// # Errors
    /// What [`Self::open`] says, or what is wrong with its clusters.
    pub fn read_beginning<R: BlockReader>(
        &self,
        blocks: &mut CachedBlocks<R>,
        path: &str,
        buffer: &mut [u8],
    ) -> Result<usize, StorageError> {
        self.open(blocks, path)?.read_beginning(blocks, buffer)
    }
}
