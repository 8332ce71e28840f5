//! The file system of the card: its models, its small files, and where a file lies.

use crate::block::{BLOCK_BYTES, BlockReader};
use crate::cache::CachedBlocks;
use crate::directory::{Directory, Tree};
use crate::error::StorageError;
use crate::fat::chain::{ChainFault, ChainWalk, WalkError};
use crate::fat::geometry::Geometry;
use crate::partition;
use core::ops::ControlFlow;

/// How many models are listed.
pub const MODELS_MAX: usize = 16;
/// The longest path that is listed, in bytes.
pub const PATH_BYTES_MAX: usize = 264;
const MODELS_DIRECTORY: &str = "models";
const MODEL_SUFFIX: &str = ".gguf";
/// What macOS leaves beside each file that it copies.
const RESOURCE_FORK_PREFIX: &str = "._";

/// A model on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Where it lies, for [`Volume::open`].
    pub path: heapless::String<PATH_BYTES_MAX>,
    /// Its size in bytes.
    pub bytes: u32,
}

/// The models on the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// In the order of their paths, those of the root first.
    pub list: heapless::Vec<ModelFile, MODELS_MAX>,
    /// How many more there are that the list has no room for.
    pub omitted: u32,
}

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

    /// The `*.gguf` of the root and of the folder `models`. The list may be empty.
    ///
    /// # Errors
    /// [`StorageError::Read`], [`StorageError::Directory`] or [`StorageError::DirectoryDamaged`]; a damaged `models` is an
    /// error only if the root has no model.
    pub fn find_models<R: BlockReader>(&self, blocks: &mut CachedBlocks<R>) -> Result<Models, StorageError> {
        let mut models = Models::default();
        let (mut tree, root) = Tree::open(blocks, self.geometry)?;
        list_models(&tree, root, "", &mut models)?;
        let in_root = models.list.len();
        let inner = tree.descend(root, MODELS_DIRECTORY);
        match inner.and_then(|directory| list_models(&tree, directory, "models/", &mut models)) {
            Ok(()) | Err(StorageError::FileNotFound) => {}
            Err(_) if in_root > 0 => {}
            Err(error) => return Err(error),
        }
        let (first, second) = models.list.split_at_mut(in_root);
        first.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        second.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        Ok(models)
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
        let bytes = file.bytes as usize;
        let too_large = StorageError::TooLarge { file_bytes: file.bytes.into(), room_bytes: buffer.len() as u64 };
        let mut rest = buffer.get_mut(..bytes).ok_or(too_large)?;
        let mut walk = file.walk()?;
        while let Some(extent) = walk.next_extent(blocks, u32::MAX).map_err(|error| file.explain(error))? {
            for offset in 0..extent.blocks {
                let count = rest.len().min(BLOCK_BYTES);
                let (part, behind) = rest.split_at_mut(count);
                if !part.is_empty() {
                    let block = blocks.block(extent.lba.saturating_add(offset))?;
                    part.copy_from_slice(block.get(..count).unwrap_or_default());
                }
                rest = behind;
            }
        }
        Ok(bytes)
    }
}

fn list_models<R: BlockReader>(
    tree: &Tree<'_, R>,
    directory: Directory,
    prefix: &str,
    models: &mut Models,
) -> Result<(), StorageError> {
    tree.each(directory, |name, found| {
        if found.is_directory || !is_model_name(name) {
            return ControlFlow::Continue(());
        }
        let mut path = heapless::String::new();
        let fits = path.push_str(prefix).and_then(|()| path.push_str(name)).is_ok();
        if !fits || models.list.push(ModelFile { path, bytes: found.bytes }).is_err() {
            models.omitted = models.omitted.saturating_add(1);
        }
        ControlFlow::Continue(())
    })
}

fn is_model_name(name: &str) -> bool {
    let suffix_start = name.len().checked_sub(MODEL_SUFFIX.len());
    let suffix = suffix_start.and_then(|start| name.get(start..));
    suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(MODEL_SUFFIX)) && !name.starts_with(RESOURCE_FORK_PREFIX)
}
