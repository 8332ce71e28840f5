//! SDHOST, the SD controller of the BCM2835 to BCM2837 that only the VideoCore's own documents describe; after Linux
//! (`drivers/mmc/host/bcm2835-sdhost.c`) and Circle (`addon/SDCard/sdhost.cpp`), by programmed input.
//!
//! What is peculiar: the FIFO's thresholds must be 4 (silicon bug); the clock's divider has 3 bits in data mode, too few for a core
//! above 250 MHz, so the card is called slow or the firmware is asked to choose; a block is complete when the state machine says
//! so, and where it waits for more it is pushed; there is no automatic CMD12; an empty slot answers with zeros, without an error.

mod bus;
mod registers;
#[cfg(test)]
mod tests;

pub use bus::{MmioSdhost, SdhostBus, SdhostServices};
pub use registers::Register;

use barellama_storage::block::BLOCK_BYTES;
use barellama_storage::host::{
    BusWidth, Command, HostError, HostFault, Mode, ReadFailure, Response, ResponseKind, SdHost,
};
use registers::{
    CONFIG_BUSY_STATUS, CONFIG_FOUR_LINES, CONFIG_SLOW_CARD, CONFIG_WIDE_FIFO, CommandWord, DIVIDER_MAX, Debug,
    STATUS_ALL, State, Status, TIMEOUT_AT_RESET,
};
use tock_registers::LocalRegisterCopy;

/// The power has to be off, and then on, for that long.
const POWER_NS: u64 = 10_000_000;
const COMMAND_TIMEOUT_NS: u64 = 100_000_000;
const DATA_TIMEOUT_NS: u64 = 500_000_000;
/// The state machine needs some card clocks behind a block.
const IDLE_TIMEOUT_NS: u64 = 10_000_000;
/// FIFO thresholds (both 4), in their places.
const THRESHOLDS: u32 = 4 << 14 | 4 << 9;
const THRESHOLDS_MASK: u32 = 0x1F << 14 | 0x1F << 9;
/// Words that are taken from the FIFO at once, unless fewer are left.
const BURST_WORDS: usize = 8;
const FIFO_WORDS: u32 = 16;
/// The block count has 9 bits.
const BLOCKS_MAX: usize = 256;
const WORD_BYTES: usize = 4;
const STOP_TRANSMISSION: u8 = 12;
/// CMD8 and ACMD41 are answered with something by every card.
const NEVER_ZERO: [u8; 2] = [8, 41];

/// How far the reset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    PowerOff { since_ns: u64 },
    PowerOn { since_ns: u64 },
    Done,
}

/// The controller.
pub struct Bcm2835Sdhost<B> {
    bus: B,
    /// Rate of the VideoCore's core, which is divided.
    core_clock_hz: u32,
    reset: Reset,
    config: u32,
}

impl<B: SdhostBus> Bcm2835Sdhost<B> {
    /// Nothing is touched before the first call of [`SdHost`].
    pub const fn new(bus: B, core_clock_hz: u32) -> Self {
        Self { bus, core_clock_hz, reset: Reset::Done, config: 0 }
    }

    fn status(&mut self) -> u32 {
        self.bus.read(Register::Status)
    }

    fn fail(&mut self, fault: HostFault) -> HostError {
        HostError { fault, status: self.status() }
    }

    fn is_late(&mut self, start_ns: u64, timeout_ns: u64) -> bool {
        self.bus.now_ns().wrapping_sub(start_ns) > timeout_ns
    }

    fn set_config(&mut self, config: u32) {
        self.config = config;
        self.bus.write(Register::Config, config);
    }

    /// The error that the status tells, if any; of a command without checksum it is none.
    fn error_of(&mut self, is_unchecked: bool) -> Result<(), HostError> {
        let status = self.status();
        let bits = LocalRegisterCopy::<u32, Status::Register>::new(status);
        let faults = [
            (Status::COMMAND_TIMEOUT, HostFault::CommandTimeout),
            (Status::COMMAND_CRC, HostFault::CommandCrc),
            (Status::DATA_TIMEOUT, HostFault::DataTimeout),
            (Status::DATA_CRC, HostFault::DataCrc),
            (Status::FIFO, HostFault::Other),
        ];
        let is_expected = |fault| fault == HostFault::CommandCrc && is_unchecked;
        let found = faults.iter().find(|&&(bit, fault)| bits.is_set(bit) && !is_expected(fault));
        found.map_or(Ok(()), |&(_, fault)| Err(HostError { fault, status }))
    }

