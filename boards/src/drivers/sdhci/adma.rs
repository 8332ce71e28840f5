//! The controller's own DMA: ADMA2 with 32-bit addresses (SDHC 1.13).

use super::Sdhci;
use super::bus::SdhciBus;
use super::dma::POLL_PAUSE_NS;
use super::registers::{Register, Status};
use super::words::{Mover, Transfer};
use barellama_storage::block::BLOCK_BYTES;
use barellama_storage::host::{Command, HostError, HostFault, Response};

/// Bytes that one descriptor moves: half of the most, which would be written as length 0.
const PIECE_BYTES: usize = 32 << 10;
const DESCRIPTORS: usize = 64;
const DESCRIPTOR_BYTES: usize = 8;
/// Bytes of the table.
pub const TABLE_BYTES: usize = DESCRIPTORS * DESCRIPTOR_BYTES;
/// Bytes that the table can move at once.
pub const TABLE_REACH_BYTES: usize = DESCRIPTORS * PIECE_BYTES;
/// Attributes of a descriptor (SDHC 1.13.4): valid, the last one, move data.
const VALID: u64 = 1 << 0;
const END: u64 = 1 << 1;
const MOVE: u64 = 0b10 << 4;

impl<B: SdhciBus> Sdhci<B> {
    /// One command whose data the controller moves as the table at a bus address says.
    pub(super) fn move_by_adma(
        &mut self,
        command: &Command,
        table_address: u32,
        blocks: u32,
        timeout_ns: u64,
    ) -> Result<Response, HostError> {
        let transfer = Transfer { block_bytes: BLOCK_BYTES as u32, blocks, mover: Mover::Controller };
        self.write(Register::AdmaAddress, table_address);
        self.issue(command, Some(transfer))?;
        self.wait_command()?;
        let response = self.response(command.response);
        let complete = Status::TRANSFER_COMPLETE::SET.value;
        self.wait_status_with_pauses(complete, timeout_ns, HostFault::Stuck, POLL_PAUSE_NS)?;
        Ok(response)
    }
}

/// Writes descriptors for `bytes` at a bus address; the table has room for [`TABLE_REACH_BYTES`].
pub fn describe(table: &mut [u8], address: u32, bytes: usize) {
    let pieces = bytes.div_ceil(PIECE_BYTES);
    for (index, descriptor) in table.chunks_exact_mut(DESCRIPTOR_BYTES).take(pieces).enumerate() {
        let offset = index * PIECE_BYTES;
        let length = PIECE_BYTES.min(bytes - offset);
        let end = if index + 1 == pieces { END } else { 0 };
        // The end of the target fits in 32 bits.
        let at = u64::from(address) + offset as u64;
        descriptor.copy_from_slice(&(at << 32 | (length as u64) << 16 | MOVE | end | VALID).to_le_bytes());
    }
}
