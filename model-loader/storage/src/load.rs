//! A file on its way from the card into memory, one slice at a time.
//!
//! First the cluster chain is walked to its end, which costs a thousandth of the bytes and finds a truncated file before
//! minutes are spent; then it is walked again, and every run of neighbours goes straight to its destination by one command.

mod progress;

pub use progress::Progress;

use crate::block::{BLOCK_BYTES, BlockReader};
use crate::cache::CachedBlocks;
use crate::error::StorageError;
use crate::fat::chain::{ChainWalk, Extent};
use crate::volume::FileEntry;

/// A slice is between these sizes: the smallest still reads at nearly full speed, the largest bounds a step on slow cards.
const SLICE_BYTES_MIN: usize = 32 << 10;
const SLICE_BYTES_MAX: usize = 512 << 10;
const SLICE_BYTES_START: usize = 64 << 10;
/// A step that took longer is followed by a smaller slice, one that took less than a third of it by a larger one.
const STEP_NS_MAX: u64 = 20_000_000;
/// Clusters of the chain that one step checks: 16,384 entries are 64 KiB of a FAT32.
const CHECK_CLUSTERS: u32 = 16_384;

/// Where the bytes go. A region may consist of several mappings.
pub trait Destination {
    /// Memory for the file's bytes from `offset` on: at least one byte, at most `bytes`, fewer where a mapping ends; `None`
    /// outside the region. Slices of whole blocks of 512 bytes are filled directly.
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]>;
}

impl Destination for [u8] {
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]> {
        let rest = self.get_mut(usize::try_from(offset).ok()?..)?;
        let count = bytes.min(rest.len());
        rest.get_mut(..count).filter(|window| !window.is_empty())
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStep {
    /// The chain is being checked.
    Checking(Progress),
    /// Bytes are being read.
    Reading(Progress),
    /// All is read.
    Done(LoadSummary),
}

/// A load that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadSummary {
    /// Bytes of the file.
    pub bytes: u64,
    /// Time since the first step, in nanoseconds.
    pub elapsed_ns: u64,
    /// CRC-32 (IEEE) of the bytes.
    pub crc32: u32,
    /// Whether a checksum file confirmed it.
    pub is_checksum_verified: bool,
}

/// A file on its way into memory. A step that failed may be called again: it goes on where the last good one ended.
pub struct Load {
    file: FileEntry,
    expected_crc32: Option<u32>,
    check: ChainWalk,
    walk: ChainWalk,
    /// What is left of the run of clusters that is being read.
    extent: Extent,
    done_bytes: u64,
    crc32: crc32fast::Hasher,
    slice_bytes: usize,
    started_ns: Option<u64>,
    last_step_ns: u64,
}

impl Load {
    /// A load of `file`, compared to a CRC-32 if one is given.
    ///
    /// # Errors
    /// [`StorageError::Empty`]; [`StorageError::Chain`] if the file begins nowhere.
    pub fn new(file: FileEntry, expected_crc32: Option<u32>) -> Result<Self, StorageError> {
        if file.bytes == 0 {
            return Err(StorageError::Empty);
        }
        let walk = file.walk()?;
        Ok(Self {
            file,
            expected_crc32,
            check: walk.clone(),
            walk,
            extent: Extent { lba: 0, blocks: 0 },
            done_bytes: 0,
            crc32: crc32fast::Hasher::new(),
            slice_bytes: SLICE_BYTES_START,
            started_ns: None,
            last_step_ns: 0,
        })
    }

    /// Where the file lies.
    #[must_use]
    pub fn file(&self) -> FileEntry {
        self.file
    }

