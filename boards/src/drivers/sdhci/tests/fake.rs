//! A controller whose registers record every access, and memory that is not coherent with it.
//!
//! It panics where a real one would go wrong without saying so: writes too close to each other at the identification clock
//! (the first is lost), a clock that hangs the BCM2711, a divider changed under a running clock, a command on lines that were
//! not reset after an error, DMA into lines that a dirty cache may still write over.

use super::card::RegisterCard;
use super::fake_channel::FakeChannel;
use crate::drivers::bcm2835_dma::ChannelRegister;
use crate::drivers::dma::MasterMemory;
use crate::drivers::sdhci::registers::{
    BlockSizeCount, ClockReset, Control, PresentState, Register, Status, TransferCommand,
};
use crate::drivers::sdhci::{DmaBuffers, SdhciBus};
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;
use tock_registers::LocalRegisterCopy;

/// How long each look at the clock takes.
const TICK_NS: u64 = 20;
const LINE: usize = 64;
/// Linux: `min_clock` of the BCM2711's controller, which hangs at 100 kHz.
const CLOCK_MIN_HZ: u32 = 200_000;
const IDENTIFICATION_HZ: u32 = 400_000;
const GAP_MIN_NS: u64 = 10_000;
const RESETS: u32 = 0x0700_0000;
const LINE_RESETS: u32 = 0x0600_0000;
pub const ADMA2: u32 = 1 << 19;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub register: Register,
    pub value: u32,
    pub at_ns: u64,
}

/// What happened to memory, and when the command was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Clean(u64),
    CleanInvalidate(u64),
    Command(u8),
}

/// A cache line of memory as the controller sees it.
#[derive(Clone, Copy)]
pub struct Line {
    bytes: [u8; LINE],
    /// The controller wrote it, and the processor's cache does not know.
    is_news: bool,
}

pub struct FakeBus {
    pub time_ns: u64,
    pub writes: Vec<Write>,
    pub events: Vec<Event>,
    pub status: u32,
    pub clock: u32,
    pub control: u32,
    pub capabilities: u32,
    pub response: [u32; 4],
    pub base_clock_hz: u32,
    /// Errors that the next command ends with.
    pub errors: u32,
    /// Which block of a transfer fails, and how.
    pub block_errors: Option<(u32, u32)>,
    /// How the next DMA ends instead of well: its status, 0 for never.
    pub dma_failure: Option<u32>,
    /// The next DMA delivers other bytes.
    pub is_dma_wrong: bool,
    pub is_stuck: bool,
    pub present_state: u32,
    pub card: Option<RegisterCard>,
    pub data: VecDeque<u8>,
    pub blocks_begun: u32,
    pub transfer: u32,
    pub argument: u32,
    pub adma_address: u32,
    pub needs_recovery: bool,
    pub memory: BTreeMap<u64, Line>,
    /// Where the processor's memory lies for the controller: address, length, physical address.
    pub places: Vec<(usize, usize, u64)>,
    /// What the controller's addresses are ahead of the physical ones.
    pub bus_offset: u64,
    pub channel: FakeChannel,
}

impl Default for FakeBus {
    fn default() -> Self {
        Self {
            time_ns: 0,
            writes: Vec::new(),
            events: Vec::new(),
            status: 0,
            clock: 0,
            control: 0,
            capabilities: 0,
            response: [0; 4],
            base_clock_hz: 200_000_000,
            errors: 0,
            block_errors: None,
            dma_failure: None,
            is_dma_wrong: false,
            is_stuck: false,
            present_state: 0,
            card: None,
            data: VecDeque::new(),
            blocks_begun: 0,
            transfer: 0,
            argument: 0,
            adma_address: 0,
            needs_recovery: false,
            memory: BTreeMap::new(),
            places: Vec::new(),
            bus_offset: 0,
            channel: FakeChannel::default(),
        }
    }
}

impl FakeBus {
    pub fn values(&self, register: Register) -> Vec<u32> {
        self.writes.iter().filter(|write| write.register == register).map(|write| write.value).collect()
    }

    pub fn shortest_gap_ns(&self) -> u64 {
        let gaps = self.writes.windows(2).map(|pair| pair[1].at_ns - pair[0].at_ns);
        gaps.min().unwrap_or(u64::MAX)
    }

    /// Lets memory lie at a physical address.
    pub fn place<T: ?Sized>(&mut self, object: &T, physical: u64) {
        self.places.push((core::ptr::from_ref(object).cast::<u8>().addr(), size_of_val(object), physical));
    }

