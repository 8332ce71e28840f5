//! Why a card could not be started.

use crate::host::HostError;
use core::fmt;

/// Why a card could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardError {
    /// Nothing answers.
    NoCard,
    /// The controller's reset does not end.
    ResetStuck,
    /// The controller's clock does not become stable.
    ClockUnstable,
    /// A command failed on the lines.
    Command {
        /// CMD index; application commands by their own index.
        index: u8,
        /// Its argument.
        argument: u32,
        /// What the controller said.
        error: HostError,
    },
    /// The card answered a command with error bits (SD Physical Layer 4.10.1).
    Status {
        /// CMD index.
        index: u8,
        /// The card status.
        status: u32,
    },
    /// The card does not work at 3.3 V: the answer to CMD8.
    Voltage {
        /// What it echoed.
        answer: u32,
    },
    /// The card did not leave its power-up in time.
    PowerUpTimeout {
        /// Its OCR.
        ocr: u32,
    },
    /// The card has a password.
    Locked,
    /// The CSD has an unknown structure.
    UnknownCsd {
        /// CSD_STRUCTURE.
        version: u32,
    },
    /// The CSD says that the card has no blocks.
    NoCapacity,
}

impl core::error::Error for CardError {}

impl fmt::Display for CardError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoCard => write!(formatter, "no SD card answers; put one in"),
            Self::ResetStuck => {
                write!(formatter, "the SD controller does not come out of reset; switch the board off and on")
            }
            Self::ClockUnstable => {
                write!(formatter, "the SD controller's clock does not start; switch the board off and on")
            }
            Self::Command { index, argument, error } => {
                write!(
                    formatter,
                    "the SD card failed at CMD{index} (argument {argument:#010x}): {error}; take it out and in, or try another one"
                )
            }
            Self::Status { index, status } => {
                write!(
                    formatter,
                    "the SD card answered CMD{index} with the error status {status:#010x}; try another one"
                )
            }
            Self::Voltage { answer } => {
                write!(formatter, "the SD card does not work at 3.3 V (answer {answer:#010x}); try another one")
            }
            Self::PowerUpTimeout { ocr } => {
                write!(
                    formatter,
                    "the SD card does not become ready (OCR {ocr:#010x}); take it out and in, or try another one"
                )
            }
            Self::Locked => {
                write!(formatter, "the SD card is locked by a password; unlock it on the device that locked it")
            }
            Self::UnknownCsd { version } => {
                write!(
                    formatter,
                    "the SD card has a description of the unknown version {version}; use a card of at most 2 TB"
                )
            }
            Self::NoCapacity => write!(formatter, "the SD card says that it has no blocks; try another one"),
        }
    }
}