    /// Size of the file, in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.bytes.into()
    }

    /// Whether a checksum file was found.
    #[must_use]
    pub fn has_checksum(&self) -> bool {
        self.expected_crc32.is_some()
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self, now_ns: u64) -> Progress {
        Progress::new(self.done_bytes, self.file_bytes(), self.elapsed_ns(now_ns))
    }

    /// Reads the next slice into `destination`. `now_ns` is a monotonic clock.
    ///
    /// # Errors
    /// [`StorageError::Read`] with the block, [`StorageError::Truncated`] and [`StorageError::Chain`] while checking,
    /// [`StorageError::NoWindow`], and [`StorageError::Checksum`] at the end.
    pub fn step<R: BlockReader>(
        &mut self,
        blocks: &mut CachedBlocks<R>,
        destination: &mut (impl Destination + ?Sized),
        now_ns: u64,
    ) -> Result<LoadStep, StorageError> {
        if !self.check.is_done() {
            self.check.next_extent(blocks, CHECK_CLUSTERS).map_err(|error| self.file.explain(error))?;
            return Ok(LoadStep::Checking(self.progress(now_ns)));
        }
        self.adapt_slice(now_ns);
        let slice_end = self.done_bytes.saturating_add(self.slice_bytes as u64).min(self.file_bytes());
        while self.done_bytes < slice_end {
            self.read_run(blocks, destination, slice_end)?;
        }
        if self.done_bytes < self.file_bytes() {
            return Ok(LoadStep::Reading(self.progress(now_ns)));
        }
        self.finish(now_ns)
    }

    /// Aims at steps that neither block the console nor waste commands. The time between two steps contains what else the
    /// caller did, which only makes slices smaller.
    fn adapt_slice(&mut self, now_ns: u64) {
        if self.started_ns.is_none() {
            self.started_ns = Some(now_ns);
        } else {
            let step_ns = now_ns.saturating_sub(self.last_step_ns);
            if step_ns > STEP_NS_MAX {
                self.slice_bytes = (self.slice_bytes / 2).max(SLICE_BYTES_MIN);
            } else if step_ns < STEP_NS_MAX / 3 {
                self.slice_bytes = (self.slice_bytes * 2).min(SLICE_BYTES_MAX);
            }
        }
        self.last_step_ns = now_ns;
    }

    /// Reads blocks that lie next to each other, at most up to `slice_end`.
    fn read_run<R: BlockReader>(
        &mut self,
        blocks: &mut CachedBlocks<R>,
        destination: &mut (impl Destination + ?Sized),
        slice_end: u64,
    ) -> Result<(), StorageError> {
        if self.extent.blocks == 0 {
            let clusters = SLICE_BYTES_MAX as u32 / self.file.geometry.cluster_bytes();
            let next = self.walk.next_extent(blocks, clusters.max(1)).map_err(|error| self.file.explain(error))?;
            // The check has seen every cluster, so there is a next one unless the card was changed.
            self.extent = next.ok_or(StorageError::NotReady)?;
        }
        let wanted = slice_end.saturating_sub(self.done_bytes) / BLOCK_BYTES as u64;
        let run_blocks = u64::from(self.extent.blocks).min(wanted) as usize;
        let window = destination.window(self.done_bytes, run_blocks * BLOCK_BYTES).unwrap_or_default();
        let whole = window.len().min(run_blocks * BLOCK_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
        let direct = window.get_mut(..whole).unwrap_or_default();
        if direct.is_empty() {
            return self.read_block_by_copy(blocks, destination);
        }
        blocks.reader().read_blocks(self.extent.lba, direct)?;
        self.crc32.update(direct);
        self.advance(whole / BLOCK_BYTES, whole);
        Ok(())
    }

    /// The last block of a file, which has fewer bytes than a block, or one that lies across two windows.
    fn read_block_by_copy<R: BlockReader>(
        &mut self,
        blocks: &mut CachedBlocks<R>,
        destination: &mut (impl Destination + ?Sized),
    ) -> Result<(), StorageError> {
        let mut block = [0; BLOCK_BYTES];
        blocks.reader().read_blocks(self.extent.lba, &mut block)?;
        let left = self.file_bytes().saturating_sub(self.done_bytes);
        let bytes = left.min(BLOCK_BYTES as u64) as usize;
        let mut rest = block.get(..bytes).unwrap_or_default();
        let mut offset = self.done_bytes;
        while !rest.is_empty() {
            let window = destination.window(offset, rest.len()).ok_or(StorageError::NoWindow { offset })?;
            let count = window.len().min(rest.len());
            let (part, behind) = rest.split_at(count);
            match window.get_mut(..count) {
                Some(target) if count > 0 => target.copy_from_slice(part),
                _ => return Err(StorageError::NoWindow { offset }),
            }
            offset = offset.saturating_add(count as u64);
            rest = behind;
        }
        self.crc32.update(block.get(..bytes).unwrap_or_default());
        self.advance(1, bytes);
        Ok(())
    }

    fn advance(&mut self, blocks: usize, bytes: usize) {
        self.extent.lba = self.extent.lba.saturating_add(blocks as u32);
        self.extent.blocks = self.extent.blocks.saturating_sub(blocks as u32);
        self.done_bytes = self.done_bytes.saturating_add(bytes as u64);
    }

    fn finish(&self, now_ns: u64) -> Result<LoadStep, StorageError> {
        let actual = self.crc32.clone().finalize();
        match self.expected_crc32 {
            Some(expected) if expected != actual => Err(StorageError::Checksum { expected, actual }),
            expected => Ok(LoadStep::Done(LoadSummary {
                bytes: self.file_bytes(),
                elapsed_ns: self.elapsed_ns(now_ns),
                crc32: actual,
                is_checksum_verified: expected.is_some(),
            })),
        }
    }

    fn elapsed_ns(&self, now_ns: u64) -> u64 {
        self.started_ns.map_or(0, |started_ns| now_ns.saturating_sub(started_ns))
    }
}