    /// Buffers for a driver, at a physical address.
    pub fn buffers(&mut self, physical: u64) -> &'static mut DmaBuffers {
        let buffers = Box::leak(Box::new(DmaBuffers::new()));
        self.place(buffers, physical);
        buffers
    }

    /// Rate of the card's clock, by the divider.
    fn card_clock_hz(&self) -> u32 {
        let clock = LocalRegisterCopy::<u32, ClockReset::Register>::new(self.clock);
        let divider = clock.read(ClockReset::DIVIDER_HIGH) << 8 | clock.read(ClockReset::DIVIDER_LOW);
        self.base_clock_hz / (2 * divider).max(1)
    }

    fn has_card_clock(&self) -> bool {
        LocalRegisterCopy::<u32, ClockReset::Register>::new(self.clock).is_set(ClockReset::CARD_ENABLE)
    }

    fn begin_block(&mut self) {
        self.blocks_begun += 1;
        match self.block_errors {
            Some((number, errors)) if number == self.blocks_begun => self.fail(errors),
            _ => self.status |= Status::READ_READY::SET.value,
        }
    }

    fn fail(&mut self, errors: u32) {
        self.status |= errors;
        self.needs_recovery |= self.card.is_some();
    }

    fn set_clock(&mut self, value: u32) {
        let (before, had_clock) = (self.card_clock_hz(), self.has_card_clock());
        // Resets end at once, a clock that is enabled is stable.
        self.clock = value & !RESETS | (value & 1) << 1;
        if value & LINE_RESETS == LINE_RESETS || value & RESETS == ClockReset::RESET_ALL::SET.value {
            self.needs_recovery = false;
        }
        let is_running = had_clock && self.has_card_clock();
        assert!(!is_running || before == self.card_clock_hz(), "the divider was changed under a running clock");
        assert!(!self.has_card_clock() || self.card_clock_hz() >= CLOCK_MIN_HZ, "{} Hz", self.card_clock_hz());
    }

    fn command(&mut self, value: u32) {
        let command = LocalRegisterCopy::<u32, TransferCommand::Register>::new(value);
        let index = command.read(TransferCommand::INDEX) as u8;
        self.events.push(Event::Command(index));
        assert!(!self.needs_recovery, "CMD{index} on lines that were not reset after an error");
        if self.is_stuck {
            return;
        }
        if let Some(errors) = Some(core::mem::take(&mut self.errors)).filter(|&errors| errors != 0) {
            self.status |= Status::COMMAND_COMPLETE::SET.value;
            return self.fail(errors);
        }
        let sizes = LocalRegisterCopy::<u32, BlockSizeCount::Register>::new(self.transfer);
        let (bytes, blocks) = (sizes.read(BlockSizeCount::BYTES), sizes.read(BlockSizeCount::BLOCKS));
        let has_data = command.is_set(TransferCommand::HAS_DATA);
        if let Some(card) = &mut self.card {
            assert!(has_data || index != 18, "CMD18 without data");
            let stops = command.matches_all(TransferCommand::AUTO_COMMAND::Stop);
            match card.answer(index, self.argument, if has_data { bytes * blocks } else { 0 }, stops) {
                Ok((response, data)) => (self.response, self.data) = (response, data.into()),
                Err(errors) => return self.fail(errors),
            }
        } else if has_data {
            // Words that count from 1.
            self.data = (1..=bytes * blocks / 4).flat_map(u32::to_le_bytes).collect();
        }
        self.status |= Status::COMMAND_COMPLETE::SET.value;
        if !has_data {
            return;
        }
        self.blocks_begun = 0;
        if command.is_set(TransferCommand::USES_DMA) { self.move_data() } else { self.begin_block() }
    }

    /// ADMA2 (SDHC 1.13): descriptors of 8 bytes.
    fn move_data(&mut self) {
        assert_eq!(self.control & 0b11000, Control::DMA::Adma2.value, "ADMA2 is not chosen");
        if let Some(status) = self.dma_failure.take() {
            return self.fail(status);
        }
        let mut at = u64::from(self.adma_address) - self.bus_offset;
        loop {
            let descriptor = u64::from_le_bytes(self.load(at));
            assert_eq!(descriptor & 0b11_1101, 0b10_0001, "not a valid descriptor that moves data");
            let address = (descriptor >> 32) - self.bus_offset;
            for offset in 0..descriptor >> 16 & 0xFFFF {
                let byte = self.data.pop_front().expect("the descriptors are for more than the blocks");
                self.store(address + offset, byte);
            }
            if descriptor & 0b10 != 0 {
                break;
            }
            at += 8;
        }
        assert!(self.data.is_empty(), "the descriptors are for less than the blocks");
        match self.block_errors {
            Some((_, errors)) => self.fail(errors),
            None => self.status |= Status::TRANSFER_COMPLETE::SET.value,
        }
    }

    pub fn load<const BYTES: usize>(&self, at: u64) -> [u8; BYTES] {
        let line = self.memory.get(&(at / LINE as u64)).expect("descriptors that were not cleaned to memory");
        let start = at as usize % LINE;
        line.bytes[start..start + BYTES].try_into().unwrap()
    }

    pub fn store(&mut self, at: u64, byte: u8) {
        let line = self.memory.get_mut(&(at / LINE as u64)).expect("a dirty line may be written back over this");
        line.bytes[at as usize % LINE] = if self.is_dma_wrong { !byte } else { byte };
        line.is_news = true;
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        let physical = self.physical(bytes).expect("memory that the controller does not know");
        assert!(physical.is_multiple_of(LINE as u64) && bytes.len().is_multiple_of(LINE), "not whole lines");
        physical
    }
}

