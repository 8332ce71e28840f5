//! FAT16 and FAT32: [`geometry`] of the file system and the cluster [`chain`] of a file.

pub mod chain;
pub mod geometry;
