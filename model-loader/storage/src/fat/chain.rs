//! The walk along the clusters of a file (FAT specification 4), in runs of neighbours and with bounded memory.
//!
//! The walk knows how many clusters the file must have. It stops at the first thing that is wrong, so a damaged FAT can
//! neither make it run for ever nor make it read what does not belong to the file system.

use super::geometry::{FatKind, Geometry};
use crate::block::{BLOCK_BYTES, BlockReader, ReadError};
use crate::bytes::{u16_at, u32_at};
use crate::cache::CachedBlocks;
use core::fmt;

/// Blocks that lie next to each other on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first one.
    pub lba: u32,
    /// How many.
    pub blocks: u32,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// It ends before the file does.
    TooShort {
        /// Clusters that it has.
        clusters: u32,
        /// Clusters that the file needs.
        clusters_needed: u32,
    },
    /// It goes on behind the end of the file.
    TooLong {
        /// Clusters that the file needs.
        clusters_needed: u32,
    },
    /// It comes back to a cluster where it has been.
    Loop {
        /// That cluster.
        cluster: u32,
    },
    /// It leads to a cluster that does not exist.
    OutOfRange {
        /// The entry that leads there.
        cluster: u32,
        /// Where it leads.
        next: u32,
    },
    /// It leads to a cluster that is marked as bad.
    Bad {
        /// The entry that says so.
        cluster: u32,
    },
    /// It leads to free space.
    Free {
        /// The entry that says so.
        cluster: u32,
    },
}

impl fmt::Display for ChainFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { clusters, clusters_needed } => {
                write!(formatter, "the chain ends after {clusters} of {clusters_needed} clusters")
            }
            Self::TooLong { clusters_needed } => {
                write!(formatter, "the chain goes on after its {clusters_needed} clusters")
            }
            Self::Loop { cluster } => write!(formatter, "the chain comes back to cluster {cluster}"),
            Self::OutOfRange { cluster, next } => {
                write!(formatter, "the entry of cluster {cluster} leads to cluster {next}, which does not exist")
            }
            Self::Bad { cluster } => write!(formatter, "the entry of cluster {cluster} says that it is bad"),
            Self::Free { cluster } => write!(formatter, "the entry of cluster {cluster} says that it is free"),
        }
    }
}

/// Why a walk ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// The FAT could not be read.
    Read(ReadError),
    /// The chain is damaged.
    Chain(ChainFault),
}

impl From<ReadError> for WalkError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// An entry of the FAT.
enum Entry {
    Next(u32),
    End,
    Bad,
    Free,
}

/// A walk along a chain.
#[derive(Clone, Debug)]
pub struct ChainWalk {
    geometry: Geometry,
    /// The cluster that comes next.
    cluster: u32,
    clusters_done: u32,
    clusters_needed: u32,
    /// Brent's search for a loop: the cluster that is compared, and when it is replaced.
    landmark: u32,
    landmark_until: u32,
}

impl ChainWalk {
    /// A walk along the `clusters_needed` clusters of a file that begins at `first_cluster`.
    ///
    /// # Errors
    /// [`ChainFault::OutOfRange`] if a file that is not empty begins nowhere.
    pub fn new(geometry: Geometry, first_cluster: u32, clusters_needed: u32) -> Result<Self, ChainFault> {
        if clusters_needed > 0 && !geometry.is_cluster(first_cluster) {
            return Err(ChainFault::OutOfRange { cluster: 0, next: first_cluster });
        }
        Ok(Self {
            geometry,
            cluster: first_cluster,
            clusters_done: 0,
            clusters_needed,
            landmark: first_cluster,
            landmark_until: 1,
        })
    }

