//! How the driver reaches its registers, the time and memory: memory-mapped words, or a fake in tests.

use super::registers::Register;
use crate::drivers::bcm2835_dma::{CHANNEL_BYTES, ChannelRegister};
use crate::drivers::dma::MasterMemory;
use crate::drivers::mmio::Mmio;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::ReadWrite;

/// Words from the base to the end of the registers that are used.
const WORDS: usize = 0x5C / 4;

/// The registers, the clock, and memory as the controller sees it. There is no access of less than 32 bits: the controllers of the BCM chips mangle narrower
/// ones, and a write of half of a pair of registers goes wrong on them.
pub trait SdhciBus: MasterMemory + Send {
    /// Reads a word.
    fn read(&mut self, register: Register) -> u32;
    /// Writes a word.
    fn write(&mut self, register: Register, value: u32);
    /// Reads a register of the DMA engine's channel that moves this controller's data.
    fn read_channel(&mut self, register: ChannelRegister) -> u32;
    /// Writes one.
    fn write_channel(&mut self, register: ChannelRegister, value: u32);
    /// A monotonic clock, in nanoseconds.
    fn now_ns(&mut self) -> u64;

    /// Reads a block, whose length is a multiple of 4, from the data port.
    fn read_data(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(4) {
            word.copy_from_slice(&self.read(Register::Data).to_le_bytes());
        }
    }
}

/// What the kernel knows of time and memory.
#[derive(Clone, Copy)]
pub struct KernelServices {
    /// A monotonic clock in nanoseconds.
    pub now_ns: fn() -> u64,
    /// Physical address of bytes that lie next to each other there too.
    pub physical: fn(&[u8]) -> Option<u64>,
    /// Cleans the cache lines of an address and a length; complete before the next access.
    pub clean: fn(usize, usize),
    /// Cleans and invalidates them; behind all accesses before, complete before the next one.
    pub clean_invalidate: fn(usize, usize),
}

/// The controller in memory.
pub struct MmioBus {
    words: Mmio<[ReadWrite<u32>; WORDS]>,
    channel: Option<Mmio<[ReadWrite<u32>; CHANNEL_BYTES / 4]>>,
    kernel: KernelServices,
}

impl MmioBus {
    /// The controller whose registers begin at the virtual address `base`, and the channel of a DMA engine that moves its data, if
    /// there is one.
    ///
    /// # Safety
    /// 1. `base` is 4-byte aligned and mapped as device memory, readable and writable, for 92 bytes and for ever, and so is `channel`
    ///    for 36 bytes;
    /// 2. nothing else accesses these registers while the value lives.
    pub unsafe fn new(base: usize, channel: Option<usize>, kernel: KernelServices) -> Self {
        // SAFETY: by 1. the words are mapped for good, and they are register cells.
        let (words, channel) = unsafe { (Mmio::new(base), channel.map(|channel| Mmio::new(channel))) };
        Self { words, channel, kernel }
    }

    fn word(&self, register: Register) -> &ReadWrite<u32> {
        // In bounds: the last register lies at 0x58.
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

    /// Without a channel nothing ever ends, and the driver gives it up.
    fn read_channel(&mut self, register: ChannelRegister) -> u32 {
        // In bounds: the last register lies at 0x20.
        self.channel.as_ref().map_or(0, |channel| channel[register as usize / 4].get())
    }

    fn write_channel(&mut self, register: ChannelRegister, value: u32) {
        if let Some(channel) = &self.channel {
            channel[register as usize / 4].set(value);
        }
    }

    fn now_ns(&mut self) -> u64 {
        (self.kernel.now_ns)()
    }
}

impl MasterMemory for MmioBus {
    fn physical(&self, bytes: &[u8]) -> Option<u64> {
        (self.kernel.physical)(bytes)
    }

    fn clean(&mut self, bytes: &[u8]) {
        (self.kernel.clean)(bytes.as_ptr().addr(), bytes.len());
    }

    fn clean_invalidate(&mut self, bytes: &mut [u8]) {
        // Of a pointer that may write: the compiler has to take for granted that the bytes change behind the call.
        (self.kernel.clean_invalidate)(bytes.as_mut_ptr().expose_provenance(), bytes.len());
    }
}
