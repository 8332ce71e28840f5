//! The system calls, as a trait, so that tests can put a fake kernel under the whole engine.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU32;

use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{CallError, EmitKind, Phase};

/// A request that lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The slot.
    pub slot: usize,
    /// Length of the request in bytes.
    pub length: usize,
}

/// What the engine asks of the kernel: see [`barellama_abi::syscall::Call`] for each call.
pub trait Kernel: Sync {
    /// Sleeps until a request is there.
    ///
    /// # Errors
    /// What the kernel says; then there will be no work.
    fn wait_for_work(&self) -> Result<Work, CallError>;

    /// The next request, if one waits.
    ///
    /// # Errors
    /// [`CallError::WouldBlock`] if none does.
    fn poll_for_work(&self) -> Result<Work, CallError>;

    /// Copies a request out of its slot, so that nobody else can change it.
    fn read_request(&self, work: Work, request: &mut Vec<u8>);

    /// The control word of a slot: [`barellama_abi::request::control`].
    fn control(&self, slot: usize) -> u32;

    /// Hands output to the kernel. `bytes` is at most [`barellama_abi::syscall::EMIT_BYTES_MAX`] long.
    fn emit(&self, request_id: u32, kind: EmitKind, bytes: &[u8]);

    /// Nanoseconds since the kernel started.
    fn clock_ns(&self) -> u64;

    /// Instructions that the engine executed on all cores since the kernel started; 0 if they are not counted. Core 0 only.
    fn instructions(&self) -> u64 {
        0
    }

    /// Says that a step was made.
    fn progress(&self, request_id: u32, phase: Phase, done: u64, total: u64);

    /// Ends a request.
    fn finish(&self, request_id: u32, outcome: &Outcome);

    /// Makes the model region read-only; the descriptor of `length` bytes lies at its end.
    ///
    /// # Errors
    /// What the kernel says.
    fn seal(&self, length: usize) -> Result<(), CallError>;

    /// Sleeps while `word` is `expected`; may return early.
    fn park(&self, word: &AtomicU32, expected: u32);

    /// Wakes the parked cores whose bit is set.
    fn wake(&self, core_mask: u32);
}
