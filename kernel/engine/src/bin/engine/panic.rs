//! A panic says what happened and stops the engine by a breakpoint, which the kernel reports as a fault.

use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use barellama_abi::syscall::LOG_BYTES_MAX;

/// A line on the stack: a panic must not need the heap.
struct Line {
    bytes: [u8; LOG_BYTES_MAX as usize],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.length;
        let cut = text.floor_char_boundary(room.min(text.len()));
        self.bytes[self.length..self.length + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.length += cut;
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut line = Line { bytes: [0; LOG_BYTES_MAX as usize], length: 0 };
    // Writing to the line cannot fail; what does not fit is cut off.
    let _ = write!(line, "engine: {info}");
    barellama_el0::log(1, &line.bytes[..line.length]);
    loop {
        // SAFETY: the breakpoint ends the engine; the kernel never comes back here.
        unsafe { asm!("brk #1", options(nomem, nostack)) };
    }
}
