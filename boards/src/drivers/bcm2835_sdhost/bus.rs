//! How the driver reaches its registers, the time, the slot and the firmware.

use super::registers::Register;
use crate::drivers::mmio::Mmio;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::ReadWrite;

/// Words from the base to the end of the registers that are used.
const WORDS: usize = 0x54 / 4;

/// The registers and what lies around them.
pub trait SdhostBus: Send {
    /// Reads a word.
    fn read(&mut self, register: Register) -> u32;
    /// Writes a word.
    fn write(&mut self, register: Register, value: u32);
    /// A monotonic clock, in nanoseconds.
    fn now_ns(&mut self) -> u64;
    /// Connects the card slot with this controller.
    fn connect_slot(&mut self);
    /// Lets the firmware set the divider for at most `hz_max`; the rate that it chose, `None` if it does not do so.
    fn firmware_clock_hz(&mut self, hz_max: u32) -> Option<u32>;
}

/// What the board does for the controller.
#[derive(Clone, Copy)]
pub struct SdhostServices {
    /// A monotonic clock in nanoseconds.
    pub now_ns: fn() -> u64,
    /// See [`SdhostBus::connect_slot`].
    pub connect_slot: fn(),
    /// See [`SdhostBus::firmware_clock_hz`].
    pub firmware_clock_hz: fn(u32) -> Option<u32>,
}

/// The controller in memory.
pub struct MmioSdhost {
    words: Mmio<[ReadWrite<u32>; WORDS]>,
    services: SdhostServices,
}

impl MmioSdhost {
    /// The controller whose registers begin at the virtual address `base`.
    ///
    /// # Safety
    /// 1. `base` is 4-byte aligned and mapped as device memory, readable and writable, for 84 bytes and for ever;
    /// 2. nothing else accesses these registers while the value lives.
    pub unsafe fn new(base: usize, services: SdhostServices) -> Self {
        // SAFETY: by 1. the words are mapped for good, and they are register cells.
        Self { words: unsafe { Mmio::new(base) }, services }
    }
}

impl SdhostBus for MmioSdhost {
    #[inline]
    fn read(&mut self, register: Register) -> u32 {
        // In bounds: the last register lies at 0x50.
        self.words[register as usize / 4].get()
    }

    #[inline]
    fn write(&mut self, register: Register, value: u32) {
        // In bounds: the last register lies at 0x50.
        self.words[register as usize / 4].set(value);
    }

    fn now_ns(&mut self) -> u64 {
        (self.services.now_ns)()
    }

    fn connect_slot(&mut self) {
        (self.services.connect_slot)();
    }

    fn firmware_clock_hz(&mut self, hz_max: u32) -> Option<u32> {
        (self.services.firmware_clock_hz)(hz_max)
    }
}
