//! The system timer of the BCM2835 and its successors: a 64-bit counter of 1 MHz.
//!
//! "BCM2835 ARM Peripherals", chapter 12; "BCM2711 ARM Peripherals", chapter 10.

use super::mmio::Mmio;
use barellama_kernel::platform::ReferenceClock;
use tock_registers::interfaces::Readable;
use tock_registers::register_structs;
use tock_registers::registers::ReadOnly;

register_structs! {
    Registers {
        (0x00 => _control),
        /// CLO: lower half of the counter.
        (0x04 => counter_low: ReadOnly<u32>),
        /// CHI: upper half.
        (0x08 => counter_high: ReadOnly<u32>),
        (0x0C => @END),
    }
}

/// The system timer.
pub struct Bcm2835Timer {
    registers: Mmio<Registers>,
}

impl Bcm2835Timer {
    /// The system timer at `address`.
    ///
    /// # Safety
    /// Its registers are mapped at `address` for good.
    #[must_use]
    pub unsafe fn new(address: usize) -> Self {
        // SAFETY: as the caller says.
        Self { registers: unsafe { Mmio::new(address) } }
    }
}

impl ReferenceClock for Bcm2835Timer {
    fn now_us(&self) -> u64 {
        loop {
            let high = self.registers.counter_high.get();
            let low = self.registers.counter_low.get();
            // The lower half may have run over between the two reads.
            if self.registers.counter_high.get() == high {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }
}
