//! An SD card behind a host controller: started step by step, then a [`BlockReader`].
//!
//! ```text
//! SdCard::new -> step, step, ... -> CardStep::Ready -> read_blocks
//! ```
//! [`start`] is the state machine of the start, [`registers`] reads what the card says of itself, [`error`] why it failed.

pub mod error;
pub mod registers;
mod start;

use crate::block::{BLOCK_BYTES, BlockReader, ReadCause, ReadError};
use crate::host::{COMMAND_BYTES_MAX, Command, Mode, ResponseKind, SdHost};
use core::fmt;
use error::CardError;
use start::Start;

/// How often a block is tried again before its error is reported.
pub const RETRIES: u32 = 3;

/// Bits of the card status that say that a read went wrong: out of range, address, block length, command CRC, illegal command,
/// ECC, controller, general (SD Physical Layer 4.10.1).
const STATUS_ERRORS: u32 = 0xE0F8_0000;
/// CURRENT_STATE of the card status.
const STATE_SHIFT: u32 = 9;
const STATE_MASK: u32 = 0xF;
const STATE_TRANSFER: u32 = 4;

/// How far the start of a card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStep {
    /// Not done; call again.
    Busy,
    /// Blocks can be read.
    Ready(CardInfo),
    /// It cannot be used.
    Failed(CardError),
}

/// What is known of a card that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardInfo {
    /// Name of the controller.
    pub host_name: &'static str,
    /// Capacity in blocks of 512 bytes.
    pub block_count: u32,
    /// SDHC or SDXC: addresses count blocks; else SDSC: they count bytes.
    pub is_high_capacity: bool,
    /// Whether four data lines are in use.
    pub has_four_lines: bool,
    /// Whether high-speed timing is in use.
    pub is_high_speed: bool,
    /// Rate of the card's clock, in Hz.
    pub clock_hz: u32,
    /// Who moves the data.
    pub mode: Mode,
}

impl fmt::Display for CardInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_high_capacity { "SDHC/SDXC" } else { "SDSC" };
        let lines = if self.has_four_lines { 4 } else { 1 };
        let speed = if self.is_high_speed { "high speed" } else { "default speed" };
        let megabytes = u64::from(self.block_count) * BLOCK_BYTES as u64 / 1_000_000;
        let (clock_mhz, clock_khz) = (self.clock_hz / 1_000_000, self.clock_hz / 1000 % 1000);
        write!(
            formatter,
            "{kind} card of {megabytes} MB on {}, {lines} bit, {clock_mhz}.{clock_khz:03} MHz, {speed}, {}",
            self.host_name, self.mode
        )
    }
}

/// What the reads cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounters {
    /// Read commands that were sent.
    pub commands: u32,
    /// Blocks that arrived.
    pub blocks: u64,
    /// Attempts that failed and were repeated or reported.
    pub errors: u32,
}

/// An SD card.
pub struct SdCard<H> {
    host: H,
    start: Start,
    counters: ReadCounters,
}

impl<H: SdHost> SdCard<H> {
    /// A card that has not been started.
    pub const fn new(host: H) -> Self {
        Self { host, start: Start::new(), counters: ReadCounters { commands: 0, blocks: 0, errors: 0 } }
    }

    /// Goes on with the start. Takes about a millisecond at most; `now_ns` is a monotonic clock.
    pub fn step(&mut self, now_ns: u64) -> CardStep {
        match self.start.step(&mut self.host, now_ns) {
            CardStep::Ready(info) => CardStep::Ready(CardInfo { mode: self.host.mode(), ..info }),
            step => step,
        }
    }

    /// Begins again from the reset of the controller.
    pub fn restart(&mut self) {
        self.start = Start::new();
    }

    /// Whether the card that was started is still there and ready for a read. One that was pulled does not answer to its address;
    /// nor does one that was put in since, which has none (SD Physical Layer 4.2).
    pub fn answers(&mut self) -> bool {
        let answers = self.start.info().is_some() && self.is_ready_for_a_read();
        if !answers {
            // So that the next command finds free lines. If that fails, that command says so.
            let _ = self.host.recover();
        }
        answers
    }

    /// What is known of the card, once it is ready.
    pub fn info(&self) -> Option<CardInfo> {
        self.start.info().map(|info| CardInfo { mode: self.host.mode(), ..info })
    }

    /// What the reads cost so far.
    pub fn counters(&self) -> ReadCounters {
        self.counters
    }

    /// Gives the controller back.
    pub fn into_host(self) -> H {
        self.host
    }

