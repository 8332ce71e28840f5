//! An SD card and its controller in memory. It follows the card's state machine (SD Physical Layer 4.2, 4.3) and panics where a
//! real card would go astray without saying so: a command without clock, a block length that was never set, a bus of two minds.

use barellama_storage::host::{
    BusWidth, COMMAND_BYTES_MAX, Command, HostError, HostFault, Mode, ReadFailure, Response, ResponseKind, SdHost,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const BLOCK: usize = 512;
const ADDRESS: u32 = 0xB36F_0000;
const HIGH_CAPACITY: u32 = 1 << 30;
const POWERED_UP: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Absent,
    /// Before version 2.00: does not know CMD8, has no CMD6, one data line.
    VersionOne,
    Standard,
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle = 0,
    Ready = 1,
    Identification = 2,
    Standby = 3,
    Transfer = 4,
    Data = 5,
}

/// What a hand did to the slot since the card was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Untouched,
    Empty,
    /// The card that is in it now was never started: it has no address and answers to nothing but CMD0.
    Filled,
}

/// A block that cannot be read, for a number of times.
pub struct BadBlock {
    pub times: u32,
    pub fault: HostFault,
}

pub struct FakeCard {
    pub kind: Kind,
    pub image: Vec<u8>,
    /// How often ACMD41 is asked in vain.
    pub power_up_polls: u32,
    pub bad_blocks: BTreeMap<u32, BadBlock>,
    /// The card agrees to high speed and then delivers garbage.
    pub is_bad_at_high_speed: bool,
    pub refuses_high_speed: bool,
    /// A status that the answer to a command carries besides the state.
    pub status_of: BTreeMap<u8, u32>,
    pub never_resets: bool,
    pub never_has_clock: bool,
    /// (index, argument, blocks) of what was sent; application commands by their own index.
    pub log: Vec<(u8, u32, usize)>,
    pub recoveries: u32,
    /// Held by the test too: a card is pulled while somebody uses it.
    pub slot: Arc<Mutex<Slot>>,
    /// What the controller takes at once.
    pub read_bytes_max: usize,
    state: State,
    clock_hz: u32,
    has_clock: bool,
    is_application: bool,
    has_block_length: bool,
    card_width: u32,
    host_width: u32,
    is_fast: bool,
    needs_recovery: bool,
}

impl FakeCard {
    pub fn new(kind: Kind, image: Vec<u8>) -> Self {
        assert!(image.len().is_multiple_of(1024 * BLOCK), "the CSD counts units of 512 KiB");
        Self {
            kind,
            image,
            power_up_polls: 3,
            bad_blocks: BTreeMap::new(),
            is_bad_at_high_speed: false,
            refuses_high_speed: false,
            status_of: BTreeMap::new(),
            never_resets: false,
            never_has_clock: false,
            log: Vec::new(),
            recoveries: 0,
            slot: Arc::new(Mutex::new(Slot::Untouched)),
            read_bytes_max: COMMAND_BYTES_MAX,
            state: State::Idle,
            clock_hz: 0,
            has_clock: false,
            is_application: false,
            has_block_length: false,
            card_width: 1,
            host_width: 1,
            is_fast: false,
            needs_recovery: false,
        }
    }

    pub fn absent() -> Self {
        Self::new(Kind::Absent, Vec::new())
    }

    pub fn sent(&self, index: u8) -> usize {
        self.log.iter().filter(|entry| entry.0 == index).count()
    }

    fn error(fault: HostFault) -> HostError {
        HostError { fault, status: 0x8000 }
    }

    /// Fails as the controller does, which then wants its lines reset.
    fn fail<T>(&mut self, fault: HostFault) -> Result<T, HostError> {
        self.needs_recovery = true;
        Err(Self::error(fault))
    }

    /// Fails if nobody is there who knows the command.
    fn reach(&mut self, index: u8) -> Result<(), HostError> {
        let slot = Arc::clone(&self.slot);
        let mut slot = slot.lock().unwrap();
        match *slot {
            Slot::Filled if index == 0 => *slot = Slot::Untouched,
            Slot::Empty | Slot::Filled if index != 0 => return self.fail(HostFault::CommandTimeout),
            _ => {}
        }
        Ok(())
    }

    fn status(&self, index: u8) -> u32 {
        (self.state as u32) << 9 | self.status_of.get(&index).copied().unwrap_or(0)
    }

