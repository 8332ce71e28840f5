//! SD card, partition, FAT, extents, bytes, progress.
//!
//! ```text
//!  SdHost (a driver)          host        registers and lines, nothing of cards
//!    SdCard                   card        start step by step, multi-block reads, retries
//!      CachedBlocks           cache       two read-ahead lines for small reads
//!        Volume               volume      partition -> FAT geometry -> directories -> files
//!          Listing            listing     folder by folder, what ends in .gguf
//!          Load               load        checked chain -> runs of clusters -> destination
//!  Storage                    storage     all of it, as the kernel loop calls it
//! ```
//! No heap, no waiting: every `step` returns within milliseconds, so that the console lives while the card does not. Everything
//! that is read from a card is taken for wrong until it is checked.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod block;
mod bytes;
pub mod cache;
pub mod card;
pub mod checksum;
mod directory;
pub mod error;
pub mod fat;
pub mod host;
pub mod listing;
pub mod load;
pub mod partition;
pub mod storage;
pub mod volume;

pub use error::StorageError;
pub use host::SdHost;
pub use load::{Destination, Load, LoadStep, LoadSummary, Progress};
pub use storage::{Storage, StorageStep};
