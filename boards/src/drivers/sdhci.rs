//! SD host controllers after the SD Host Controller Simplified Specification 3.00 ("SDHC"), by programmed input,
//! by ADMA2, and by the BCM2835's DMA engine.
//!
//! Two of them are in the Pis: the legacy one (Arasan; the slot of QEMU's machines, WLAN or the slot on a Pi 3) and EMMC2 (the
//! slot of a Pi 4). Both need more care than the standard says, after what Linux (`sdhci-iproc`), U-Boot (`bcm2835_sdhci`) and
//! EDK2 do: words of 32 bits only, pairs of registers written at once, and a pause of some card clocks after each write, since
//! two writes in a row reach a slower clock domain where the first one is lost. The data port needs no pause. A third one, on
//! PCI in QEMU's `virt`, needs none of it and is where ADMA2 is seen to work.
//!
//! [`settings`] says how they differ, [`words`] what is written, [`dma`] how data come to memory past the processor.

mod adma;
mod bus;
mod dma;
mod engine;
mod registers;
mod settings;
#[cfg(test)]
mod tests;
mod words;

pub use bus::{KernelServices, MmioBus, SdhciBus};
pub use dma::DmaBuffers;
pub use registers::Register;
pub use settings::{EngineChannel, SdhciSettings, is_connected};

use barellama_storage::block::BLOCK_BYTES;
use barellama_storage::host::{
    BusWidth, COMMAND_BYTES_MAX, Command, HostError, HostFault, Mode, ReadFailure, Response, ResponseKind, SdHost,
};
use dma::{Dma, Trust};
use registers::{BlockSizeCount, Capabilities, ClockReset, Control, PresentState, STATUS_ERRORS, Status};
use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;
use words::{Mover, STOP_TRANSMISSION, Transfer, divider, fault, transfer_command, write_gap_ns};

/// The rate that is assumed before one is set.
const SLOWEST_CLOCK_HZ: u32 = 400_000;
/// Data timeout of 2^(13 + 11) cycles: a third of a second at 50 MHz (SDHC 2.2.15).
const DATA_TIMEOUT_EXPONENT: u32 = 11;
/// The controller ends a command by itself after 64 card clocks; longer, and it hangs.
const COMMAND_TIMEOUT_NS: u64 = 100_000_000;
/// The standard gives a card 100 ms for a block (SD Physical Layer 4.6.2.1); real ones need more.
const DATA_TIMEOUT_NS: u64 = 500_000_000;
/// SDHC 3.2: resets end within 100 ms.
const RESET_TIMEOUT_NS: u64 = 100_000_000;
const HERTZ_PER_MEGAHERTZ: u32 = 1_000_000;

/// A controller.
pub struct Sdhci<B> {
    bus: B,
    settings: SdhciSettings,
    write_gap_ns: u64,
    dma: Dma,
}

impl<B: SdhciBus> Sdhci<B> {
    /// Nothing is touched before the first call of [`SdHost`]. Without `buffers` the processor moves all data.
    pub const fn new(bus: B, settings: SdhciSettings, buffers: Option<&'static mut DmaBuffers>) -> Self {
        Self { bus, settings, write_gap_ns: write_gap_ns(SLOWEST_CLOCK_HZ), dma: Dma::new(buffers) }
    }

    fn base_clock_hz(&mut self) -> u32 {
        self.settings.base_clock_hz.unwrap_or_else(|| {
            let capabilities = LocalRegisterCopy::<u32, _>::new(self.bus.read(Register::Capabilities));
            // The field has 8 bits.
            capabilities.read(Capabilities::BASE_CLOCK_MHZ) * HERTZ_PER_MEGAHERTZ
        })
    }

    fn write(&mut self, register: Register, value: u32) {
        self.bus.write(register, value);
        let start_ns = self.bus.now_ns();
        self.pause(start_ns, self.write_gap_ns);
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
        self.wait_status_with_pauses(wanted, timeout_ns, on_timeout, 0)
    }

