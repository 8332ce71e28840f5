//! Reset and power-down by the power manager's watchdog (BCM2835 and later).
//!
//! Not in the public datasheet; registers as in Linux drivers/watchdog/bcm2835_wdt.c.

use crate::drivers::mmio::Mmio;
use barellama_arch::{interrupts, semihosting};
use barellama_kernel::platform::Power;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::ReadWrite;

register_structs! {
    /// The registers that are used.
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    Registers {
        (0x00 => _reserved_0),
        (0x1C => reset_control: ReadWrite<u32>),
        (0x20 => reset_status: ReadWrite<u32>),
        (0x24 => watchdog: ReadWrite<u32>),
        (0x28 => @END),
    }
}

/// Every write carries this in the upper byte.
const PASSWORD: u32 = 0x5A00_0000;
const PASSWORD_BITS: u32 = 0xFF00_0000;
/// 16 ticks are 0.24 ms.
const RESET_TICKS: u32 = 10;
const CONFIGURATION: u32 = 0x30;
const FULL_RESET: u32 = 0x20;
/// The bits 0, 2, 4, 6, 8, 10 name the partition to boot from; 63 means: halt.
const PARTITION: u32 = 0x555;

/// Reset and power-down of a Raspberry Pi.
pub struct Bcm2835Power {
    registers: Mmio<Registers>,
    is_emulator: bool,
}

impl Bcm2835Power {
    /// The power manager whose registers appear at `address`. An emulator is ended by semihosting.
    ///
    /// # Safety
    /// The registers are mapped at `address` for good, and nobody else drives them.
    #[must_use]
    pub unsafe fn new(address: usize, is_emulator: bool) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        Self { registers: unsafe { Mmio::new(address) }, is_emulator }
    }

    /// Whether a halt ends an emulator.
    #[must_use]
    pub const fn is_emulator(&self) -> bool {
        self.is_emulator
    }

    fn reset(&self, partition: u32) -> ! {
        interrupts::disable();
        let registers = &self.registers;
        let status = registers.reset_status.get() & !PARTITION & !PASSWORD_BITS;
        registers.reset_status.set(PASSWORD | status | partition);
        registers.watchdog.set(PASSWORD | RESET_TICKS);
        let control = registers.reset_control.get() & !CONFIGURATION & !PASSWORD_BITS;
        registers.reset_control.set(PASSWORD | control | FULL_RESET);
        loop {
            interrupts::wait_for_interrupt();
        }
    }
}

impl Power for Bcm2835Power {
    fn reboot(&self) -> ! {
        self.reset(0)
    }

    fn halt(&self, status: u32) -> ! {
        if self.is_emulator {
            // Returns if the emulator does not listen.
            semihosting::exit(status);
        }
        self.reset(PARTITION)
    }
}
