//! The driver against registers that behave as Linux's driver says the controller does.

use super::registers::{CommandWord, State};
use super::*;
use barellama_storage::block::BlockReader;
use barellama_storage::card::{CardInfo, CardStep, SdCard};
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

/// How long each look at the clock takes.
const TICK_NS: u64 = 1_000_000;
const BLOCKS: usize = 1024;
const ADDRESS: u32 = 0x1234_0000;
const TRANSFER_STATE: u32 = 4 << 9;
const CORE_HZ: u32 = 400_000_000;

/// The controller, and a card of high capacity behind it.
struct FakeSdhost {
    time_ns: u64,
    writes: Vec<(Register, u32, u64)>,
    commands: Vec<u8>,
    connections: u32,
    registers: [u32; 21],
    data: VecDeque<u8>,
    is_application: bool,
    has_card: bool,
    /// The firmware chooses the divider.
    has_firmware: bool,
    /// CRC error in this block, counted from 1.
    bad_block: Option<usize>,
    blocks_done: usize,
    busy_never_ends: bool,
}

impl FakeSdhost {
    fn new() -> Self {
        let mut registers = [0; 21];
        // What the controller has after power-on: full thresholds.
        registers[Register::Debug as usize / 4] = 0x0000_C60F;
        Self {
            time_ns: 0,
            writes: vec![],
            commands: vec![],
            connections: 0,
            registers,
            data: VecDeque::new(),
            is_application: false,
            has_card: true,
            has_firmware: false,
            bad_block: None,
            blocks_done: 0,
            busy_never_ends: false,
        }
    }

    fn register(&mut self, register: Register) -> &mut u32 {
        &mut self.registers[register as usize / 4]
    }

    fn values(&self, register: Register) -> Vec<u32> {
        self.writes.iter().filter(|write| write.0 == register).map(|write| write.1).collect()
    }

    fn set_state(&mut self, state: u32) {
        let debug = self.register(Register::Debug);
        *debug = *debug & !Debug::STATE_MASK | state;
    }

    fn command(&mut self, word: u32) {
        let debug = *self.register(Register::Debug);
        assert_eq!(debug & THRESHOLDS_MASK, THRESHOLDS, "the FIFO's thresholds are not 4");
        let config = *self.register(Register::Config);
        assert_ne!(config & CONFIG_WIDE_FIFO, 0, "the FIFO is narrow");
        let index = (word & 0x3F) as u8;
        let argument = *self.register(Register::Argument);
        self.commands.push(index);
        let is_application = core::mem::take(&mut self.is_application);
        let bytes = *self.register(Register::BlockBytes) * *self.register(Register::BlockCount);
        let mut words = [0; 4];
        if self.has_card {
            words[0] = match index {
                0 => 0,
                8 => argument,
                41 if is_application => 0xC0FF_8000,
                3 => ADDRESS,
                55 => {
                    self.is_application = true;
                    1 << 5
                }
                _ => TRANSFER_STATE,
            };
        }
        if index == 9 {
            let csd = 1_u128 << 126 | (BLOCKS as u128 / 1024 - 1) << 48 | 0x55;
            words = [0, 32, 64, 96].map(|shift| (csd >> shift) as u32);
        }
        for (at, word) in words.into_iter().enumerate() {
            self.registers[Register::Response0 as usize / 4 + at] = word;
        }
        if index == 41 {
            // R3 has no checksum; the controller complains.
            *self.register(Register::Status) |= Status::COMMAND_CRC::SET.value;
            *self.register(Register::Command) |= CommandWord::FAILED::SET.value;
        }
        if word & CommandWord::WAITS_BUSY::SET.value != 0 && config & CONFIG_BUSY_STATUS != 0 && !self.busy_never_ends {
            *self.register(Register::Status) |= Status::BUSY_END::SET.value;
        }
        if index == STOP_TRANSMISSION {
            self.set_state(State::DATA);
        }
        if word & CommandWord::READS::SET.value != 0 {
            self.blocks_done = 0;
            self.data = match (index, is_application) {
                (51, true) => vec![0x02, 0x35, 0, 0, 0, 0, 0, 0],
                (6, false) => {
                    let mut status = vec![0; 64];
                    (status[13], status[16]) = (0b11, 1);
                    status
                }
                (17 | 18, _) => content()[argument as usize * 512..][..bytes as usize].to_vec(),
                other => panic!("no data for {other:?}"),
            }
            .into();
            self.set_state(State::READS[0]);
        }
    }
}

