//! PrimeCell UART (PL011): "PrimeCell UART (PL011) Technical Reference Manual", Arm DDI 0183.

use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! [
    u32,
    /// Data register (3.3.1): a byte, and on reading what was wrong with it.
    DATA [
        /// The byte.
        BYTE OFFSET(0) NUMBITS(8) [],
        /// The stop bit was missing.
        FRAMING_ERROR OFFSET(8) NUMBITS(1) [],
        /// The parity bit was wrong.
        PARITY_ERROR OFFSET(9) NUMBITS(1) [],
        /// The line was low for longer than a character.
        BREAK OFFSET(10) NUMBITS(1) [],
        /// The FIFO was full when more came.
        OVERRUN OFFSET(11) NUMBITS(1) []
    ],
    /// Flag register (3.3.3).
    FLAG [
        /// Bytes are on their way out.
        BUSY OFFSET(3) NUMBITS(1) [],
        /// The receive FIFO is empty.
        RECEIVE_EMPTY OFFSET(4) NUMBITS(1) [],
        /// The transmit FIFO is full.
        TRANSMIT_FULL OFFSET(5) NUMBITS(1) []
    ],
    /// Line control register (3.3.7).
    LINE_CONTROL [
        /// FIFOs on.
        FIFO_ENABLE OFFSET(4) NUMBITS(1) [],
        /// Bits of a character.
        WORD_LENGTH OFFSET(5) NUMBITS(2) [
            EightBits = 3
        ]
    ],
    /// Control register (3.3.8).
    CONTROL [
        /// The whole UART.
        ENABLE OFFSET(0) NUMBITS(1) [],
        /// The transmitter.
        TRANSMIT_ENABLE OFFSET(8) NUMBITS(1) [],
        /// The receiver.
        RECEIVE_ENABLE OFFSET(9) NUMBITS(1) []
    ],
    /// Interrupt FIFO level select register (3.3.9).
    FIFO_LEVEL [
        /// Transmit interrupt when no more than this is left.
        TRANSMIT OFFSET(0) NUMBITS(3) [
            OneQuarter = 1
        ],
        /// Receive interrupt when this is full.
        RECEIVE OFFSET(3) NUMBITS(3) [
            OneQuarter = 1
        ]
    ],
    /// Interrupt mask set/clear register (3.3.10), and the raw status (3.3.11) and clear registers (3.3.13) of the same layout.
    INTERRUPT [
        /// The receive FIFO has reached its level.
        RECEIVE OFFSET(4) NUMBITS(1) [],
        /// The transmit FIFO has fallen to its level.
        TRANSMIT OFFSET(5) NUMBITS(1) [],
        /// Bytes wait, and no more came for 32 bit times.
        RECEIVE_TIMEOUT OFFSET(6) NUMBITS(1) [],
        /// Overrun.
        OVERRUN OFFSET(10) NUMBITS(1) [],
        /// All of them, for clearing.
        ALL OFFSET(0) NUMBITS(11) []
    ]
];

register_structs! {
    /// The registers (3.2).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    pub Registers {
        (0x00 => data: ReadWrite<u32, DATA::Register>),
        (0x04 => _reserved_0),
        (0x18 => flag: ReadOnly<u32, FLAG::Register>),
        (0x1C => _reserved_1),
        (0x24 => integer_divisor: WriteOnly<u32>),
        (0x28 => fractional_divisor: WriteOnly<u32>),
        (0x2C => line_control: WriteOnly<u32, LINE_CONTROL::Register>),
        (0x30 => control: WriteOnly<u32, CONTROL::Register>),
        (0x34 => fifo_level: WriteOnly<u32, FIFO_LEVEL::Register>),
        (0x38 => interrupt_mask: ReadWrite<u32, INTERRUPT::Register>),
        (0x3C => interrupt_raw: ReadOnly<u32, INTERRUPT::Register>),
        (0x40 => _reserved_2),
        (0x44 => interrupt_clear: WriteOnly<u32, INTERRUPT::Register>),
        (0x48 => @END),
    }
}

/// The divisor in 64ths that comes closest to a rate (3.3.6): 16 clocks per bit.
#[must_use]
pub const fn divisor_64ths(clock_hz: u32, baud: u32) -> u32 {
    let baud = if baud == 0 { 1 } else { baud as u64 };
    let divisor = (clock_hz as u64 * 4 + baud / 2) / baud;
    // IBRD 1..=65535; at 65535 the fraction must be 0.
    if divisor < 64 {
        64
    } else if divisor > 65535 * 64 {
        65535 * 64
    } else {
        divisor as u32
    }
}

/// The rate that a divisor gives, in bit/s.
#[must_use]
pub const fn baud_of(clock_hz: u32, divisor_64ths: u32) -> u32 {
    (clock_hz as u64 * 4 / divisor_64ths as u64) as u32
}

#[cfg(target_os = "none")]
pub use driver::Pl011;

#[cfg(target_os = "none")]
mod driver {
    use super::*;
    use crate::drivers::mmio::Mmio;
    use barellama_arch::{interrupts, timer};
    use barellama_kernel::platform::{Console, ReceivedByte};
    use core::sync::atomic::{AtomicU32, Ordering};
    use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

    /// 32 bytes at 300 bit/s take 1.1 s; then the line is taken for stuck.
    const DRAIN_TIMEOUT_NS: u64 = 1_500_000_000;
    const DEFAULT_CLOCK_HZ: u32 = 48_000_000;

    /// A PL011.
    pub struct Pl011 {
        registers: Mmio<Registers>,
        clock_hz: AtomicU32,
    }

