//! The floor of a program at EL0: where it is entered, what the kernel told it, and system calls by `svc #0`. The engine and the tests'
//! programs that take its place stand on it.
#![no_std]

use core::arch::asm;
use core::sync::atomic::AtomicU32;

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{BOOT_INFO_ADDRESS, REQUEST_SLOT_BYTES, REQUEST_SLOTS, request_slot_address};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{Call, CallError, EmitKind, Phase};

/// Makes a function the entry of every core: `extern "C" fn(core: usize) -> !`. The stack pointer is set.
///
/// The linker script knows `_start`.
#[macro_export]
macro_rules! entry {
    ($enter:path) => {
        ::core::arch::global_asm!(
            ".pushsection .text._start, \"ax\"",
            ".global _start",
            ".type _start, %function",
            "_start:",
            "    b   {enter}",
            ".size _start, . - _start",
            ".popsection",
            enter = sym $enter,
        );
    };
}

/// Makes a call, also one that is not on the list, with what goes into `x0` to `x3`; gives `x0` and `x1`.
pub fn call(number: u64, arguments: [u64; 4]) -> (u64, u64) {
    let [x0, x1, x2, x3] = arguments;
    let (result, second);
    // SAFETY: the kernel preserves all registers but x0 and x1 (abi::syscall) and reads memory only where arguments say so; the
    // compiler assumes that memory is read and written.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") x0 => result, inlateout("x1") x1 => second, in("x2") x2, in("x3") x3, options(nostack));
    }
    (result, second)
}

fn checked((x0, x1): (u64, u64)) -> Result<(u64, u64), CallError> {
    CallError::from_register(x0).map_or(Ok((x0, x1)), Err)
}

fn address<T: ?Sized>(data: &T) -> u64 {
    core::ptr::from_ref(data).addr() as u64
}

/// What the kernel told before the first instruction.
#[must_use]
pub fn boot_info() -> BootInfo {
    // SAFETY: the kernel maps the page for the program and wrote the encoded structure there; it is written again only before the
    // next start.
    let bytes = unsafe { &*(BOOT_INFO_ADDRESS as *const [u8; BootInfo::BYTES]) };
    BootInfo::from_bytes(bytes)
}

/// Asks for a request, in one of the modes `WAIT_...`; gives its slot and its length in bytes.
///
/// # Errors
/// As the kernel answers: `WouldBlock` if there is none.
pub fn wait_for_work(mode: u64) -> Result<(usize, usize), CallError> {
    checked(call(Call::WaitForWork as u64, [mode, 0, 0, 0])).map(|(slot, length)| (slot as usize, length as usize))
}

/// The first bytes of a request's slot; none of a slot that does not exist.
///
/// # Safety
/// The kernel gave the slot by [`wait_for_work`], and what is returned is not used any more when the request was finished.
#[must_use]
pub unsafe fn request(slot: usize, length: usize) -> &'static [u8] {
    if slot >= REQUEST_SLOTS {
        return &[];
    }
    let length = length.min(REQUEST_SLOT_BYTES as usize);
    // SAFETY: the slot is mapped readable (abi::layout) and at least `length` long; the kernel does not write it while the caller holds
    // the request, as the caller says.
    unsafe { core::slice::from_raw_parts(request_slot_address(slot) as *const u8, length) }
}

/// Output of a request.
pub fn emit(request_id: u32, kind: EmitKind, bytes: &[u8]) {
    call(Call::Emit as u64, [u64::from(request_id), kind as u64, address(bytes), bytes.len() as u64]);
}

/// A line for the log ring; `level` is 1 (error) to 5 (trace).
pub fn log(level: u64, line: &[u8]) {
    call(Call::Log as u64, [level, address(line), line.len() as u64, 0]);
}

/// Nanoseconds since start, and instructions at EL0 of all cores.
#[must_use]
pub fn clock() -> (u64, u64) {
    call(Call::Clock as u64, [0; 4])
}

/// How far a request is.
pub fn progress(request_id: u32, phase: Phase, done: u64, total: u64) {
    call(Call::Progress as u64, [u64::from(request_id), phase as u64, done, total]);
}

/// Ends a request.
pub fn finish(request_id: u32, outcome: &Outcome) {
    let bytes = outcome.to_bytes();
    call(Call::Finish as u64, [u64::from(request_id), address(&bytes), 0, 0]);
}

/// Seals the model with a descriptor of that many bytes.
///
/// # Errors
/// As the kernel answers.
pub fn seal(descriptor_bytes: usize) -> Result<(), CallError> {
    checked(call(Call::Seal as u64, [descriptor_bytes as u64, 0, 0, 0])).map(|_| ())
}

/// Sleeps while the word has that value.
pub fn park(word: &AtomicU32, expected: u32) {
    call(Call::Park as u64, [address(word), u64::from(expected), 0, 0]);
}

/// Wakes parked cores.
pub fn wake(core_mask: u32) {
    call(Call::Wake as u64, [u64::from(core_mask), 0, 0, 0]);
}