    fn register(value: u128) -> Response {
        Response { words: [0, 32, 64, 96].map(|shift| (value >> shift) as u32) }
    }

    fn csd(&self) -> Response {
        let blocks = (self.image.len() / BLOCK) as u128;
        Self::register(match self.kind {
            Kind::High => 1 << 126 | (blocks / 1024 - 1) << 48,
            // READ_BL_LEN 9, C_SIZE_MULT 7: units of 512 blocks.
            _ => 9 << 80 | (blocks / 512 - 1) << 62 | 7 << 47,
        })
    }

    fn expect(&mut self, state: State, index: u8) -> Result<(), HostError> {
        if self.state == state {
            return Ok(());
        }
        eprintln!("CMD{index} in state {:?}", self.state);
        self.fail(HostFault::CommandTimeout)
    }

    fn answer(&mut self, command: &Command) -> Result<Response, HostError> {
        let is_application = std::mem::take(&mut self.is_application);
        let index = command.index;
        let status = Response { words: [self.status(index), 0, 0, 0] };
        if self.kind == Kind::Absent && index != 0 {
            return self.fail(HostFault::CommandTimeout);
        }
        match index {
            0 => {
                self.state = State::Idle;
                self.card_width = 1;
                self.has_block_length = false;
                Ok(Response::default())
            }
            8 if self.kind == Kind::VersionOne => self.fail(HostFault::CommandTimeout),
            8 => Ok(Response { words: [command.argument, 0, 0, 0] }),
            55 => {
                self.is_application = true;
                Ok(status)
            }
            41 if is_application => Ok(self.power_up(command.argument)),
            2 => {
                self.expect(State::Ready, index)?;
                self.state = State::Identification;
                Ok(Self::register(0x0102_0304))
            }
            3 => {
                self.expect(State::Identification, index)?;
                self.state = State::Standby;
                Ok(Response { words: [ADDRESS | 0x500, 0, 0, 0] })
            }
            9 => {
                self.expect(State::Standby, index)?;
                assert_eq!(command.argument, ADDRESS);
                Ok(self.csd())
            }
            7 => {
                self.expect(State::Standby, index)?;
                assert_eq!(command.argument, ADDRESS);
                self.state = State::Transfer;
                Ok(status)
            }
            16 => {
                assert_eq!(command.argument, 512);
                self.has_block_length = true;
                Ok(status)
            }
            6 if is_application => {
                assert_ne!(self.kind, Kind::VersionOne, "the card has one line only");
                self.card_width = if command.argument == 2 { 4 } else { 1 };
                Ok(status)
            }
            12 => {
                self.expect(State::Data, index)?;
                self.state = State::Transfer;
                Ok(status)
            }
            13 => {
                assert_eq!(command.argument, ADDRESS);
                Ok(status)
            }
            _ => self.fail(HostFault::CommandTimeout),
        }
    }

    fn power_up(&mut self, argument: u32) -> Response {
        assert_ne!(argument & 0x00FF_8000, 0, "no voltage is offered");
        if self.power_up_polls > 0 {
            self.power_up_polls -= 1;
            return Response { words: [0x00FF_8000, 0, 0, 0] };
        }
        self.state = State::Ready;
        let is_high = self.kind == Kind::High;
        assert!(!is_high || argument & HIGH_CAPACITY != 0, "a large card needs a host that knows it");
        Response { words: [0x00FF_8000 | POWERED_UP | if is_high { HIGH_CAPACITY } else { 0 }, 0, 0, 0] }
    }

    /// Registers that are sent as data: SCR and switch status.
    fn register_data(&mut self, command: &Command, destination: &mut [u8]) -> Result<(), HostError> {
        if self.is_bad_at_high_speed && self.is_fast {
            return self.fail(HostFault::DataCrc);
        }
        match (command.index, destination.len()) {
            (51, 8) => {
                let scr: [u8; 2] = if self.kind == Kind::VersionOne { [0x00, 0x01] } else { [0x02, 0x35] };
                destination[..2].copy_from_slice(&scr);
                Ok(())
            }
            (6, 64) => {
                assert_ne!(self.kind, Kind::VersionOne, "the card does not know CMD6");
                destination.fill(0);
                destination[13] = if self.refuses_high_speed { 0b01 } else { 0b11 };
                destination[16] = if self.refuses_high_speed { 0xF } else { 1 };
                Ok(())
            }
            other => panic!("no such register: {other:?}"),
        }
    }