    /// Sends a command and waits for its answer.
    fn send(&mut self, command: &Command, reads: bool) -> Result<Response, HostError> {
        self.wait_sent()?;
        self.bus.write(Register::Status, STATUS_ALL);
        self.bus.write(Register::Argument, command.argument);
        self.bus.write(Register::Command, command_word(command, reads));
        self.wait_sent()?;
        let is_unchecked = command.response == ResponseKind::ShortUnchecked;
        let word = LocalRegisterCopy::<u32, CommandWord::Register>::new(self.bus.read(Register::Command));
        if word.is_set(CommandWord::FAILED) {
            self.error_of(is_unchecked)?;
            if !is_unchecked {
                return Err(self.fail(HostFault::Other));
            }
        }
        let response = self.response(command.response);
        if NEVER_ZERO.contains(&command.index) && response.words[0] == 0 {
            return Err(self.fail(HostFault::CommandTimeout));
        }
        Ok(response)
    }

    fn wait_sent(&mut self) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        while self.bus.read(Register::Command) & CommandWord::NEW::SET.value != 0 {
            if self.is_late(start_ns, COMMAND_TIMEOUT_NS) {
                return Err(self.fail(HostFault::Stuck));
            }
        }
        Ok(())
    }

    /// The end of busy is a status of its own, if the configuration asks for it.
    fn wait_not_busy(&mut self) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        while self.status() & Status::BUSY_END::SET.value == 0 {
            self.error_of(false)?;
            if self.is_late(start_ns, DATA_TIMEOUT_NS) {
                return Err(self.fail(HostFault::DataTimeout));
            }
        }
        self.bus.write(Register::Status, Status::BUSY_END::SET.value);
        Ok(())
    }

    fn response(&mut self, kind: ResponseKind) -> Response {
        let registers = [Register::Response0, Register::Response1, Register::Response2, Register::Response3];
        let count = match kind {
            ResponseKind::None => 0,
            ResponseKind::Short | ResponseKind::ShortBusy | ResponseKind::ShortUnchecked => 1,
            ResponseKind::Long => 4,
        };
        let mut words = [0; 4];
        for (word, register) in words.iter_mut().zip(registers).take(count) {
            *word = self.bus.read(register);
        }
        if kind == ResponseKind::Long {
            // The lowest byte is the checksum's place.
            words[0] &= !0xFF;
        }
        Response { words }
    }

    fn state(&mut self) -> u32 {
        self.bus.read(Register::Debug) & Debug::STATE_MASK
    }

    fn read_block(&mut self, block: &mut [u8]) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        let mut rest = block;
        while !rest.is_empty() {
            let debug = self.bus.read(Register::Debug);
            let ready = (debug >> Debug::FIFO_SHIFT & Debug::FIFO_MASK) as usize;
            let left = rest.len() / WORD_BYTES;
            if ready < BURST_WORDS.min(left) {
                if !State::READS.contains(&(debug & Debug::STATE_MASK)) {
                    self.error_of(false)?;
                }
                if self.is_late(start_ns, DATA_TIMEOUT_NS) {
                    return Err(self.fail(HostFault::DataTimeout));
                }
                continue;
            }
            let (now, later) = rest.split_at_mut(ready.min(left) * WORD_BYTES);
            for word in now.chunks_exact_mut(WORD_BYTES) {
                word.copy_from_slice(&self.bus.read(Register::Data).to_le_bytes());
            }
            rest = later;
        }
        self.error_of(false)
    }

    /// Waits until the state machine has done with the data; where it waits for more it is told that there is none.
    fn finish_data(&mut self) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        loop {
            match self.state() {
                State::IDENTIFICATION | State::DATA => return Ok(()),
                State::READ_WAIT => {
                    let debug = self.bus.read(Register::Debug);
                    self.bus.write(Register::Debug, debug | Debug::FORCE_DATA_MODE);
                    return Ok(());
                }
                _ if self.is_late(start_ns, IDLE_TIMEOUT_NS) => return Err(self.fail(HostFault::Stuck)),
                _ => {}
            }
        }
    }

    /// The divider for at most `hz_max`: the register holds what is above 2.
    fn set_divider(&mut self, hz_max: u32) -> u32 {
        let divider = self.core_clock_hz.div_ceil(hz_max.max(1)).clamp(2, DIVIDER_MAX + 2);
        self.bus.write(Register::ClockDivider, divider - 2);
        self.core_clock_hz / divider
    }
}

fn command_word(command: &Command, reads: bool) -> u32 {
    use CommandWord as C;
    let response = match command.response {
        ResponseKind::None => C::NO_RESPONSE::SET.value,
        ResponseKind::Short | ResponseKind::ShortUnchecked => 0,
        ResponseKind::ShortBusy => C::WAITS_BUSY::SET.value,
        ResponseKind::Long => C::LONG_RESPONSE::SET.value,
    };
    let data = if reads { C::READS::SET.value } else { 0 };
    (C::INDEX.val(command.index.into()) + C::NEW::SET).value | response | data
}

