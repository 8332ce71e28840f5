//! Reading blocks by their number, whatever they lie on.

use crate::host::HostError;
use core::fmt;

/// Size of a block, in bytes.
pub const BLOCK_BYTES: usize = 512;

/// A device that reads blocks of [`BLOCK_BYTES`].
pub trait BlockReader {
    /// Reads consecutive blocks from `lba` on into `destination`, whose length is a multiple of [`BLOCK_BYTES`].
    ///
    /// # Errors
    /// The block that could not be read after all retries, and why. The bytes of the blocks before it were written.
    fn read_blocks(&mut self, lba: u32, destination: &mut [u8]) -> Result<(), ReadError>;

    /// How many blocks the device has.
    fn block_count(&self) -> u32;
}

impl<R: BlockReader + ?Sized> BlockReader for &mut R {
    fn read_blocks(&mut self, lba: u32, destination: &mut [u8]) -> Result<(), ReadError> {
        (**self).read_blocks(lba, destination)
    }
    fn block_count(&self) -> u32 {
        (**self).block_count()
    }
}

/// A block that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Number of the block.
    pub lba: u32,
    /// The SD command that asked for it, 0 if none was sent.
    pub command: u8,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub cause: ReadCause,
}

/// Why a block could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCause {
    /// The lines failed.
    Host(HostError),
    /// The card answered with error bits (SD Physical Layer 4.10.1).
    CardStatus(u32),
    /// The block lies behind the end of the device.
    BeyondEnd {
        /// How many blocks the device has.
        block_count: u32,
    },
    /// The length was not a multiple of a block.
    BadLength,
    /// The card has not been started.
    NotStarted,
}

impl core::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "block {} of the card cannot be read", self.lba)?;
        match self.cause {
            ReadCause::Host(error) => {
                write!(formatter, ": CMD{} failed {} times, {error}", self.command, self.attempts)?;
            }
            ReadCause::CardStatus(status) => write!(
                formatter,
                ": CMD{} failed {} times, the card answered status {status:#010x}",
                self.command, self.attempts
            )?,
            ReadCause::BeyondEnd { block_count } => write!(formatter, ": the card has only {block_count} blocks")?,
            ReadCause::BadLength => write!(formatter, ": the length asked for is not a number of whole blocks")?,
            ReadCause::NotStarted => write!(formatter, ": the card has not been started")?,
        }
        write!(formatter, "; take the card out and in, or write the image to another card")
    }
}