fn content() -> Vec<u8> {
    (0..BLOCKS as u32 * 128).flat_map(|word| word.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect()
}

impl SdhostBus for FakeSdhost {
    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::Debug => {
                let words = (self.data.len() / WORD_BYTES).min(FIFO_WORDS as usize) as u32;
                *self.register(Register::Debug) & !(Debug::FIFO_MASK << Debug::FIFO_SHIFT) | words << Debug::FIFO_SHIFT
            }
            Register::Data => {
                let mut word = [0; 4];
                word.fill_with(|| self.data.pop_front().expect("the FIFO is empty"));
                let block_bytes = *self.register(Register::BlockBytes) as usize;
                if self.data.len().is_multiple_of(block_bytes) {
                    self.blocks_done += 1;
                    if self.bad_block == Some(self.blocks_done) {
                        *self.register(Register::Status) |= Status::DATA_CRC::SET.value;
                    }
                    // Behind the last block it waits for another one.
                    if self.data.is_empty() {
                        self.set_state(State::READ_WAIT);
                    }
                }
                u32::from_le_bytes(word)
            }
            other => *self.register(other),
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        self.writes.push((register, value, self.time_ns));
        match register {
            Register::Status => *self.register(register) &= !value,
            Register::Command => {
                *self.register(register) = value & !CommandWord::NEW::SET.value;
                if value & CommandWord::NEW::SET.value != 0 {
                    self.command(value);
                }
            }
            Register::Debug => {
                *self.register(register) = value & !Debug::FORCE_DATA_MODE;
                if value & Debug::FORCE_DATA_MODE != 0 {
                    self.set_state(State::DATA);
                }
            }
            other => *self.register(other) = value,
        }
    }

    fn now_ns(&mut self) -> u64 {
        self.time_ns += TICK_NS;
        self.time_ns
    }

    fn connect_slot(&mut self) {
        self.connections += 1;
    }

    fn firmware_clock_hz(&mut self, hz_max: u32) -> Option<u32> {
        self.has_firmware.then_some(hz_max - hz_max / 10)
    }
}

fn card(spoil: impl FnOnce(&mut FakeSdhost)) -> SdCard<Bcm2835Sdhost<FakeSdhost>> {
    let mut bus = FakeSdhost::new();
    spoil(&mut bus);
    SdCard::new(Bcm2835Sdhost::new(bus, CORE_HZ))
}

/// Steps until it ends, a millisecond each.
fn step(card: &mut SdCard<Bcm2835Sdhost<FakeSdhost>>) -> CardStep {
    for step in 0..3000 {
        match card.step(step * 1_000_000) {
            CardStep::Busy => {}
            end => return end,
        }
    }
    panic!("the start does not end");
}

