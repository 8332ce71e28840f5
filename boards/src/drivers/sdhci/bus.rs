//! How the driver reaches its registers and the time: memory-mapped words, or a fake in tests.

use super::registers::Register;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::ReadWrite;

/// Words from the base to the end of the registers that are used.
const WORDS: usize = 0x40 / 4;

/// The registers and the clock. There is no access of less than 32 bits: the controllers of the BCM chips mangle narrower
/// ones, and a write of half of a pair of registers goes wrong on them.
pub trait SdhciBus: Send {
    /// Reads a word.
    fn read(&mut self, register: Register) -> u32;
    /// Writes a word.
    fn write(&mut self, register: Register, value: u32);
    /// A monotonic clock, in nanoseconds.
    fn now_ns(&mut self) -> u64;

    /// Reads a block, whose length is a multiple of 4, from the data port.
    fn read_data(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(4) {
            word.copy_from_slice(&self.read(Register::Data).to_le_bytes());
        }
    }
}

/// The controller in memory.
pub struct MmioBus {
    words: &'static [ReadWrite<u32>; WORDS],
    clock: fn() -> u64,
}

// SAFETY: the words are device memory that is mapped the same on every core; `new` makes this value the only one that
// accesses them, and all access goes through `&mut self`.
unsafe impl Send for MmioBus {}

impl MmioBus {
    /// The controller whose registers begin at the virtual address `base`; `clock` is a monotonic clock in nanoseconds.
    ///
    /// # Safety
    /// 1. `base` is 4-byte aligned and mapped as device memory, readable and writable, for 64 bytes and for ever;
    /// 2. nothing else accesses these registers while the value lives.
    pub unsafe fn new(base: usize, clock: fn() -> u64) -> Self {
        // SAFETY: by 1. the address is valid for 16 words for ever; `ReadWrite` allows what the device changes by itself.
        let words = unsafe { &*core::ptr::with_exposed_provenance::<[ReadWrite<u32>; WORDS]>(base) };
        Self { words, clock }
    }

    fn word(&self, register: Register) -> &ReadWrite<u32> {
        // In bounds: the last register lies at 0x3C.
        &self.words[register as usize / 4]
    }
}

impl SdhciBus for MmioBus {
    #[inline]
    fn read(&mut self, register: Register) -> u32 {
        self.word(register).get()
    }

    #[inline]
    fn write(&mut self, register: Register, value: u32) {
        self.word(register).set(value);
    }

    fn now_ns(&mut self) -> u64 {
        (self.clock)()
    }
}