    /// The same with a pause between two looks at the status.
    fn wait_status_with_pauses(
        &mut self,
        wanted: u32,
        timeout_ns: u64,
        on_timeout: HostFault,
        pause_ns: u64,
    ) -> Result<(), HostError> {
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
            self.pause(now_ns, pause_ns);
        }
    }

    fn pause(&mut self, start_ns: u64, pause_ns: u64) {
        while self.bus.now_ns().wrapping_sub(start_ns) < pause_ns {
            core::hint::spin_loop();
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

    fn read_by_processor(
        &mut self,
        command: &Command,
        block_bytes: usize,
        destination: &mut [u8],
    ) -> Result<Response, ReadFailure> {
        let blocks = destination.len() / block_bytes.max(1);
        // Both fit their registers: the caller's blocks have at most 512 bytes and are at most 65,535.
        let transfer = Transfer { block_bytes: block_bytes as u32, blocks: blocks as u32, mover: Mover::Processor };
        self.issue(command, Some(transfer)).map_err(before)?;
        self.wait_command().map_err(before)?;
        let response = self.response(command.response);
        for (blocks_done, block) in destination.chunks_exact_mut(block_bytes.max(1)).enumerate() {
            self.read_block(block).map_err(|error| ReadFailure { blocks_done, error })?;
        }
        self.wait_status(Status::TRANSFER_COMPLETE::SET.value, DATA_TIMEOUT_NS, HostFault::Stuck)
            .map_err(|error| ReadFailure { blocks_done: blocks.saturating_sub(1), error })?;
        self.resume_dma();
        Ok(response)
    }
}

/// The failure of a read before its first block.
fn before(error: HostError) -> ReadFailure {
    ReadFailure { blocks_done: 0, error }
}

impl<B: SdhciBus> SdHost for Sdhci<B> {
    fn name(&self) -> &'static str {
        self.settings.name
    }

    fn begin_reset(&mut self) {
        (self.settings.connect_slot)();
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
        self.look_for_dma();
        let power = Control::POWER::SET + Control::VOLTAGE::V3_3;
        let has_own_dma = self.dma.trust != Trust::No && self.dma_mode() == Mode::Adma2;
        let dma = if has_own_dma { Control::DMA::Adma2.value } else { 0 };
        self.write(Register::Control, dma | if self.settings.has_power_switch { power.value } else { 0 });
        self.write(Register::Control2, 0);
        self.write(Register::SignalEnable, 0);
        self.write(Register::Status, u32::MAX);
        self.write(Register::StatusEnable, !Status::CARD_INTERRUPT::SET.value);
    }

    fn stop_clock(&mut self) {
        self.modify_clock(ClockReset::CARD_ENABLE::CLEAR);
    }

    fn begin_clock(&mut self, hz_max: u32) -> u32 {
        let base_clock_hz = self.base_clock_hz();
        let divider = divider(base_clock_hz, hz_max);
        let value = ClockReset::TIMEOUT.val(DATA_TIMEOUT_EXPONENT)
            + ClockReset::DIVIDER_LOW.val(divider & 0xFF)
            + ClockReset::DIVIDER_HIGH.val(divider >> 8)
            + ClockReset::INTERNAL_ENABLE::SET;
        let clock_hz = base_clock_hz / (2 * divider).max(1);
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
        // Registers of the card are short: their data are always taken by the processor.
        if block_bytes == BLOCK_BYTES
            && let Some(result) = self.read_by_dma(command, destination)
        {
            return result;
        }
        self.read_by_processor(command, block_bytes, destination)
    }

    fn read_bytes_max(&self, destination: &[u8]) -> usize {
        self.dma_bytes_max(destination).unwrap_or(COMMAND_BYTES_MAX)
    }

    fn mode(&self) -> Mode {
        match self.dma.trust {
            Trust::Yes => self.dma_mode(),
            Trust::No | Trust::Untested => Mode::ProgrammedInput,
        }
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