impl SdhciBus for FakeBus {
    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::Status => self.status,
            Register::PresentState => self.present_state | PresentState::DAT0::SET.value,
            Register::ClockReset => self.clock,
            Register::Control => self.control,
            Register::Capabilities => self.capabilities,
            Register::Response0 => self.response[0],
            Register::Response1 => self.response[1],
            Register::Response2 => self.response[2],
            Register::Response3 => self.response[3],
            Register::Data => {
                let mut word = [0; 4];
                word.fill_with(|| self.data.pop_front().unwrap_or(0));
                let block_bytes = (self.transfer & 0xFFF).max(4) as usize;
                if self.data.is_empty() {
                    self.status |= Status::TRANSFER_COMPLETE::SET.value;
                } else if self.data.len().is_multiple_of(block_bytes) {
                    self.begin_block();
                }
                u32::from_le_bytes(word)
            }
            other => panic!("nobody reads {other:?}"),
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        if let Some(last) = self.writes.last()
            && self.has_card_clock()
            && self.card_clock_hz() <= IDENTIFICATION_HZ
        {
            assert!(
                self.time_ns - last.at_ns >= GAP_MIN_NS,
                "{:?} is lost: {register:?} follows too soon",
                last.register
            );
        }
        self.writes.push(Write { register, value, at_ns: self.time_ns });
        match register {
            Register::Status => self.status &= !value,
            Register::ClockReset => self.set_clock(value),
            Register::Control => self.control = value,
            Register::BlockSizeCount => self.transfer = value,
            Register::Argument => self.argument = value,
            Register::AdmaAddress => self.adma_address = value,
            Register::TransferCommand => self.command(value),
            _ => {}
        }
    }

    fn read_channel(&mut self, register: ChannelRegister) -> u32 {
        self.channel.read(register)
    }

    fn write_channel(&mut self, register: ChannelRegister, value: u32) {
        if self.channel.write(register, value) {
            self.carry_out_control_block();
        }
    }

    fn now_ns(&mut self) -> u64 {
        self.time_ns += TICK_NS;
        self.time_ns
    }
}

impl MasterMemory for FakeBus {
    fn physical(&self, bytes: &[u8]) -> Option<u64> {
        let start = bytes.as_ptr().addr();
        let holds = |&&(at, length, _): &&(usize, usize, u64)| start >= at && start + bytes.len() <= at + length;
        self.places.iter().find(holds).map(|&(at, _, physical)| physical + (start - at) as u64)
    }

    fn clean(&mut self, bytes: &[u8]) {
        let physical = self.lines(bytes);
        self.events.push(Event::Clean(physical));
        for (line, number) in bytes.chunks_exact(LINE).zip(physical / LINE as u64..) {
            self.memory.insert(number, Line { bytes: line.try_into().unwrap(), is_news: false });
        }
    }

    /// What the controller wrote appears only now.
    fn clean_invalidate(&mut self, bytes: &mut [u8]) {
        let physical = self.lines(bytes);
        self.events.push(Event::CleanInvalidate(physical));
        for (line, number) in bytes.chunks_exact_mut(LINE).zip(physical / LINE as u64..) {
            match self.memory.get(&number) {
                Some(news) if news.is_news => {
                    line.copy_from_slice(&news.bytes);
                    // Whoever lets the controller write again has to clean again.
                    self.memory.remove(&number);
                }
                _ => {
                    self.memory.insert(number, Line { bytes: (&*line).try_into().unwrap(), is_news: false });
                }
            }
        }
    }
}
