//! GPIO of the BCM2711: "BCM2711 ARM Peripherals", chapter 5.

use crate::drivers::mmio::Mmio;
use barellama_arch::interrupts;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadWrite, WriteOnly};

register_structs! {
    /// The registers (5.2).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    Registers {
        (0x00 => function: [ReadWrite<u32>; 6]),
        (0x18 => _reserved_0),
        (0x1C => set: [WriteOnly<u32>; 2]),
        (0x24 => _reserved_1),
        (0x28 => clear: [WriteOnly<u32>; 2]),
        (0x30 => _reserved_2),
        (0xD0 => slot_route: ReadWrite<u32>),
        (0xD4 => _reserved_3),
        (0xE4 => pull: [ReadWrite<u32>; 4]),
        (0xF4 => @END),
    }
}

/// What a pin does (GPFSELn).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Function {
    /// Input.
    Input = 0,
    /// Output.
    Output = 1,
    /// Alternative function 0.
    Alternative0 = 4,
}

/// The resistor of a pin (GPIO_PUP_PDN_CNTRL_REGn).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Pull {
    /// None.
    None = 0,
    /// To the supply.
    Up = 1,
}

/// Bit of the undocumented register at 0xD0 that connects the card slot to the legacy controller instead of EMMC2.
const SLOT_TO_LEGACY: u32 = 1 << 1;

/// The pins of a BCM2711.
pub struct Bcm2711Gpio {
    registers: Mmio<Registers>,
}

impl Bcm2711Gpio {
    /// The pins whose registers appear at `address`.
    ///
    /// # Safety
    /// The registers are mapped at `address` for good, and nobody else drives them.
    #[must_use]
    pub unsafe fn new(address: usize) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        Self { registers: unsafe { Mmio::new(address) } }
    }

    /// Chooses what a pin does. Pins that do not exist are ignored, here and below.
    pub fn set_function(&self, pin: usize, function: Function) {
        if let Some(register) = self.registers.function.get(pin / 10) {
            replace(register, pin % 10 * 3, 0b111, function as u32);
        }
    }

    /// Chooses a pin's resistor.
    pub fn set_pull(&self, pin: usize, pull: Pull) {
        if let Some(register) = self.registers.pull.get(pin / 16) {
            replace(register, pin % 16 * 2, 0b11, pull as u32);
        }
    }

    /// Drives an output pin high.
    pub fn set(&self, pin: usize) {
        if let Some(register) = self.registers.set.get(pin / 32) {
            register.set(1 << (pin % 32));
        }
    }

    /// Drives an output pin low.
    pub fn clear(&self, pin: usize) {
        if let Some(register) = self.registers.clear.get(pin / 32) {
            register.set(1 << (pin % 32));
        }
    }

    /// Connects the card slot to EMMC2.
    pub fn route_slot_to_emmc2(&self) {
        let route = self.registers.slot_route.get();
        self.registers.slot_route.set(route & !SLOT_TO_LEGACY);
    }
}

/// Changes some bits; no interrupt handler may come in between.
fn replace(register: &ReadWrite<u32>, shift: usize, mask: u32, value: u32) {
    let _masked = interrupts::mask();
    register.set(register.get() & !(mask << shift) | value << shift);
}
