//! Registers that belong to EL0 and must not live on over a restart.

use core::arch::asm;
use core::fmt::{self, Write};

/// Sets FPCR, FPSR, TPIDR_EL0 and a vector register to a value (as far as their bits exist), then faults.
pub fn spoil(value: u64) {
    // SAFETY: this program computes with none of these registers, and the undefined instruction ends it.
    unsafe {
        asm!(
            "msr fpcr, {value}", "msr fpsr, {value}", "msr tpidr_el0, {value}", "dup v31.2d, {value}", "udf #0",
            value = in(reg) value, options(nostack)
        );
    }
}

/// What they hold now.
#[derive(Clone, Copy, Default)]
pub struct State {
    /// FPCR, FPSR, TPIDR_EL0, the low half of V31, and the sum of the flags (NZCV).
    pub values: [u64; 5],
}

impl State {
    /// Reads them on this core, before anything else ran on it.
    pub fn read() -> Self {
        let (fpcr, fpsr, tpidr, vector, flags);
        // SAFETY: registers are read, nothing is written.
        unsafe {
            asm!(
                "mrs {}, fpcr", "mrs {}, fpsr", "mrs {}, tpidr_el0", "fmov {}, d31", "mrs {}, nzcv",
                out(reg) fpcr, out(reg) fpsr, out(reg) tpidr, out(reg) vector, out(reg) flags, options(nomem, nostack)
            );
        }
        Self { values: [fpcr, fpsr, tpidr, vector, flags] }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [fpcr, fpsr, tpidr, vector, _] = self.values;
        write!(formatter, "FPCR {fpcr:x} FPSR {fpsr:x} TPIDR {tpidr:x} V31 {vector:x}")
    }
}

/// A short text on the stack; what does not fit is left out.
pub struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl Text {
    /// The text of some arguments.
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self { bytes: [0; 256], length: 0 };
        // Cannot fail: `write_str` takes everything.
        let _ = text.write_fmt(arguments);
        text
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}
