//! Misbehaviour while the model is prepared and while the engine starts.
//!
//! What to do is read from memory that lives longer than the engine: the model file, in which a test left a mark behind the magic, and
//! the arena, which no restart cleans.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use barellama_abi::layout::{ARENA_BASE, ARRIVED_ADDRESS, ARRIVED_ALL, MODEL_BASE};
use barellama_abi::syscall::Phase;

use crate::attack;

/// Behind the GGUF magic and version.
const MARK_ADDRESS: u64 = MODEL_BASE + 8;
const FAULT: u64 = u64::from_le_bytes(*b"FAULTNOW");
const ONCE: u64 = u64::from_le_bytes(*b"FAULTONE");
const EARLY: u64 = u64::from_le_bytes(*b"FAULTSOO");
const LOOP: u64 = u64::from_le_bytes(*b"LOOPCALL");
/// Words of the arena that nothing else uses: how many starts shall fault, and whether one did.
const FAULTS_TO_COME: u64 = ARENA_BASE + 0x10_0000;
const HAS_FAULTED: u64 = FAULTS_TO_COME + 8;

fn word(address: u64) -> &'static AtomicU64 {
    // SAFETY: aligned words of the model (readable) and of the arena (writable, used for nothing else) that stay mapped.
    unsafe { &*(address as *const AtomicU64) }
}

/// Asks the kernel to seal the model, with a descriptor of any length. What it says does not matter here.
pub fn seal() {
    let _ = barellama_el0::seal(16);
}

/// Seals the model before it is there, which must be refused, and waits for it; faults in between if that was asked for.
fn wait_for_file() {
    // SAFETY: an aligned word of the shared pages, which stay mapped.
    let arrived = unsafe { &*(ARRIVED_ADDRESS as *const AtomicU32) };
    loop {
        let seen = arrived.load(Ordering::Acquire);
        if seen == ARRIVED_ALL {
            break;
        }
        seal();
        if seen > 0 && word(MARK_ADDRESS).load(Ordering::Relaxed) == EARLY {
            fault_once();
        }
        barellama_el0::park(arrived, seen);
    }
}

fn fault_once() {
    if word(HAS_FAULTED).swap(ONCE, Ordering::Relaxed) != ONCE {
        attack::give_up();
    }
}

/// Does what was asked for, if anything.
pub fn begin() {
    if !barellama_el0::boot_info().model_is_sealed {
        wait_for_file();
    }
    let faults = word(FAULTS_TO_COME).load(Ordering::Relaxed);
    if (1..=16).contains(&faults) {
        word(FAULTS_TO_COME).store(faults - 1, Ordering::Relaxed);
        attack::give_up();
    }
    match word(MARK_ADDRESS).load(Ordering::Relaxed) {
        FAULT => attack::give_up(),
        ONCE => fault_once(),
        LOOP => loop {
            barellama_el0::progress(0, Phase::Prepare, 1, 2);
        },
        _ => {}
    }
}

/// Lets the next starts fault, as many as the text says; the first right now.
pub fn fault_at_start(text: &str) {
    word(FAULTS_TO_COME).store(text.parse().unwrap_or(1), Ordering::Relaxed);
    attack::give_up();
}
