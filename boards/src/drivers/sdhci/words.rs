//! Words that the registers take, worked out without touching them.

use super::registers::{Status, TransferCommand};
use barellama_storage::host::{Command, HostFault, ResponseKind};
use tock_registers::LocalRegisterCopy;

/// Card clocks between two writes: 10 us at 400 kHz (Linux waits 4 clocks, EDK2 10 us).
const WRITE_GAP_CLOCKS: u64 = 4;
/// The divider has 10 bits (SDHC 2.2.14).
pub const DIVIDER_MAX: u32 = 0x3FF;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// CMD12 may be sent while data come.
pub const STOP_TRANSMISSION: u8 = 12;

/// What the controller has to know of a read.
#[derive(Clone, Copy)]
pub struct Transfer {
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Blocks.
    pub blocks: u32,
    /// Who moves the data.
    pub mover: Mover,
}

/// Who moves data from the controller to memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mover {
    /// The processor, word by word.
    Processor,
    /// The controller, as its descriptors say.
    Controller,
}

/// The word that sends a command.
pub fn transfer_command(command: &Command, transfer: Option<Transfer>) -> u32 {
    use TransferCommand as T;
    let checks = T::CHECKS_CRC::SET + T::CHECKS_INDEX::SET;
    let mut value = T::INDEX.val(command.index.into())
        + match command.response {
            ResponseKind::None => T::RESPONSE::None,
            ResponseKind::Short => T::RESPONSE::Short + checks,
            ResponseKind::ShortBusy => T::RESPONSE::ShortBusy + checks,
            ResponseKind::ShortUnchecked => T::RESPONSE::Short,
            ResponseKind::Long => T::RESPONSE::Long + T::CHECKS_CRC::SET,
        };
    if command.index == STOP_TRANSMISSION {
        value += T::KIND::Abort;
    }
    if let Some(transfer) = transfer {
        value += T::HAS_DATA::SET + T::READS::SET;
        if transfer.blocks > 1 {
            value += T::MULTIPLE::SET + T::COUNTS_BLOCKS::SET + T::AUTO_COMMAND::Stop;
        }
        if transfer.mover == Mover::Controller {
            value += T::USES_DMA::SET;
        }
    }
    value.value
}

/// Names the first error bit.
pub fn fault(errors: u32) -> HostFault {
    let status = LocalRegisterCopy::<u32, Status::Register>::new(errors);
    let names = [
        (Status::COMMAND_TIMEOUT, HostFault::CommandTimeout),
        (Status::COMMAND_CRC, HostFault::CommandCrc),
        (Status::COMMAND_END_BIT, HostFault::CommandEndBit),
        (Status::COMMAND_INDEX, HostFault::CommandIndex),
        (Status::DATA_TIMEOUT, HostFault::DataTimeout),
        (Status::DATA_CRC, HostFault::DataCrc),
        (Status::DATA_END_BIT, HostFault::DataEndBit),
        (Status::AUTO_COMMAND, HostFault::AutoCommand),
        (Status::ADMA, HostFault::Dma),
    ];
    names.iter().find(|(bit, _)| status.is_set(*bit)).map_or(HostFault::Other, |&(_, fault)| fault)
}

/// The smallest divider whose rate is not above `hz_max`.
pub fn divider(base_clock_hz: u32, hz_max: u32) -> u32 {
    if base_clock_hz <= hz_max {
        return 0;
    }
    base_clock_hz.div_ceil(hz_max.saturating_mul(2).max(1)).clamp(1, DIVIDER_MAX)
}

/// The pause behind a write at a rate of the card's clock.
pub const fn write_gap_ns(clock_hz: u32) -> u64 {
    WRITE_GAP_CLOCKS * NANOSECONDS_PER_SECOND / (if clock_hz == 0 { 1 } else { clock_hz as u64 })
}
