//! Misbehaviour while the model is prepared and while the engine starts.
//!
//! What to do is read from memory that lives longer than the engine: the model file, in which a test left a mark behind the magic, and
//! the arena, which no restart cleans.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_abi::layout::{ARENA_BASE, MODEL_BASE};
use barellama_abi::syscall::Call;

use crate::{attack, calls};

/// Behind the GGUF magic and version.
const MARK_ADDRESS: u64 = MODEL_BASE + 8;
const FAULT: u64 = u64::from_le_bytes(*b"FAULTNOW");
const ONCE: u64 = u64::from_le_bytes(*b"FAULTONE");
const LOOP: u64 = u64::from_le_bytes(*b"LOOPCALL");
/// Words of the arena that nothing else uses: how many starts shall fault, and whether one did.
const FAULTS_TO_COME: u64 = ARENA_BASE + 0x10_0000;
const HAS_FAULTED: u64 = FAULTS_TO_COME + 8;

fn word(address: u64) -> &'static AtomicU64 {
    // SAFETY: aligned words of the model (readable) and of the arena (writable, used for nothing else) that stay mapped.
    unsafe { &*(address as *const AtomicU64) }
}

/// Does what was asked for, if anything.
pub fn begin() {
    let faults = word(FAULTS_TO_COME).load(Ordering::Relaxed);
    if (1..=16).contains(&faults) {
        word(FAULTS_TO_COME).store(faults - 1, Ordering::Relaxed);
        attack::give_up();
    }
    match word(MARK_ADDRESS).load(Ordering::Relaxed) {
        FAULT => attack::give_up(),
        ONCE if word(HAS_FAULTED).swap(ONCE, Ordering::Relaxed) != ONCE => attack::give_up(),
        LOOP => loop {
            calls::call(Call::Progress as u64, [0, 0, 1, 2]);
        },
        _ => {}
    }
}

/// Lets the next starts fault, as many as the text says; the first right now.
pub fn fault_at_start(text: &str) {
    word(FAULTS_TO_COME).store(text.parse().unwrap_or(1), Ordering::Relaxed);
    attack::give_up();
}