fn start(card: &mut SdCard<Bcm2835Sdhost<FakeSdhost>>) -> CardInfo {
    match step(card) {
        CardStep::Ready(info) => info,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_starts_at_high_speed_with_four_lines() {
    let mut card = card(|_| {});
    let info = start(&mut card);
    assert!(info.has_four_lines && info.is_high_speed && info.is_high_capacity, "{info}");
    assert_eq!((info.clock_hz, info.block_count), (50_000_000, BLOCKS as u32));
    let bus = card.into_host().bus;
    assert_eq!(bus.commands, [0, 8, 55, 41, 2, 3, 9, 7, 55, 51, 55, 6, 6, 6, 55, 51]);
    // 400 MHz by 1000, 16 and 8, each less 2; in front the reset. Timeouts of half a second.
    assert_eq!(bus.values(Register::ClockDivider), [0, 998, 14, 6]);
    assert_eq!(bus.values(Register::Timeout)[1..], [200_000, 12_500_000, 25_000_000]);
    assert_eq!(bus.values(Register::Config).last(), Some(&0x40E));
}

#[test]
fn power_goes_off_and_on_with_ten_milliseconds_each() {
    let mut card = card(|_| {});
    start(&mut card);
    let bus = card.into_host().bus;
    assert_eq!((bus.connections, bus.writes[0].0), (1, Register::Power), "off comes first");
    let at = |wanted: fn(&&(Register, u32, u64)) -> bool| bus.writes.iter().find(wanted).unwrap().2;
    let off = at(|write| write.0 == Register::Power && write.1 == 0);
    let on = at(|write| write.0 == Register::Power && write.1 == 1);
    let configured = at(|write| write.0 == Register::Config && write.1 != 0);
    assert!(on - off >= POWER_NS && configured - on >= POWER_NS, "{off} {on} {configured}");
}

#[test]
fn the_firmware_chooses_the_divider_where_it_does() {
    let mut card = card(|bus| bus.has_firmware = true);
    assert_eq!(start(&mut card).clock_hz, 45_000_000);
    assert_eq!(card.into_host().bus.values(Register::ClockDivider), [0], "only the reset writes it");
}

#[test]
fn many_blocks_are_read_in_parts_each_with_its_stop() {
    let mut card = card(|_| {});
    start(&mut card);
    let mut bytes = vec![0; 600 * 512];
    card.read_blocks(100, &mut bytes).unwrap();
    assert_eq!(bytes, content()[100 * 512..][..600 * 512]);
    let bus = card.into_host().bus;
    assert_eq!(bus.commands[bus.commands.len() - 6..], [18, 12, 18, 12, 18, 12]);
    let counts = bus.values(Register::BlockCount);
    assert_eq!(counts[counts.len() - 3..], [256, 256, 88]);
}

#[test]
fn behind_one_block_the_machine_is_told_that_there_is_no_more() {
    let mut card = card(|_| {});
    start(&mut card);
    card.read_blocks(5, &mut [0; 512]).unwrap();
    let bus = card.into_host().bus;
    assert_eq!(bus.commands.last(), Some(&17));
    assert_ne!(bus.values(Register::Debug).last().unwrap() & Debug::FORCE_DATA_MODE, 0);
}

#[test]
fn a_bad_block_is_named_and_read_again() {
    let mut card = card(|_| {});
    start(&mut card);
    let mut host = card.into_host();
    host.bus.bad_block = Some(3);
    let read = Command { index: 18, argument: 0, response: ResponseKind::Short };
    let failure = host.read(&read, 512, &mut vec![0; 8 * 512]).unwrap_err();
    assert_eq!((failure.blocks_done, failure.error.fault), (2, HostFault::DataCrc));
    host.recover().unwrap();
    assert!(host.bus.data.len() <= 5 * 512 - FIFO_WORDS as usize * WORD_BYTES, "the FIFO was emptied");
    assert_eq!(*host.bus.register(Register::Status), 0);
}

#[test]
fn an_empty_slot_answers_with_zeros_and_is_no_card() {
    let mut card = card(|bus| bus.has_card = false);
    assert_eq!(step(&mut card), CardStep::Failed(barellama_storage::card::error::CardError::NoCard));
}

#[test]
fn busy_that_does_not_end_is_told() {
    let mut host = Bcm2835Sdhost::new(FakeSdhost::new(), CORE_HZ);
    host.begin_reset();
    host.power_on();
    host.bus.busy_never_ends = true;
    let select = Command { index: 7, argument: ADDRESS, response: ResponseKind::ShortBusy };
    assert_eq!(host.command(&select).unwrap_err().fault, HostFault::DataTimeout);
}
