//! SD host controllers after the SD Host Controller Simplified Specification 3.00 ("SDHC"), by programmed input.
//!
//! Two of them are in the Pis: the legacy one (Arasan; the slot of QEMU's machines, WLAN or the slot on a Pi 3) and EMMC2 (the
//! slot of a Pi 4). Both need more care than the standard says, after what Linux (`sdhci-iproc`), U-Boot (`bcm2835_sdhci`) and
//! EDK2 do: words of 32 bits only, pairs of registers written at once, and a pause of some card clocks after each write, since
//! two writes in a row reach a slower clock domain where the first one is lost. The data port needs no pause.

mod bus;
mod registers;
#[cfg(test)]
mod tests;

pub use bus::{MmioBus, SdhciBus};
pub use registers::Register;

use barellama_storage::host::{BusWidth, Command, HostError, HostFault, ReadFailure, Response, ResponseKind, SdHost};
use registers::{BlockSizeCount, ClockReset, Control, PresentState, STATUS_ERRORS, Status, TransferCommand};
use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;

/// Card clocks between two writes: 10 us at 400 kHz (Linux waits 4 clocks, EDK2 10 us).
const WRITE_GAP_CLOCKS: u64 = 4;
/// The rate that is assumed before one is set.
const SLOWEST_CLOCK_HZ: u32 = 400_000;
/// The divider has 10 bits (SDHC 2.2.14).
const DIVIDER_MAX: u32 = 0x3FF;
/// Data timeout of 2^(13 + 11) cycles: a third of a second at 50 MHz (SDHC 2.2.15).
const DATA_TIMEOUT_EXPONENT: u32 = 11;
/// The controller ends a command by itself after 64 card clocks; longer, and it hangs.
const COMMAND_TIMEOUT_NS: u64 = 100_000_000;
/// The standard gives a card 100 ms for a block (SD Physical Layer 4.6.2.1); real ones need more.
const DATA_TIMEOUT_NS: u64 = 500_000_000;
/// SDHC 3.2: resets end within 100 ms.
const RESET_TIMEOUT_NS: u64 = 100_000_000;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// CMD12 may be sent while data come.
const STOP_TRANSMISSION: u8 = 12;

/// How one controller differs from another.
#[derive(Clone, Copy, Debug)]
pub struct SdhciSettings {
    /// Name for messages.
    pub name: &'static str,
    /// Rate that the divider divides, in Hz: the firmware's clock of the controller.
    pub base_clock_hz: u32,
    /// Whether the bit for high-speed timing exists and does good.
    pub has_high_speed_bit: bool,
    /// Whether the controller switches the power of the bus.
    pub has_power_switch: bool,
}

impl SdhciSettings {
    /// The legacy controller at 0xFE30_0000 (Pi 4) or 0x3F30_0000 (Pi 3). Base clock: the firmware's clock 1 (EMMC).
    #[must_use]
    pub const fn bcm_legacy(base_clock_hz: u32) -> Self {
        Self { name: "EMMC", base_clock_hz, has_high_speed_bit: false, has_power_switch: false }
    }

    /// The Pi 4's slot at 0xFE34_0000. Base clock: the firmware's clock 12 (EMMC2), 100 or 200 MHz.
    #[must_use]
    pub const fn bcm_emmc2(base_clock_hz: u32) -> Self {
        Self { name: "EMMC2", base_clock_hz, has_high_speed_bit: true, has_power_switch: true }
    }
}

/// A controller.
pub struct Sdhci<B> {
    bus: B,
    settings: SdhciSettings,
    write_gap_ns: u64,
}

impl<B: SdhciBus> Sdhci<B> {
    /// Nothing is touched before the first call of [`SdHost`].
    pub const fn new(bus: B, settings: SdhciSettings) -> Self {
        Self { bus, settings, write_gap_ns: write_gap_ns(SLOWEST_CLOCK_HZ) }
    }

    fn write(&mut self, register: Register, value: u32) {
        self.bus.write(register, value);
        let start_ns = self.bus.now_ns();
        while self.bus.now_ns().wrapping_sub(start_ns) < self.write_gap_ns {
            core::hint::spin_loop();
        }
    }

    fn modify_control(&mut self, change: FieldValue<u32, Control::Register>) {
        let value = change.modify(self.bus.read(Register::Control));
        self.write(Register::Control, value);
    }

    fn modify_clock(&mut self, change: FieldValue<u32, ClockReset::Register>) {
        let value = change.modify(self.bus.read(Register::ClockReset));
        self.write(Register::ClockReset, value);
    }

    fn clock_reset(&mut self) -> LocalRegisterCopy<u32, ClockReset::Register> {
        LocalRegisterCopy::new(self.bus.read(Register::ClockReset))
    }

    fn status(&mut self) -> u32 {
        self.bus.read(Register::Status)
    }

    fn fail(&mut self, fault: HostFault) -> HostError {
        HostError { fault, status: self.status() }
    }

