//! The engine as the kernel sees it: its memory, its calls, its cores, its faults.
//!
//! - [`memory`]: what EL0 may see, and how it gets its first contents back.
//! - [`backtrace`]: the calls that led to a fault.
//! - [`team`]: what all cores share while the engine runs: run, stop, wake, the first fault.
//! - [`calls`]: the system calls that any core may make.
//! - [`worker`]: the loop of cores 1 to 3.
//! - [`main_thread`]: core 0 in the engine, between rounds of the kernel loop.

pub mod backtrace;
pub mod calls;
pub mod main_thread;
pub mod memory;
mod starts;
mod stop;
pub mod team;
mod wake_flags;
pub mod worker;

/// What [`starts`], [`stop`] and [`wake_flags`] are built on; `tests/interleavings` gives them loom's.
mod atomics {
    pub use barellama_arch::interrupts::mask;
    pub use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    pub use spin::Mutex;
}
