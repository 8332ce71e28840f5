//! The few system calls that the comparison needs.

use core::arch::asm;
use core::fmt;
use core::sync::atomic::AtomicU32;

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{BOOT_INFO_ADDRESS, REQUEST_SLOT_BYTES, request_slot_address};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{Call, EmitKind, WAIT_BLOCK};

fn call(number: Call, arguments: [u64; 4]) -> (u64, u64) {
    let [mut x0, mut x1, x2, x3] = arguments;
    // SAFETY: the kernel preserves every register but x0 and x1 and reads memory of this program that the arguments name.
    unsafe {
        asm!("svc #0", in("x8") number as u64, inout("x0") x0, inout("x1") x1, in("x2") x2, in("x3") x3, options(nostack));
    }
    (x0, x1)
}

/// What the kernel told before the first instruction.
pub fn boot_info() -> BootInfo {
    // SAFETY: the kernel maps the page for the engine and wrote the structure there; it is written again only before the
    // next start.
    let bytes = unsafe { &*(BOOT_INFO_ADDRESS as *const [u8; BootInfo::BYTES]) };
    BootInfo::from_bytes(bytes)
}

/// Seals the model with a descriptor of that many bytes.
pub fn seal(bytes: u64) {
    call(Call::Seal, [bytes, 0, 0, 0]);
}

/// Waits for a request; its bytes.
pub fn wait_for_work() -> &'static [u8] {
    let (slot, length) = call(Call::WaitForWork, [WAIT_BLOCK, 0, 0, 0]);
    let length = length.min(REQUEST_SLOT_BYTES) as usize;
    // SAFETY: the slot lies in the shared pages, and the kernel does not write to it while the request is in our hands.
    unsafe { core::slice::from_raw_parts(request_slot_address(slot as usize) as *const u8, length) }
}

/// The text of the answer to a request.
pub struct Answer {
    /// The request.
    pub id: u32,
}

impl fmt::Write for Answer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let arguments = [u64::from(self.id), EmitKind::Text as u64, text.as_ptr() as u64, text.len() as u64];
        call(Call::Emit, arguments);
        Ok(())
    }
}

/// Ends a request.
pub fn finish(id: u32, outcome: &Outcome) {
    let bytes = outcome.to_bytes();
    call(Call::Finish, [u64::from(id), bytes.as_ptr() as u64, 0, 0]);
}

/// Parks on a word that never changes.
pub fn sleep_for_ever() -> ! {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    loop {
        call(Call::Park, [NEVER.as_ptr() as u64, 0, 0, 0]);
    }
}