impl<B: SdhostBus> SdHost for Bcm2835Sdhost<B> {
    fn name(&self) -> &'static str {
        "SDHOST"
    }

    fn begin_reset(&mut self) {
        self.bus.connect_slot();
        let cleared = [
            (Register::Power, 0),
            (Register::Command, 0),
            (Register::Argument, 0),
            (Register::Timeout, TIMEOUT_AT_RESET),
            (Register::ClockDivider, 0),
            (Register::Status, STATUS_ALL),
            (Register::Config, 0),
            (Register::BlockBytes, 0),
            (Register::BlockCount, 0),
        ];
        for (register, value) in cleared {
            self.bus.write(register, value);
        }
        let debug = self.bus.read(Register::Debug);
        self.bus.write(Register::Debug, debug & !THRESHOLDS_MASK | THRESHOLDS);
        self.reset = Reset::PowerOff { since_ns: self.bus.now_ns() };
    }

    fn is_reset_done(&mut self) -> bool {
        let now_ns = self.bus.now_ns();
        let has_settled = |since_ns: u64| now_ns.wrapping_sub(since_ns) >= POWER_NS;
        match self.reset {
            Reset::PowerOff { since_ns } if has_settled(since_ns) => {
                self.bus.write(Register::Power, 1);
                self.reset = Reset::PowerOn { since_ns: now_ns };
            }
            Reset::PowerOn { since_ns } if has_settled(since_ns) => self.reset = Reset::Done,
            _ => {}
        }
        self.reset == Reset::Done
    }

    fn power_on(&mut self) {
        self.set_config(CONFIG_BUSY_STATUS | CONFIG_SLOW_CARD | CONFIG_WIDE_FIFO);
    }

    /// The clock cannot be taken away.
    fn stop_clock(&mut self) {}

    fn begin_clock(&mut self, hz_max: u32) -> u32 {
        let clock_hz = self.bus.firmware_clock_hz(hz_max).unwrap_or_else(|| self.set_divider(hz_max));
        // Half a second, in card clocks.
        self.bus.write(Register::Timeout, clock_hz / 2);
        clock_hz
    }

    fn is_clock_stable(&mut self) -> bool {
        true
    }

    fn start_clock(&mut self) {}

    fn set_bus_width(&mut self, width: BusWidth) {
        self.set_config(match width {
            BusWidth::One => self.config & !CONFIG_FOUR_LINES,
            BusWidth::Four => self.config | CONFIG_FOUR_LINES,
        });
    }

    /// There is no other timing to choose.
    fn set_high_speed(&mut self) {}

    fn command(&mut self, command: &Command) -> Result<Response, HostError> {
        let response = self.send(command, false)?;
        if command.response == ResponseKind::ShortBusy {
            self.wait_not_busy()?;
        }
        Ok(response)
    }

    fn read(&mut self, command: &Command, block_bytes: usize, destination: &mut [u8]) -> Result<Response, ReadFailure> {
        let at = |blocks_done| move |error| ReadFailure { blocks_done, error };
        let blocks = destination.len() / block_bytes.max(1);
        // Both fit: the caller's blocks have at most 512 bytes, and there are at most `BLOCKS_MAX`.
        self.bus.write(Register::BlockBytes, block_bytes as u32);
        self.bus.write(Register::BlockCount, blocks as u32);
        let response = self.send(command, true).map_err(at(0))?;
        for (blocks_done, block) in destination.chunks_exact_mut(block_bytes.max(1)).enumerate() {
            self.read_block(block).map_err(at(blocks_done))?;
        }
        let last = blocks.saturating_sub(1);
        if blocks > 1 {
            let stop = Command { index: STOP_TRANSMISSION, argument: 0, response: ResponseKind::ShortBusy };
            self.command(&stop).map_err(at(last))?;
        }
        self.finish_data().map_err(at(last))?;
        Ok(response)
    }

    fn read_bytes_max(&self, _destination: &[u8]) -> usize {
        BLOCKS_MAX * BLOCK_BYTES
    }

    fn mode(&self) -> Mode {
        Mode::ProgrammedInput
    }

    fn recover(&mut self) -> Result<(), HostError> {
        self.bus.write(Register::Command, 0);
        let debug = self.bus.read(Register::Debug);
        self.bus.write(Register::Debug, debug | Debug::FORCE_DATA_MODE);
        // What the FIFO still holds belongs to nobody.
        for _ in 0..FIFO_WORDS {
            if self.bus.read(Register::Debug) >> Debug::FIFO_SHIFT & Debug::FIFO_MASK == 0 {
                break;
            }
            self.bus.read(Register::Data);
        }
        self.bus.write(Register::Status, STATUS_ALL);
        self.wait_sent()
    }
}
