//! System calls by `svc #0`.

use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use barellama_abi::layout::{CONTROL_ADDRESS, REQUEST_SLOT_BYTES, REQUEST_SLOTS, request_slot_address};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{Call, CallError, EmitKind, Phase, WAIT_BLOCK, WAIT_POLL};
use barellama_engine::kernel_calls::{Kernel, Work};

/// The kernel below.
pub struct Syscalls;

/// Makes a call with the arguments in `x0` to `x3`; gives `x0` and `x1`.
fn call(number: Call, arguments: [u64; 4]) -> (u64, u64) {
    let [x0, x1, x2, x3] = arguments;
    let (result, second);
    // SAFETY: the kernel preserves all registers but x0 and x1 (abi::syscall) and reads memory only where arguments say so; the
    // compiler assumes that memory is read and written.
    unsafe {
        asm!("svc #0", in("x8") number as u64, inlateout("x0") x0 => result, inlateout("x1") x1 => second, in("x2") x2, in("x3") x3, options(nostack));
    }
    (result, second)
}

fn checked((x0, x1): (u64, u64)) -> Result<(u64, u64), CallError> {
    CallError::from_register(x0).map_or(Ok((x0, x1)), Err)
}

fn address<T: ?Sized>(data: &T) -> u64 {
    core::ptr::from_ref(data).addr() as u64
}

/// A line for the log ring; `level` is 1 (error) to 5 (trace).
pub fn log(level: u64, line: &[u8]) {
    call(Call::Log, [level, address(line), line.len() as u64, 0]);
}

impl Kernel for Syscalls {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        loop {
            match checked(call(Call::WaitForWork, [WAIT_BLOCK, 0, 0, 0])) {
                Ok((slot, length)) => return Ok(Work { slot: slot as usize, length: length as usize }),
                Err(CallError::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn poll_for_work(&self) -> Result<Work, CallError> {
        let (slot, length) = checked(call(Call::WaitForWork, [WAIT_POLL, 0, 0, 0]))?;
        Ok(Work { slot: slot as usize, length: length as usize })
    }

    fn read_request(&self, work: Work, request: &mut Vec<u8>) {
        request.clear();
        if work.slot >= REQUEST_SLOTS {
            return;
        }
        let length = work.length.min(REQUEST_SLOT_BYTES as usize);
        // SAFETY: the slot is mapped readable (abi::layout) and at least `length` long; the kernel does not write it while the
        // engine holds the request.
        let slot = unsafe { core::slice::from_raw_parts(request_slot_address(work.slot) as *const u8, length) };
        request.extend_from_slice(slot);
    }

    fn control(&self, slot: usize) -> u32 {
        let word = CONTROL_ADDRESS + 4 * slot.min(REQUEST_SLOTS - 1) as u64;
        // SAFETY: the control words are mapped, aligned and only ever accessed as atomics on this side.
        unsafe { AtomicU32::from_ptr(word as *mut u32) }.load(Ordering::Relaxed)
    }

    fn emit(&self, request_id: u32, kind: EmitKind, bytes: &[u8]) {
        call(Call::Emit, [u64::from(request_id), kind as u64, address(bytes), bytes.len() as u64]);
    }

    fn clock_ns(&self) -> u64 {
        call(Call::Clock, [0; 4]).0
    }

    fn instructions(&self) -> u64 {
        call(Call::Clock, [0; 4]).1
    }

    fn progress(&self, request_id: u32, phase: Phase, done: u64, total: u64) {
        call(Call::Progress, [u64::from(request_id), phase as u64, done, total]);
    }

    fn finish(&self, request_id: u32, outcome: &Outcome) {
        let bytes = outcome.to_bytes();
        call(Call::Finish, [u64::from(request_id), address(&bytes), 0, 0]);
    }

    fn seal(&self, length: usize) -> Result<(), CallError> {
        checked(call(Call::Seal, [length as u64, 0, 0, 0])).map(|_| ())
    }

    fn park(&self, word: &AtomicU32, expected: u32) {
        call(Call::Park, [address(word), u64::from(expected), 0, 0]);
    }

    fn wake(&self, core_mask: u32) {
        call(Call::Wake, [u64::from(core_mask), 0, 0, 0]);
    }
}
