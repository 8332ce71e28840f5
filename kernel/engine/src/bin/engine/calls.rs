//! The kernel below, as the library sees it.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use barellama_abi::layout::{CONTROL_ADDRESS, REQUEST_SLOTS};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{CallError, EmitKind, Phase, WAIT_BLOCK, WAIT_POLL};
use barellama_engine::kernel_calls::{Kernel, Work};

/// The kernel below.
pub struct Syscalls;

impl Kernel for Syscalls {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        loop {
            match barellama_el0::wait_for_work(WAIT_BLOCK) {
                Ok((slot, length)) => return Ok(Work { slot, length }),
                Err(CallError::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn poll_for_work(&self) -> Result<Work, CallError> {
        barellama_el0::wait_for_work(WAIT_POLL).map(|(slot, length)| Work { slot, length })
    }

    fn read_request(&self, work: Work, request: &mut Vec<u8>) {
        request.clear();
        // SAFETY: the kernel gave the slot, and the engine finishes the request later than it copies it here.
        request.extend_from_slice(unsafe { barellama_el0::request(work.slot, work.length) });
    }

    fn control(&self, slot: usize) -> u32 {
        let word = CONTROL_ADDRESS + 4 * slot.min(REQUEST_SLOTS - 1) as u64;
        // SAFETY: the control words are mapped, aligned and only ever accessed as atomics on this side.
        unsafe { AtomicU32::from_ptr(word as *mut u32) }.load(Ordering::Relaxed)
    }

    fn emit(&self, request_id: u32, kind: EmitKind, bytes: &[u8]) {
        barellama_el0::emit(request_id, kind, bytes);
    }

    fn clock_ns(&self) -> u64 {
        barellama_el0::clock().0
    }

    fn instructions(&self) -> u64 {
        barellama_el0::clock().1
    }

    fn progress(&self, request_id: u32, phase: Phase, done: u64, total: u64) {
        barellama_el0::progress(request_id, phase, done, total);
    }

    fn finish(&self, request_id: u32, outcome: &Outcome) {
        barellama_el0::finish(request_id, outcome);
    }

    fn seal(&self, length: usize) -> Result<(), CallError> {
        barellama_el0::seal(length)
    }

    fn park(&self, word: &AtomicU32, expected: u32) {
        barellama_el0::park(word, expected);
    }

    fn wake(&self, core_mask: u32) {
        barellama_el0::wake(core_mask);
    }
}
