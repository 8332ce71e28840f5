//! The log ring behind the `log` crate: kernel and engine write lines, `/log` and reports read them.

use core::fmt::Write as _;

use barellama_arch::{interrupts, timer};
use heapless::String;
use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;

use crate::log_ring::LogRing;

const RING_BYTES: usize = 32 << 10;
const LINE_BYTES: usize = 640;

static RING: Mutex<LogRing<RING_BYTES>> = Mutex::new(LogRing::new());
static LOGGER: RingLogger = RingLogger;

struct RingLogger;

impl Log for RingLogger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = String::<LINE_BYTES>::new();
        let seconds = timer::now_ns() / 1_000_000_000;
        let millis = timer::now_ns() / 1_000_000 % 1000;
        // A line that is too long is cut; that is all that can go wrong.
        let _ = write!(line, "{seconds:5}.{millis:03} {:5} {}", record.level(), record.args());
        with_ring(|ring| ring.push(&line));
    }

    fn flush(&self) {}
}

/// Lets the `log` macros write to the ring.
pub fn start() {
    // Fails only if a logger was set before, which is this one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(LevelFilter::Debug);
}

/// Copies bytes of the ring from `offset` on; returns how many.
pub fn copy_to(offset: usize, destination: &mut [u8]) -> usize {
    with_ring(|ring| ring.copy_to(offset, destination))
}

fn with_ring<R>(work: impl FnOnce(&mut LogRing<RING_BYTES>) -> R) -> R {
    // Masked, so that no interrupt finds the lock taken on its own core.
    let _masked = interrupts::mask();
    work(&mut RING.lock())
}
