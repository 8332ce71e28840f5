//! Two read-ahead lines in front of a block device, for the small reads of partition table, FAT and directories.
//!
//! One line would thrash: the walk of a directory changes between its blocks and the FAT.

use crate::block::{BLOCK_BYTES, BlockReader, ReadCause, ReadError};

/// Length of a line, in blocks: 32 blocks of a FAT32 describe 4,096 clusters.
pub const LINE_BLOCKS: u32 = 32;
const LINE_BYTES: usize = LINE_BLOCKS as usize * BLOCK_BYTES;
const LINES: usize = 2;

/// A block device with read-ahead.
pub struct CachedBlocks<R> {
    reader: R,
    lines: [Line; LINES],
    /// Which line was not used last: the one that is given up next.
    oldest: usize,
}

struct Line {
    /// First block and number of blocks that are valid.
    lba: u32,
    blocks: u32,
    bytes: [u8; LINE_BYTES],
}

impl<R: BlockReader> CachedBlocks<R> {
    /// Puts empty lines in front of `reader`.
    pub const fn new(reader: R) -> Self {
        const EMPTY: Line = Line { lba: 0, blocks: 0, bytes: [0; LINE_BYTES] };
        Self { reader, lines: [EMPTY; LINES], oldest: 0 }
    }

    /// One block.
    ///
    /// # Errors
    /// What [`BlockReader::read_blocks`] says.
    pub fn block(&mut self, lba: u32) -> Result<&[u8; BLOCK_BYTES], ReadError> {
        let index = match self.lines.iter().position(|line| line.holds(lba)) {
            Some(index) => index,
            None => self.fill(lba)?,
        };
        self.oldest = (index + 1) % LINES;
        let beyond_end = ReadError {
            lba,
            command: 0,
            attempts: 0,
            cause: ReadCause::BeyondEnd { block_count: self.reader.block_count() },
        };
        self.lines.get(index).and_then(|line| line.block(lba)).ok_or(beyond_end)
    }

    /// The device itself, for large reads; blocks do not change, so the lines stay valid.
    pub fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The device itself.
    pub fn reader_ref(&self) -> &R {
        &self.reader
    }

    /// Forgets what was read: the card may be another one.
    pub fn forget(&mut self) {
        for line in &mut self.lines {
            line.blocks = 0;
        }
    }

    fn fill(&mut self, lba: u32) -> Result<usize, ReadError> {
        let block_count = self.reader.block_count();
        let first = lba - lba % LINE_BLOCKS;
        let blocks = LINE_BLOCKS.min(block_count.saturating_sub(first));
        let index = self.oldest;
        let Some(line) = self.lines.get_mut(index) else { return Ok(index) };
        line.blocks = 0;
        let bytes = line.bytes.get_mut(..blocks as usize * BLOCK_BYTES).unwrap_or_default();
        match self.reader.read_blocks(first, bytes) {
            Ok(()) => (line.lba, line.blocks) = (first, blocks),
            // A neighbour is bad: only what was asked for counts.
            Err(_) => {
                let bytes = line.bytes.get_mut(..BLOCK_BYTES).unwrap_or_default();
                self.reader.read_blocks(lba, bytes)?;
                (line.lba, line.blocks) = (lba, 1);
            }
        }
        Ok(index)
    }
}

impl Line {
    fn holds(&self, lba: u32) -> bool {
        lba.checked_sub(self.lba).is_some_and(|offset| offset < self.blocks)
    }

    fn block(&self, lba: u32) -> Option<&[u8; BLOCK_BYTES]> {
        let offset = lba.checked_sub(self.lba).filter(|&offset| offset < self.blocks)?;
        let start = offset as usize * BLOCK_BYTES;
        self.bytes.get(start..start + BLOCK_BYTES)?.try_into().ok()
    }
}
