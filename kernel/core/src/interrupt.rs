//! What interrupts do: move bytes, restart the tick, end. Everything else happens in the kernel loop.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_arch::{exceptions, timer};
use spin::Once;

use crate::platform::{Interrupt, InterruptController};
use crate::serial;

/// Distance between two timer interrupts of a core: the resolution of deadlines.
pub const TICK_NS: u64 = 50_000_000;

static CONTROLLER: Once<&'static dyn InterruptController> = Once::new();
static TIMER: AtomicU64 = AtomicU64::new(0);
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);

/// Sets up the controller and core 0; interrupts stay masked.
pub fn start(controller: &'static dyn InterruptController) {
    CONTROLLER.call_once(|| controller);
    controller.start();
    exceptions::set_interrupt_handler(handle);
    start_core(0);
}

/// Sets up this core: its interrupts and its tick.
pub fn start_core(core: usize) {
    if let Some(controller) = CONTROLLER.get() {
        controller.start_core(core);
    }
    timer::start();
    timer::arm_ns(TICK_NS);
}

/// Interrupts the cores whose bit is set, out of the engine or out of their sleep.
pub fn wake(core_mask: u32) {
    if let Some(controller) = CONTROLLER.get() {
        controller.wake(core_mask);
    }
}

/// Interrupts of core 0's timer since the start.
pub fn timer_total() -> u64 {
    TIMER.load(Ordering::Relaxed)
}

/// Interrupts that nobody had asked for, since the start.
pub fn unexpected_total() -> u64 {
    UNEXPECTED.load(Ordering::Relaxed)
}

fn handle(core: usize) {
    let Some(controller) = CONTROLLER.get() else { return };
    let Some((interrupt, token)) = controller.acknowledge() else { return };
    match interrupt {
        Interrupt::Timer => {
            TIMER.fetch_add(u64::from(core == 0), Ordering::Relaxed);
            timer::arm_ns(TICK_NS);
        }
        Interrupt::Console => {
            if let Some(serial) = serial::get() {
                serial.handle_interrupt();
            }
        }
        // Its purpose was to leave the engine or to end a sleep.
        Interrupt::Wake => {}
        Interrupt::Other(_) => {
            UNEXPECTED.fetch_add(1, Ordering::Relaxed);
        }
    }
    controller.end(token);
}
