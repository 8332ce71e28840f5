//! GPIO of the Raspberry Pis 3 and 4: "BCM2835 ARM Peripherals", chapter 6; "BCM2711 ARM Peripherals", chapter 5.
//!
//! Functions and levels are the same in both; the resistors are not.

use crate::drivers::mmio::Mmio;
use barellama_arch::{interrupts, timer};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadWrite, WriteOnly};

register_structs! {
    /// The registers (BCM2835 6.1, BCM2711 5.2).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    Registers {
        (0x00 => function: [ReadWrite<u32>; 6]),
        (0x18 => _reserved_0),
        (0x1C => set: [WriteOnly<u32>; 2]),
        (0x24 => _reserved_1),
        (0x28 => clear: [WriteOnly<u32>; 2]),
        (0x30 => _reserved_2),
        (0x94 => pull_mode: ReadWrite<u32>),
        (0x98 => pull_clock: [ReadWrite<u32>; 2]),
        (0xA0 => _reserved_3),
        (0xD0 => slot_route: ReadWrite<u32>),
        (0xD4 => _reserved_4),
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
    /// Alternative function 3.
    Alternative3 = 7,
}

/// The resistor of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// None.
    None,
    /// To the supply.
    Up,
}

/// How resistors are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullControl {
    /// BCM2835 to BCM2837: a mode is clocked into the pins that are marked (GPPUD, GPPUDCLKn).
    Clocked,
    /// BCM2711: two bits per pin (GPIO_PUP_PDN_CNTRL_REGn).
    PerPin,
}

/// Bit of the undocumented register at 0xD0 that connects the card slot to the legacy controller instead of EMMC2 (BCM2711).
const SLOT_TO_LEGACY: u32 = 1 << 1;
/// The manual asks for 150 cycles of set-up and hold time (6.1, GPPUDCLKn).
const PULL_CLOCK_NS: u64 = 5_000;

/// The pins.
pub struct BcmGpio {
    registers: Mmio<Registers>,
    pull_control: PullControl,
}

impl BcmGpio {
    /// The pins whose registers appear at `address`.
    ///
    /// # Safety
    /// The registers are mapped at `address` for good, and nobody else drives them.
    #[must_use]
    pub unsafe fn new(address: usize, pull_control: PullControl) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        Self { registers: unsafe { Mmio::new(address) }, pull_control }
    }

    /// Chooses what a pin does. Pins that do not exist are ignored, here and below.
    pub fn set_function(&self, pin: usize, function: Function) {
        if let Some(register) = self.registers.function.get(pin / 10) {
            replace(register, pin % 10 * 3, 0b111, function as u32);
        }
    }

    /// Chooses a pin's resistor.
    pub fn set_pull(&self, pin: usize, pull: Pull) {
        match self.pull_control {
            PullControl::Clocked => self.clock_pull(pin, pull),
            PullControl::PerPin => {
                if let Some(register) = self.registers.pull.get(pin / 16) {
                    replace(register, pin % 16 * 2, 0b11, if pull == Pull::Up { 1 } else { 0 });
                }
            }
        }
    }

    /// The sequence of BCM2835 6.1: mode, wait, clock, wait, both off.
    fn clock_pull(&self, pin: usize, pull: Pull) {
        let Some(clock) = self.registers.pull_clock.get(pin / 32) else { return };
        self.registers.pull_mode.set(if pull == Pull::Up { 2 } else { 0 });
        timer::spin_ns(PULL_CLOCK_NS);
        clock.set(1 << (pin % 32));
        timer::spin_ns(PULL_CLOCK_NS);
        self.registers.pull_mode.set(0);
        clock.set(0);
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

    /// Connects the card slot of a BCM2711 to EMMC2.
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
