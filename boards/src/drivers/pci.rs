//! Finds an SD controller on bus 0 of a PCI host and gives it an address (PCI Local Bus Specification 3.0, chapter 6).
//!
//! Enough for QEMU's `virt`, where nobody else uses PCI: no bridges, no interrupts, one base address.

use crate::drivers::mmio::Mmio;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::ReadWrite;

/// Bytes of the configuration of one bus in an enhanced configuration space (PCI Express 7.2.2).
pub const BUS_BYTES: u64 = 1 << 20;
/// The address that is given is a multiple of this; the registers of an SD controller take 256 bytes.
pub const PAGE: u32 = 4096;

const DEVICES: u32 = 32;
const DEVICE_SHIFT: u32 = 15;
const WORDS: usize = BUS_BYTES as usize / 4;

/// Offsets of words in the header (6.1).
const IDENTIFICATION: u32 = 0x00;
const COMMAND: u32 = 0x04;
const CLASS: u32 = 0x08;
const BASE_ADDRESS_0: u32 = 0x10;

const NO_VENDOR: u32 = 0xFFFF;
/// Base class 08 (system), sub-class 05 (SD host controller); the interface below tells with or without DMA.
const CLASS_SD_HOST: u32 = 0x0805;
/// Lower bits of a base address: memory, 32 bits, anywhere (6.2.5.1).
const BASE_KIND_MASK: u32 = 0b111;
const BASE_IS_MEMORY_32: u32 = 0;
/// The device answers at its memory addresses; the device may use memory (6.2.2).
const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_MASTER: u32 = 1 << 2;
/// The upper half of the word is the status, whose bits are cleared by writing 1.
const COMMAND_MASK: u32 = 0xFFFF;

/// The configuration words of a bus.
pub trait Configuration {
    /// Reads the word at a byte offset.
    fn read(&mut self, offset: u32) -> u32;
    /// Writes it.
    fn write(&mut self, offset: u32, value: u32);
}

/// The configuration of bus 0 in memory.
pub struct Bus0 {
    words: Mmio<[ReadWrite<u32>; WORDS]>,
}

impl Bus0 {
    /// The bus whose configuration appears at `address`.
    ///
    /// # Safety
    /// [`BUS_BYTES`] of configuration space are mapped at `address` for good as device memory, and nobody else uses them.
    #[must_use]
    pub unsafe fn new(address: usize) -> Self {
        // SAFETY: the caller says that so many words are there for good, and they are register cells.
        Self { words: unsafe { Mmio::new(address) } }
    }
}

impl Configuration for Bus0 {
    fn read(&mut self, offset: u32) -> u32 {
        self.words.get(offset as usize / 4).map_or(u32::MAX, Readable::get)
    }

    fn write(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get(offset as usize / 4) {
            word.set(value);
        }
    }
}

/// Lets the first SD controller of the bus appear at `address`, a multiple of [`PAGE`] in the host's memory window, and use memory.
/// Returns whether there is one.
pub fn place_sd_host(bus: &mut impl Configuration, address: u32) -> bool {
    let devices = (0..DEVICES).map(|device| device << DEVICE_SHIFT);
    let mut present =
        devices.filter(|&at| bus.read(at + IDENTIFICATION) & NO_VENDOR != NO_VENDOR).collect::<heapless::Vec<_, 32>>();
    present.retain(|&at| bus.read(at + CLASS) >> 16 == CLASS_SD_HOST);
    present.retain(|&at| bus.read(at + BASE_ADDRESS_0) & BASE_KIND_MASK == BASE_IS_MEMORY_32);
    let Some(&at) = present.first() else { return false };
    bus.write(at + BASE_ADDRESS_0, address);
    let command = bus.read(at + COMMAND) & COMMAND_MASK;
    bus.write(at + COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER);
    true
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    /// Words that are there; all others read as ones.
    struct FakeBus {
        words: BTreeMap<u32, u32>,
        writes: Vec<(u32, u32)>,
    }

    impl Configuration for FakeBus {
        fn read(&mut self, offset: u32) -> u32 {
            self.words.get(&offset).copied().unwrap_or(u32::MAX)
        }

        fn write(&mut self, offset: u32, value: u32) {
            self.writes.push((offset, value));
        }
    }

    fn device(number: u32, class: u32, base: u32) -> [(u32, u32); 4] {
        let at = number << 15;
        [(at, 0x0007_1B36), (at + 4, 0x0010_0001), (at + 8, class << 8 | 1), (at + 16, base)]
    }

    fn bus(devices: &[[(u32, u32); 4]]) -> FakeBus {
        FakeBus { words: devices.iter().flatten().copied().collect(), writes: vec![] }
    }

    #[test]
    fn the_sd_controller_gets_its_address_and_may_use_memory() {
        let mut bus = bus(&[device(0, 0x06_0000, 0), device(3, 0x08_0501, 0), device(4, 0x08_0501, 0)]);
        assert!(place_sd_host(&mut bus, 0x1000_0000));
        // The status in the upper half is not written back.
        assert_eq!(bus.writes, [(0x1_8010, 0x1000_0000), (0x1_8004, 0x0000_0007)]);
    }

    #[test]
    fn other_devices_are_left_alone() {
        let mut bus = bus(&[device(0, 0x06_0000, 0), device(1, 0x08_0501, 1), device(2, 0x08_0501, 0b100)]);
        assert!(!place_sd_host(&mut bus, 0x1000_0000), "a bridge, an I/O base, a base of 64 bits");
        assert!(bus.writes.is_empty());
    }
}