    /// One command for all of `destination`; on failure the number of blocks that did arrive.
    fn read_once(&mut self, info: &CardInfo, lba: u32, destination: &mut [u8]) -> Result<(), (usize, u8, ReadCause)> {
        let index = if destination.len() == BLOCK_BYTES { READ_SINGLE_BLOCK } else { READ_MULTIPLE_BLOCK };
        // SDSC capacities end at 4 GB (2 GB by the standard), so the byte address fits.
        let argument = if info.is_high_capacity { lba } else { lba.wrapping_mul(BLOCK_BYTES as u32) };
        let command = Command { index, argument, response: ResponseKind::Short };
        self.counters.commands = self.counters.commands.wrapping_add(1);
        match self.host.read(&command, BLOCK_BYTES, destination) {
            Ok(response) if response.words[0] & STATUS_ERRORS != 0 => {
                Err((0, index, ReadCause::CardStatus(response.words[0])))
            }
            Ok(_) => Ok(()),
            Err(failure) => Err((failure.blocks_done, index, ReadCause::Host(failure.error))),
        }
    }

    /// Brings controller and card back to where a read can start. What fails here fails again in the next attempt, and is
    /// reported there.
    fn recover(&mut self) {
        let _ = self.host.recover();
        if !self.is_ready_for_a_read() {
            let _ = self.host.recover();
            let stop = Command { index: STOP_TRANSMISSION, argument: 0, response: ResponseKind::ShortBusy };
            let _ = self.host.command(&stop);
            let _ = self.host.recover();
        }
    }

    fn is_ready_for_a_read(&mut self) -> bool {
        let status = Command { index: SEND_STATUS, argument: self.start.card_address(), response: ResponseKind::Short };
        let response = self.host.command(&status);
        response.is_ok_and(|response| response.words[0] >> STATE_SHIFT & STATE_MASK == STATE_TRANSFER)
    }
}

impl<H: SdHost> BlockReader for SdCard<H> {
    fn read_blocks(&mut self, lba: u32, destination: &mut [u8]) -> Result<(), ReadError> {
        let refused = |cause| ReadError { lba, command: 0, attempts: 0, cause };
        let info = self.start.info().ok_or(refused(ReadCause::NotStarted))?;
        check_range(&info, lba, destination.len()).map_err(refused)?;

        let mut lba = lba;
        let mut rest = destination;
        let mut attempts = 0;
        while !rest.is_empty() {
            let bytes_max = self.host.read_bytes_max(rest).clamp(BLOCK_BYTES, COMMAND_BYTES_MAX);
            let blocks = rest.len().min(bytes_max) / BLOCK_BYTES;
            let slice = rest.get_mut(..blocks * BLOCK_BYTES).unwrap_or_default();
            let blocks_done = match self.read_once(&info, lba, slice) {
                Ok(()) => {
                    attempts = 0;
                    blocks
                }
                Err((blocks_done, command, cause)) => {
                    attempts = if blocks_done == 0 { attempts + 1 } else { 1 };
                    self.counters.errors = self.counters.errors.wrapping_add(1);
                    self.recover();
                    if attempts > RETRIES {
                        return Err(ReadError { lba, command, attempts, cause });
                    }
                    blocks_done.min(blocks)
                }
            };
            self.counters.blocks = self.counters.blocks.wrapping_add(blocks_done as u64);
            // Both stay inside the range that was checked.
            lba = lba.saturating_add(blocks_done as u32);
            rest = rest.get_mut(blocks_done * BLOCK_BYTES..).unwrap_or_default();
        }
        Ok(())
    }

    fn block_count(&self) -> u32 {
        self.start.info().map_or(0, |info| info.block_count)
    }
}

fn check_range(info: &CardInfo, lba: u32, bytes: usize) -> Result<(), ReadCause> {
    if !bytes.is_multiple_of(BLOCK_BYTES) {
        return Err(ReadCause::BadLength);
    }
    let end = u64::from(lba).saturating_add((bytes / BLOCK_BYTES) as u64);
    if end > u64::from(info.block_count) {
        return Err(ReadCause::BeyondEnd { block_count: info.block_count });
    }
    Ok(())
}

/// CMD12.
const STOP_TRANSMISSION: u8 = 12;
/// CMD13.
const SEND_STATUS: u8 = 13;
/// CMD17.
const READ_SINGLE_BLOCK: u8 = 17;
/// CMD18.
const READ_MULTIPLE_BLOCK: u8 = 18;