    /// Waits until the lines that `command` uses are free, then writes it.
    fn issue(&mut self, command: &Command, transfer: Option<Transfer>) -> Result<(), HostError> {
        let uses_data = transfer.is_some() || command.response == ResponseKind::ShortBusy;
        self.wait_free(uses_data && command.index != STOP_TRANSMISSION)?;
        self.write(Register::Status, u32::MAX);
        if let Some(transfer) = transfer {
            let value = BlockSizeCount::BYTES.val(transfer.block_bytes) + BlockSizeCount::BLOCKS.val(transfer.blocks);
            self.write(Register::BlockSizeCount, value.value);
        }
        self.write(Register::Argument, command.argument);
        self.write(Register::TransferCommand, transfer_command(command, transfer));
        Ok(())
    }

    fn wait_free(&mut self, with_data: bool) -> Result<(), HostError> {
        let data = if with_data { PresentState::DATA_INHIBIT::SET.value } else { 0 };
        let busy = PresentState::COMMAND_INHIBIT::SET.value | data;
        let start_ns = self.bus.now_ns();
        while self.bus.read(Register::PresentState) & busy != 0 {
            if self.bus.now_ns().wrapping_sub(start_ns) > COMMAND_TIMEOUT_NS {
                return Err(self.fail(HostFault::Inhibited));
            }
        }
        Ok(())
    }

    /// Waits for a status bit and clears it.
    fn wait_status(&mut self, wanted: u32, timeout_ns: u64, on_timeout: HostFault) -> Result<(), HostError> {
        let mut start_ns = None;
        loop {
            let status = self.status();
            // SDHC 2.2.17: a transfer that is complete in spite of a data timeout is complete.
            let complete = Status::TRANSFER_COMPLETE::SET.value;
            let errors = if status & wanted & complete != 0 {
                status & STATUS_ERRORS & !Status::DATA_TIMEOUT::SET.value
            } else {
                status & STATUS_ERRORS
            };
            if errors != 0 {
                return Err(HostError { fault: fault(errors), status });
            }
            if status & wanted != 0 {
                self.write(Register::Status, wanted);
                return Ok(());
            }
            let now_ns = self.bus.now_ns();
            if now_ns.wrapping_sub(*start_ns.get_or_insert(now_ns)) > timeout_ns {
                return Err(HostError { fault: on_timeout, status });
            }
        }
    }

    fn wait_command(&mut self) -> Result<(), HostError> {
        self.wait_status(Status::COMMAND_COMPLETE::SET.value, COMMAND_TIMEOUT_NS, HostFault::Stuck)
    }

    /// The controllers' end-of-busy status is not reliable, so the line itself is watched.
    fn wait_not_busy(&mut self) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        while self.bus.read(Register::PresentState) & PresentState::DAT0::SET.value == 0 {
            if self.bus.now_ns().wrapping_sub(start_ns) > DATA_TIMEOUT_NS {
                return Err(self.fail(HostFault::DataTimeout));
            }
        }
        Ok(())
    }

    fn response(&mut self, kind: ResponseKind) -> Response {
        let mut words = [0; 4];
        match kind {
            ResponseKind::None => {}
            ResponseKind::Short | ResponseKind::ShortBusy | ResponseKind::ShortUnchecked => {
                words[0] = self.bus.read(Register::Response0);
            }
            ResponseKind::Long => {
                let registers = [Register::Response0, Register::Response1, Register::Response2, Register::Response3];
                // SDHC 2.2.7: the registers hold bits 127:8, the CRC byte is left out; it is put back as 0.
                let mut carry = 0;
                for (word, register) in words.iter_mut().zip(registers) {
                    let value = self.bus.read(register);
                    *word = value << 8 | carry;
                    carry = value >> 24;
                }
            }
        }
        Response { words }
    }

    fn read_block(&mut self, block: &mut [u8]) -> Result<(), HostError> {
        // Cleared before the data are taken: the next block sets it again.
        self.wait_status(Status::READ_READY::SET.value, DATA_TIMEOUT_NS, HostFault::DataTimeout)?;
        self.bus.read_data(block);
        Ok(())
    }
}

/// What the controller has to know of a read.
#[derive(Clone, Copy)]
struct Transfer {
    block_bytes: u32,
    blocks: u32,
}

/// The word that sends a command.
fn transfer_command(command: &Command, transfer: Option<Transfer>) -> u32 {
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
    }
    value.value
}

/// Names the first error bit.
fn fault(errors: u32) -> HostFault {
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
    ];
    names.iter().find(|(bit, _)| status.is_set(*bit)).map_or(HostFault::Other, |&(_, fault)| fault)
}

/// The smallest divider whose rate is not above `hz_max`.
fn divider(base_clock_hz: u32, hz_max: u32) -> u32 {
    if base_clock_hz <= hz_max {
        return 0;
    }
    base_clock_hz.div_ceil(hz_max.saturating_mul(2).max(1)).clamp(1, DIVIDER_MAX)
}