    /// Whether the walk is at the end of the file.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.clusters_done >= self.clusters_needed
    }

    /// Clusters behind the walk.
    #[must_use]
    pub fn clusters_done(&self) -> u32 {
        self.clusters_done
    }

    /// The next neighbours, at most `clusters_max` of them (at least 1); `None` at the end of the file.
    ///
    /// # Errors
    /// A FAT block that cannot be read, or what is wrong with the chain.
    pub fn next_extent<R: BlockReader>(
        &mut self,
        blocks: &mut CachedBlocks<R>,
        clusters_max: u32,
    ) -> Result<Option<Extent>, WalkError> {
        if self.is_done() {
            return Ok(None);
        }
        let lba = self.geometry.cluster_lba(self.cluster);
        let mut clusters = 0;
        loop {
            let here = self.cluster;
            clusters += 1;
            self.advance(blocks)?;
            let is_neighbour = self.cluster == here + 1;
            if self.is_done() || !is_neighbour || clusters >= clusters_max {
                // A run lies inside the data area, whose blocks fit in 32 bits.
                return Ok(Some(Extent { lba, blocks: clusters.saturating_mul(self.geometry.cluster_blocks) }));
            }
        }
    }

    /// Leaves the current cluster.
    fn advance<R: BlockReader>(&mut self, blocks: &mut CachedBlocks<R>) -> Result<(), WalkError> {
        let cluster = self.cluster;
        let entry = entry(&self.geometry, blocks, cluster)?;
        self.clusters_done += 1;
        match (entry, self.is_done()) {
            (Entry::End, true) => Ok(()),
            (Entry::Next(_), true) => {
                Err(WalkError::Chain(ChainFault::TooLong { clusters_needed: self.clusters_needed }))
            }
            (Entry::End, false) => Err(WalkError::Chain(ChainFault::TooShort {
                clusters: self.clusters_done,
                clusters_needed: self.clusters_needed,
            })),
            (Entry::Bad, _) => Err(WalkError::Chain(ChainFault::Bad { cluster })),
            (Entry::Free, _) => Err(WalkError::Chain(ChainFault::Free { cluster })),
            (Entry::Next(next), false) => self.follow(cluster, next).map_err(WalkError::Chain),
        }
    }

    fn follow(&mut self, cluster: u32, next: u32) -> Result<(), ChainFault> {
        if !self.geometry.is_cluster(next) {
            return Err(ChainFault::OutOfRange { cluster, next });
        }
        if next == self.landmark {
            return Err(ChainFault::Loop { cluster: next });
        }
        if self.clusters_done >= self.landmark_until {
            self.landmark = next;
            self.landmark_until = self.landmark_until.saturating_mul(2);
        }
        self.cluster = next;
        Ok(())
    }
}

/// Counts the clusters of a chain of unknown length, a directory's, and so proves that a reader that trusts it comes to an end.
///
/// # Errors
/// A FAT block that cannot be read, what is wrong with the chain, or [`ChainFault::TooLong`] above `clusters_max`.
pub fn measure<R: BlockReader>(
    geometry: &Geometry,
    blocks: &mut CachedBlocks<R>,
    first_cluster: u32,
    clusters_max: u32,
) -> Result<u32, WalkError> {
    let mut walk = ChainWalk::new(*geometry, first_cluster, clusters_max).map_err(WalkError::Chain)?;
    while !walk.is_done() {
        match walk.advance(blocks) {
            Ok(()) => {}
            Err(WalkError::Chain(ChainFault::TooShort { clusters, .. })) => return Ok(clusters),
            Err(error) => return Err(error),
        }
    }
    Ok(walk.clusters_done())
}

/// The FAT entry of a cluster that exists (FAT specification 4.1).
fn entry<R: BlockReader>(geometry: &Geometry, blocks: &mut CachedBlocks<R>, cluster: u32) -> Result<Entry, ReadError> {
    let entry_bytes = geometry.entry_bytes();
    let entries_in_block = BLOCK_BYTES as u32 / entry_bytes;
    let block = blocks.block(geometry.fat_lba.saturating_add(cluster / entries_in_block))?;
    let offset = (cluster % entries_in_block * entry_bytes) as usize;
    Ok(match geometry.kind {
        FatKind::Fat16 => match u32::from(u16_at(block, offset)) {
            0 => Entry::Free,
            0xFFF7 => Entry::Bad,
            0xFFF8.. => Entry::End,
            next => Entry::Next(next),
        },
        FatKind::Fat32 => match u32_at(block, offset) & 0x0FFF_FFFF {
            0 => Entry::Free,
            0x0FFF_FFF7 => Entry::Bad,
            0x0FFF_FFF8.. => Entry::End,
            next => Entry::Next(next),
        },
    })
}
