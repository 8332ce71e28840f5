//! System calls.

use core::arch::asm;

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{BOOT_INFO_ADDRESS, REQUEST_SLOT_BYTES, request_slot_address};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{Call, EmitKind, WAIT_BLOCK};

/// Any call, also one that does not exist.
pub fn call(number: u64, arguments: [u64; 4]) -> (u64, u64) {
    let [mut x0, mut x1, x2, x3] = arguments;
    // SAFETY: the kernel preserves every register but x0 and x1; what it writes through passed addresses is memory of
    // this program that is not borrowed at the time.
    unsafe {
        asm!("svc #0", in("x8") number, inout("x0") x0, inout("x1") x1, in("x2") x2, in("x3") x3, options(nostack));
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
    call(Call::Seal as u64, [bytes, 0, 0, 0]);
}

/// Waits for a request; its bytes.
pub fn wait_for_work() -> &'static [u8] {
    let (slot, length) = call(Call::WaitForWork as u64, [WAIT_BLOCK, 0, 0, 0]);
    let length = length.min(REQUEST_SLOT_BYTES) as usize;
    // SAFETY: the slot lies in the shared pages, and the kernel does not write to it while the request is in our hands.
    unsafe { core::slice::from_raw_parts(request_slot_address(slot as usize) as *const u8, length) }
}

/// Emits output of a request.
pub fn emit(id: u32, kind: EmitKind, bytes: &[u8]) {
    call(Call::Emit as u64, [u64::from(id), kind as u64, bytes.as_ptr() as u64, bytes.len() as u64]);
}

/// Ends a request.
pub fn finish(id: u32, outcome: &Outcome) {
    let bytes = outcome.to_bytes();
    call(Call::Finish as u64, [u64::from(id), bytes.as_ptr() as u64, 0, 0]);
}

/// Sleeps while the word has that value.
pub fn park(word: &core::sync::atomic::AtomicU32, expected: u32) {
    call(Call::Park as u64, [word.as_ptr() as u64, u64::from(expected), 0, 0]);
}

/// Wakes parked cores.
pub fn wake(core_mask: u64) {
    call(Call::Wake as u64, [core_mask, 0, 0, 0]);
}
