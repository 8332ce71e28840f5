//! What interrupts do: move bytes, restart the tick, end. Everything else happens in the kernel loop.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_abi::layout::CORES_MAX;
use barellama_arch::{exceptions, executed, interrupts, registers, timer};
use spin::{Mutex, Once};

use crate::engine::team::TEAM;
use crate::liveness::Liveness;
use crate::platform::{Interrupt, InterruptController, Watchdog};
use crate::serial;
use crate::watchdog::Feeder;

/// Distance between two timer interrupts of a core: the resolution of deadlines.
pub const TICK_NS: u64 = 50_000_000;

static CONTROLLER: Once<&'static dyn InterruptController> = Once::new();
static TIMER: AtomicU64 = AtomicU64::new(0);
/// Whether loop and timers go on.
pub static LIVENESS: Liveness<CORES_MAX> = Liveness::new();
static FEEDER: Mutex<Feeder<CORES_MAX>> = Mutex::new(Feeder::new(None));
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);

/// Sets up the controller and core 0; interrupts stay masked.
pub fn start(controller: &'static dyn InterruptController) {
    CONTROLLER.call_once(|| controller);
    controller.start();
    exceptions::set_interrupt_handler(handle);
    exceptions::set_call_to_others(|core| wake(others(core)));
    start_core(0);
}

/// The kernel's loop begins on core 0: it and the timers of all cores are watched from now on, and the watchdog is fed.
pub fn watch(watchdog: Option<&'static dyn Watchdog>, cores: usize) {
    {
        // Masked: this core's timer must not find the lock taken.
        let _masked = interrupts::mask();
        *FEEDER.lock() = Feeder::new(watchdog);
    }
    LIVENESS.start(cores);
}

/// Sets up this core: its interrupts, its tick and its count of instructions.
pub fn start_core(core: usize) {
    if let Some(controller) = CONTROLLER.get() {
        controller.start_core(core);
    }
    executed::start_core(core);
    timer::start();
    timer::arm_ns(TICK_NS);
}

/// Interrupts the cores whose bit is set, out of the engine or out of their sleep.
pub fn wake(core_mask: u32) {
    if let Some(controller) = CONTROLLER.get() {
        controller.wake(core_mask);
    }
}

/// The mask of all cores but one.
#[must_use]
pub fn others(core: usize) -> u32 {
    ((1 << CORES_MAX) - 1) & !(1 << core)
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
            tick(core);
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

/// What every core looks at when its timer interrupts it: deadlines of the engine, and whether the kernel goes on.
fn tick(core: usize) {
    let now_ns = timer::now_ns();
    TEAM.check_due(core, now_ns);
    if let Some(stall) = LIVENESS.tick(core, registers::interrupted_at(), now_ns) {
        // Once: the others would find the same.
        LIVENESS.stop();
        panic!("{stall}; the timers interrupted the cores last at {:x?}", LIVENESS.interrupted_at());
    }
    if core == 0 {
        FEEDER.lock().feed(LIVENESS.counts(), now_ns);
    }
}