    fn blocks(&mut self, command: &Command, destination: &mut [u8]) -> Result<(), ReadFailure> {
        let before = |error| ReadFailure { blocks_done: 0, error };
        let count = destination.len() / BLOCK;
        assert_eq!(command.index, if count == 1 { 17 } else { 18 });
        assert!((1..=self.read_bytes_max / BLOCK).contains(&count));
        self.expect(State::Transfer, command.index).map_err(before)?;
        let first = if self.kind == Kind::High {
            command.argument
        } else {
            assert!(self.has_block_length, "CMD16 was not sent");
            assert!(command.argument.is_multiple_of(512), "not the address of a block");
            command.argument / 512
        };
        for (index, block) in destination.chunks_exact_mut(BLOCK).enumerate() {
            let lba = first + index as u32;
            if let Some(bad) = self.bad_blocks.get_mut(&lba)
                && bad.times > 0
            {
                bad.times -= 1;
                let fault = bad.fault;
                self.needs_recovery = true;
                self.state = if count > 1 { State::Data } else { State::Transfer };
                return Err(ReadFailure { blocks_done: index, error: Self::error(fault) });
            }
            let start = lba as usize * BLOCK;
            block.copy_from_slice(self.image.get(start..start + BLOCK).expect("behind the end of the card"));
        }
        Ok(())
    }
}

impl SdHost for FakeCard {
    fn name(&self) -> &'static str {
        "FAKE"
    }
    fn begin_reset(&mut self) {
        self.has_clock = false;
        self.is_fast = false;
        self.host_width = 1;
        self.needs_recovery = false;
    }
    fn is_reset_done(&mut self) -> bool {
        !self.never_resets
    }
    fn power_on(&mut self) {}
    fn stop_clock(&mut self) {
        self.has_clock = false;
    }
    fn begin_clock(&mut self, hz_max: u32) -> u32 {
        assert!(!self.has_clock, "the divider changes only while the card has no clock");
        self.clock_hz = hz_max;
        hz_max
    }
    fn is_clock_stable(&mut self) -> bool {
        !self.never_has_clock
    }
    fn start_clock(&mut self) {
        self.has_clock = true;
    }
    fn set_bus_width(&mut self, width: BusWidth) {
        self.host_width = if width == BusWidth::Four { 4 } else { 1 };
    }
    fn set_high_speed(&mut self) {
        self.is_fast = true;
    }
    fn command(&mut self, command: &Command) -> Result<Response, HostError> {
        assert!(self.has_clock, "CMD{} without clock", command.index);
        assert!(!self.needs_recovery, "CMD{} after an error without recovery", command.index);
        self.reach(command.index)?;
        let identifies = matches!(self.state, State::Idle | State::Ready | State::Identification);
        assert!(!identifies || command.index == 0 || self.clock_hz <= 400_000, "identification above 400 kHz");
        let is_unchecked = command.index == 41;
        assert_eq!(command.response == ResponseKind::ShortUnchecked, is_unchecked, "CMD{}", command.index);
        self.log.push((command.index, command.argument, 0));
        self.answer(command)
    }
    fn read(&mut self, command: &Command, block_bytes: usize, destination: &mut [u8]) -> Result<Response, ReadFailure> {
        assert!(self.has_clock && !self.needs_recovery);
        self.reach(command.index).map_err(|error| ReadFailure { blocks_done: 0, error })?;
        assert_eq!(self.card_width, self.host_width, "card and host use different lines");
        assert!(self.clock_hz <= 25_000_000 || self.is_fast);
        self.log.push((command.index, command.argument, destination.len() / block_bytes));
        if block_bytes == BLOCK {
            self.blocks(command, destination)?;
        } else {
            self.is_application = false;
            let result = self.register_data(command, destination);
            result.map_err(|error| ReadFailure { blocks_done: 0, error })?;
        }
        Ok(Response { words: [self.status(command.index), 0, 0, 0] })
    }
    fn read_bytes_max(&self, _destination: &[u8]) -> usize {
        self.read_bytes_max
    }
    fn mode(&self) -> Mode {
        Mode::ProgrammedInput
    }
    fn recover(&mut self) -> Result<(), HostError> {
        self.needs_recovery = false;
        self.recoveries += 1;
        Ok(())
    }
}
