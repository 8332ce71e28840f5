//! A channel of a DMA engine that reads a fake controller's data port into memory that is not coherent with it.

use super::fake::FakeBus;
use crate::drivers::bcm2835_dma::{CONTROL_BLOCK_BYTES, ChannelRegister};
use crate::drivers::sdhci::SdhciBus;
use crate::drivers::sdhci::registers::Register;
use std::vec::Vec;

pub const PORT_ADDRESS: u32 = 0x7E30_0020;
pub const REQUEST_LINE: u32 = 11;
const ACTIVE: u32 = 1 << 0;
const END: u32 = 1 << 1;
const ERROR: u32 = 1 << 8;
const RESET: u32 = 1 << 31;

/// How the next control block ends instead of well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelFailure {
    /// With an error of the engine.
    Error,
    /// Never.
    NoEnd,
}

#[derive(Default)]
pub struct FakeChannel {
    pub failure: Option<ChannelFailure>,
    /// How often it was reset.
    pub resets: u32,
    control: u32,
    block_address: u32,
}

impl FakeChannel {
    pub fn read(&self, register: ChannelRegister) -> u32 {
        match register {
            ChannelRegister::Control => self.control,
            other => panic!("nobody reads {other:?}"),
        }
    }

    /// Returns whether a control block is to be carried out.
    pub fn write(&mut self, register: ChannelRegister, value: u32) -> bool {
        match register {
            ChannelRegister::Debug => self.control &= !ERROR,
            ChannelRegister::ControlBlock => self.block_address = value,
            ChannelRegister::Control if value & RESET != 0 => {
                self.control = 0;
                self.resets += 1;
            }
            ChannelRegister::Control => {
                assert_eq!(self.control & ACTIVE, 0, "it still works for another read");
                self.control = self.control & !(value & END) | value & ACTIVE;
                return value & ACTIVE != 0;
            }
        }
        false
    }
}

impl FakeBus {
    pub fn carry_out_control_block(&mut self) {
        match self.channel.failure.take() {
            Some(ChannelFailure::Error) => return self.channel.control = ERROR,
            Some(ChannelFailure::NoEnd) => return,
            None => {}
        }
        let at = u64::from(self.channel.block_address) - self.bus_offset;
        assert!(at.is_multiple_of(CONTROL_BLOCK_BYTES as u64), "the lowest bits of the address do not count");
        let block: [u8; CONTROL_BLOCK_BYTES] = self.load(at);
        let words: Vec<u32> = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let [information, source, destination, bytes, 0, 0, 0, 0] = words[..] else { panic!("{words:x?}") };
        assert_eq!((information >> 16 & 31, source), (REQUEST_LINE, PORT_ADDRESS));
        let target = u64::from(destination) - self.bus_offset;
        for offset in (0..u64::from(bytes)).step_by(4) {
            // The controller does not ask for words that it does not have.
            if self.status >> 16 != 0 {
                return;
            }
            for (byte, at) in SdhciBus::read(self, Register::Data).to_le_bytes().into_iter().zip(target + offset..) {
                self.store(at, byte);
            }
        }
        self.channel.control = END;
    }
}