    impl Pl011 {
        /// The UART whose registers appear at `address`. It works as the firmware left it until [`Self::start`].
        ///
        /// # Safety
        /// The registers of a PL011 are mapped at `address` for good, and nobody else drives it.
        #[must_use]
        pub unsafe fn new(address: usize) -> Self {
            // SAFETY: the caller says that the registers are there for good; all fields are register cells.
            let registers = unsafe { Mmio::new(address) };
            Self { registers, clock_hz: AtomicU32::new(DEFAULT_CLOCK_HZ) }
        }

        /// Sets rate and format (8N1, FIFOs on), and receive interrupts. Returns the rate reached, in bit/s.
        pub fn start(&self, clock_hz: u32, baud: u32) -> u32 {
            self.clock_hz.store(clock_hz, Ordering::Relaxed);
            self.set_baud(baud);
            self.nearest_baud(baud)
        }

        /// Writes a byte, waiting for room: for reports, from any context.
        pub fn write_blocking(&self, byte: u8) {
            let start = timer::now_ns();
            while !self.transmit(byte) && timer::now_ns().saturating_sub(start) < DRAIN_TIMEOUT_NS {
                core::hint::spin_loop();
            }
        }

        /// Programs the UART in the order that the manual asks for: off, divisors, then LCR_H, which takes them over (3.3.7).
        fn program(&self, divisor_64ths: u32) {
            let registers = &self.registers;
            registers.control.set(0);
            registers.interrupt_mask.set(0);
            registers.interrupt_clear.write(INTERRUPT::ALL.val(0x7FF));
            registers.integer_divisor.set(divisor_64ths / 64);
            registers.fractional_divisor.set(divisor_64ths % 64);
            registers.line_control.write(LINE_CONTROL::FIFO_ENABLE::SET + LINE_CONTROL::WORD_LENGTH::EightBits);
            registers.fifo_level.write(FIFO_LEVEL::TRANSMIT::OneQuarter + FIFO_LEVEL::RECEIVE::OneQuarter);
            registers
                .interrupt_mask
                .write(INTERRUPT::RECEIVE::SET + INTERRUPT::RECEIVE_TIMEOUT::SET + INTERRUPT::OVERRUN::SET);
            registers
                .control
                .write(CONTROL::ENABLE::SET + CONTROL::TRANSMIT_ENABLE::SET + CONTROL::RECEIVE_ENABLE::SET);
        }
    }

    impl Console for Pl011 {
        fn receive(&self) -> Option<ReceivedByte> {
            if self.registers.flag.is_set(FLAG::RECEIVE_EMPTY) {
                return None;
            }
            let data = self.registers.data.extract();
            let byte = data.read(DATA::BYTE) as u8;
            Some(if data.is_set(DATA::BREAK) {
                ReceivedByte::Break
            } else if data.is_set(DATA::FRAMING_ERROR) || data.is_set(DATA::PARITY_ERROR) {
                ReceivedByte::Damaged
            } else if data.is_set(DATA::OVERRUN) {
                ReceivedByte::AfterOverrun(byte)
            } else {
                ReceivedByte::Byte(byte)
            })
        }

        fn transmit(&self, byte: u8) -> bool {
            if self.registers.flag.is_set(FLAG::TRANSMIT_FULL) {
                return false;
            }
            self.registers.data.write(DATA::BYTE.val(u32::from(byte)));
            true
        }

        /// The interrupt comes when the FIFO *falls* to its level: fill the FIFO first (2.8.2).
        fn set_transmit_interrupt(&self, is_wanted: bool) {
            // The register is read and written back; the interrupt handler does so too.
            let _masked = interrupts::mask();
            self.registers.interrupt_mask.modify(INTERRUPT::TRANSMIT.val(u32::from(is_wanted)));
        }

        /// Between the two accesses an overrun may be cleared unseen; the byte behind it carries its mark even so.
        fn clear_interrupts(&self) -> bool {
            let has_overrun = self.registers.interrupt_raw.is_set(INTERRUPT::OVERRUN);
            self.registers.interrupt_clear.write(INTERRUPT::ALL.val(0x7FF));
            has_overrun
        }

        fn nearest_baud(&self, baud: u32) -> u32 {
            let clock_hz = self.clock_hz.load(Ordering::Relaxed);
            baud_of(clock_hz, divisor_64ths(clock_hz, baud))
        }

        fn set_baud(&self, baud: u32) {
            let divisor = divisor_64ths(self.clock_hz.load(Ordering::Relaxed), baud);
            self.flush();
            let _masked = interrupts::mask();
            let is_transmit_wanted = self.registers.interrupt_mask.is_set(INTERRUPT::TRANSMIT);
            self.program(divisor);
            self.set_transmit_interrupt(is_transmit_wanted);
        }

        fn flush(&self) {
            let start = timer::now_ns();
            while self.registers.flag.is_set(FLAG::BUSY) && timer::now_ns().saturating_sub(start) < DRAIN_TIMEOUT_NS {
                core::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_those_of_known_boards() {
        assert_eq!(divisor_64ths(48_000_000, 115_200), 26 * 64 + 3);
        assert_eq!(divisor_64ths(48_000_000, 921_600), 3 * 64 + 16);
        assert_eq!(divisor_64ths(44_000_000, 115_200), 23 * 64 + 56);
        assert_eq!(divisor_64ths(3_000_000, 115_200), 64 + 40);
    }

    #[test]
    fn impossible_rates_are_cut() {
        assert_eq!(baud_of(48_000_000, divisor_64ths(48_000_000, 10_000_000)), 3_000_000);
        assert_eq!(divisor_64ths(48_000_000, 0), 65535 * 64);
    }

    #[test]
    fn the_reached_rate_is_near_the_wanted_one() {
        assert_eq!(baud_of(48_000_000, divisor_64ths(48_000_000, 921_600)), 923_076);
    }
}
