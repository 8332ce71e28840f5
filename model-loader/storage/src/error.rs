//! Everything that can go wrong between the card and the bytes of the model, each with what to do about it.

use crate::block::ReadError;
use crate::card::error::CardError;
use crate::fat::chain::{ChainFault, WalkError};
use crate::fat::geometry::GeometryFault;
use core::fmt;

/// Why a file of the card cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// No controller has a card.
    NoCard,
    /// There is a card, but it does not start.
    Card(CardError),
    /// A block cannot be read.
    Read(ReadError),
    /// The card has no primary partition of a FAT type, and is not formatted as a whole either.
    NoPartition,
    /// The card has a GUID partition table.
    Gpt,
    /// The partition is exFAT.
    ExFat,
    /// The partition is NTFS.
    Ntfs,
    /// The partition is not a FAT16 or FAT32 that can be read.
    NotFat(GeometryFault),
    /// A directory is damaged.
    Directory(ChainFault),
    /// A directory is damaged in a way that the reader of directories found.
    DirectoryDamaged,
    /// The card has no `*.gguf`.
    NoModel,
    /// There is no such file.
    FileNotFound,
    /// The file has no bytes.
    Empty,
    /// The file is larger than what it shall go into.
    TooLarge {
        /// Bytes of the file.
        file_bytes: u64,
        /// Bytes that there is room for.
        room_bytes: u64,
    },
    /// The card has fewer bytes of the file than its directory entry says.
    Truncated {
        /// Bytes by the directory entry.
        file_bytes: u64,
        /// Bytes that the card has.
        present_bytes: u64,
    },
    /// The chain of the file's clusters is damaged.
    Chain(ChainFault),
    /// The checksum file beside the model does not begin with a CRC-32 of eight hexadecimal digits.
    ChecksumFile,
    /// The bytes are not those that the checksum file was made for.
    Checksum {
        /// CRC-32 by the checksum file.
        expected: u32,
        /// CRC-32 of what was read.
        actual: u32,
    },
    /// The destination has no room at this offset.
    NoWindow {
        /// Offset in the file, in bytes.
        offset: u64,
    },
    /// The card is not ready yet.
    NotReady,
}

impl From<ReadError> for StorageError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<WalkError> for StorageError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Read(error) => Self::Read(error),
            WalkError::Chain(fault) => Self::Chain(fault),
        }
    }
}

impl core::error::Error for StorageError {}

/// The way out that fits most damage.
const WRITE_AGAIN: &str = "write the card again";

impl fmt::Display for StorageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoCard => {
                write!(formatter, "no SD card answers: put one in that has a FAT partition with a *.gguf model")
            }
            Self::Card(error) => error.fmt(formatter),
            Self::Read(error) => error.fmt(formatter),
            Self::NoPartition => {
                write!(
                    formatter,
                    "the card has no primary FAT partition: make one of the type 0C (FAT32), or {WRITE_AGAIN}"
                )
            }
            Self::Gpt => write!(
                formatter,
                "the card has a GUID partition table, which is not read: partition it as MBR (DOS) and format it as FAT32"
            ),
            Self::ExFat => write!(formatter, "the card is formatted as exFAT, which is not read: format it as FAT32"),
            Self::Ntfs => write!(formatter, "the card is formatted as NTFS, which is not read: format it as FAT32"),
            Self::NotFat(fault @ GeometryFault::BeyondCard { .. }) => {
                write!(
                    formatter,
                    "the FAT partition is cut off: {fault}; the image was not written whole, or the card is too small"
                )
            }
            Self::NotFat(fault) => write!(
                formatter,
                "the partition is not a FAT16 or FAT32 file system that can be read: {fault}; format it as FAT32"
            ),
            Self::Directory(fault) => write!(
                formatter,
                "a directory of the card is damaged: {fault}; check the file system on a PC, or {WRITE_AGAIN}"
            ),
            Self::DirectoryDamaged => {
                write!(formatter, "a directory of the card is damaged; check the file system on a PC, or {WRITE_AGAIN}")
            }
            Self::NoModel => write!(
                formatter,
                "the card has no model: copy a *.gguf file to its first FAT partition, or into a folder there"
            ),
            Self::FileNotFound => write!(formatter, "the card has no file of this name"),
            Self::Empty => write!(formatter, "the file is empty: copy it to the card again"),
            Self::TooLarge { file_bytes, room_bytes } => {
                write!(
                    formatter,
                    "the file has {file_bytes} bytes, and there is room for {room_bytes}: use a smaller one"
                )
            }
            Self::Truncated { file_bytes, present_bytes } => {
                write!(
                    formatter,
                    "the file is truncated: it should have {file_bytes} bytes, and the card has {present_bytes} of them; copy it again"
                )
            }
            Self::Chain(fault) => write!(
                formatter,
                "the file is damaged on the card: {fault}; check the file system on a PC, or copy the file again"
            ),
            Self::ChecksumFile => write!(
                formatter,
                "the model's checksum file does not begin with a CRC-32 of eight hexadecimal digits: correct or remove it"
            ),
            Self::Checksum { expected, actual } => {
                write!(
                    formatter,
                    "the file is not what its checksum file says (CRC-32 {actual:08x} instead of {expected:08x}); copy both again"
                )
            }
            Self::NoWindow { offset } => write!(formatter, "there is no memory for the file's bytes from {offset} on"),
            Self::NotReady => write!(formatter, "the card is not ready yet; try again in a second"),
        }
    }
}