const fn write_gap_ns(clock_hz: u32) -> u64 {
    WRITE_GAP_CLOCKS * NANOSECONDS_PER_SECOND / (if clock_hz == 0 { 1 } else { clock_hz as u64 })
}

impl<B: SdhciBus> SdHost for Sdhci<B> {
    fn name(&self) -> &'static str {
        self.settings.name
    }

    fn begin_reset(&mut self) {
        self.write_gap_ns = write_gap_ns(SLOWEST_CLOCK_HZ);
        self.write(Register::ClockReset, ClockReset::RESET_ALL::SET.value);
    }

    fn is_reset_done(&mut self) -> bool {
        let state = self.clock_reset();
        !state.is_set(ClockReset::RESET_ALL)
            && !state.is_set(ClockReset::RESET_COMMAND)
            && !state.is_set(ClockReset::RESET_DATA)
    }

    fn power_on(&mut self) {
        let power = Control::POWER::SET + Control::VOLTAGE::V3_3;
        self.write(Register::Control, if self.settings.has_power_switch { power.value } else { 0 });
        self.write(Register::Control2, 0);
        self.write(Register::SignalEnable, 0);
        self.write(Register::Status, u32::MAX);
        self.write(Register::StatusEnable, !Status::CARD_INTERRUPT::SET.value);
    }

    fn stop_clock(&mut self) {
        self.modify_clock(ClockReset::CARD_ENABLE::CLEAR);
    }

    fn begin_clock(&mut self, hz_max: u32) -> u32 {
        let divider = divider(self.settings.base_clock_hz, hz_max);
        let value = ClockReset::TIMEOUT.val(DATA_TIMEOUT_EXPONENT)
            + ClockReset::DIVIDER_LOW.val(divider & 0xFF)
            + ClockReset::DIVIDER_HIGH.val(divider >> 8)
            + ClockReset::INTERNAL_ENABLE::SET;
        let clock_hz = self.settings.base_clock_hz / (2 * divider).max(1);
        // The slower of the two rates decides until the new one is in use.
        self.write_gap_ns = self.write_gap_ns.max(write_gap_ns(clock_hz));
        self.write(Register::ClockReset, value.value);
        self.write_gap_ns = write_gap_ns(clock_hz);
        clock_hz
    }

    fn is_clock_stable(&mut self) -> bool {
        self.clock_reset().is_set(ClockReset::INTERNAL_STABLE)
    }

    fn start_clock(&mut self) {
        self.modify_clock(ClockReset::CARD_ENABLE::SET);
    }

    fn set_bus_width(&mut self, width: BusWidth) {
        self.modify_control(match width {
            BusWidth::One => Control::FOUR_LINES::CLEAR,
            BusWidth::Four => Control::FOUR_LINES::SET,
        });
    }

    fn set_high_speed(&mut self) {
        if self.settings.has_high_speed_bit {
            self.modify_control(Control::HIGH_SPEED::SET);
        }
    }

    fn command(&mut self, command: &Command) -> Result<Response, HostError> {
        self.issue(command, None)?;
        self.wait_command()?;
        let response = self.response(command.response);
        if command.response == ResponseKind::ShortBusy {
            self.wait_not_busy()?;
        }
        Ok(response)
    }

    fn read(&mut self, command: &Command, block_bytes: usize, destination: &mut [u8]) -> Result<Response, ReadFailure> {
        let before = |error| ReadFailure { blocks_done: 0, error };
        let blocks = destination.len() / block_bytes.max(1);
        // Both fit their registers: the caller's blocks have at most 512 bytes and are at most 65,535.
        let transfer = Transfer { block_bytes: block_bytes as u32, blocks: blocks as u32 };
        self.issue(command, Some(transfer)).map_err(before)?;
        self.wait_command().map_err(before)?;
        let response = self.response(command.response);
        for (blocks_done, block) in destination.chunks_exact_mut(block_bytes.max(1)).enumerate() {
            self.read_block(block).map_err(|error| ReadFailure { blocks_done, error })?;
        }
        self.wait_status(Status::TRANSFER_COMPLETE::SET.value, DATA_TIMEOUT_NS, HostFault::Stuck)
            .map_err(|error| ReadFailure { blocks_done: blocks.saturating_sub(1), error })?;
        Ok(response)
    }

    fn recover(&mut self) -> Result<(), HostError> {
        self.modify_clock(ClockReset::RESET_COMMAND::SET + ClockReset::RESET_DATA::SET);
        let start_ns = self.bus.now_ns();
        while !self.is_reset_done() {
            if self.bus.now_ns().wrapping_sub(start_ns) > RESET_TIMEOUT_NS {
                return Err(self.fail(HostFault::Stuck));
            }
        }
        self.write(Register::Status, u32::MAX);
        Ok(())
    }
}
