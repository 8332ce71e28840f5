//! Instructions and system registers that EL0 has no business with, by the text that the assembler knows them by.

use core::arch::asm;

use crate::attack::Seen;

/// A line of cache that `dc` and `ic` may have.
#[repr(align(64))]
struct Line([u8; 64]);

macro_rules! instructions {
    ($($text:literal,)*) => {
        /// Executes one of them.
        pub fn run(name: &str) -> Seen {
            let line = Line([0; 64]);
            let mut operand = line.0.as_ptr() as u64;
            match name {
                $($text => {
                    // SAFETY: the instruction traps or is undefined at EL0; if it did neither the test would fail. Its only
                    // operand is a register of ours with the address of `line`.
                    unsafe { asm!($text, "/* {x} */", x = inout(reg) operand) }
                })*
                _ => return Seen::Unknown,
            }
            core::hint::black_box((operand, &line));
            Seen::Unnoticed
        }
    };
}

include!(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.in"));
