//! The log ring behind the `log` crate: kernel and engine write lines, `/log` and reports read them.

use core::fmt::{self, Write as _};

use barellama_arch::{interrupts, timer};
use heapless::String;
use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;

use crate::log_ring::LogRing;

const RING_BYTES: usize = 32 << 10;
const LINE_BYTES: usize = 640;
const BOOT_BYTES: usize = 4 << 10;

static RING: Mutex<LogRing<RING_BYTES>> = Mutex::new(LogRing::new());
static BOOT: Mutex<([u8; BOOT_BYTES], usize)> = Mutex::new(([0; BOOT_BYTES], 0));
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

/// A line of the log.
pub type LogLine = String<LINE_BYTES>;

/// Where the next line will begin.
#[must_use]
pub fn end() -> u64 {
    with_ring(|ring| ring.end())
}

/// Reads the line at `position`, or the oldest one that is left, and moves on. Returns whether there was one.
pub fn read_line(position: &mut u64, line: &mut LogLine) -> bool {
    let mut bytes = [0; LINE_BYTES];
    let Some((count, next)) = with_ring(|ring| ring.copy_line(*position, &mut bytes)) else { return false };
    *position = next;
    line.clear();
    for chunk in bytes[..count].utf8_chunks() {
        // Cannot fail: there are no more bytes than the line holds.
        let _ = line.push_str(chunk.valid());
    }
    true
}

/// Copies bytes of the ring from `offset` on; returns how many.
fn copy_to(offset: usize, destination: &mut [u8]) -> usize {
    with_ring(|ring| ring.copy_to(offset, destination))
}

/// Writes the ring as text; what a terminal would act on becomes `?`.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn fmt::Write) -> fmt::Result {
    write_from(&copy_to, out)
}

/// Hands the last bytes of the ring to `take`, unless the ring is in use by whom a fault interrupted.
pub fn hand_over(bytes_max: usize, take: fn(&[u8])) {
    let Some(ring) = RING.try_lock() else { return };
    let mut offset = ring.len().saturating_sub(bytes_max);
    let mut part = [0; 256];
    loop {
        let count = ring.copy_to(offset, &mut part);
        if count == 0 {
            return;
        }
        take(&part[..count]);
        offset += count;
    }
}

/// Keeps what was logged so far as the log of the boot.
pub fn keep_boot() {
    let mut boot = BOOT.lock();
    let (bytes, length) = &mut *boot;
    *length = copy_to(0, bytes);
}

/// Writes the log of the boot, as [`write`].
///
/// # Errors
/// Those of `out`.
pub fn write_boot(out: &mut dyn fmt::Write) -> fmt::Result {
    let boot = BOOT.lock();
    let kept = &boot.0[..boot.1];
    let copy = |offset: usize, part: &mut [u8]| {
        let rest = kept.get(offset..).unwrap_or(&[]);
        let count = rest.len().min(part.len());
        part[..count].copy_from_slice(&rest[..count]);
        count
    };
    write_from(&copy, out)
}

fn write_from(copy: &dyn Fn(usize, &mut [u8]) -> usize, out: &mut dyn fmt::Write) -> fmt::Result {
    let mut offset = 0;
    let mut part = [0; 256];
    loop {
        let count = copy(offset, &mut part);
        if count == 0 {
            return Ok(());
        }
        // A character that is cut at the end of the part begins the next one.
        let whole = match core::str::from_utf8(&part[..count]) {
            Ok(_) => count,
            Err(error) => error.valid_up_to().max(1),
        };
        for character in core::str::from_utf8(&part[..whole]).unwrap_or("?").chars() {
            let is_harmless = character == '\n' || !character.is_control();
            out.write_char(if is_harmless { character } else { '?' })?;
        }
        offset += whole;
    }
}

fn with_ring<R>(work: impl FnOnce(&mut LogRing<RING_BYTES>) -> R) -> R {
    // Masked, so that no interrupt finds the lock taken on its own core.
    let _masked = interrupts::mask();
    work(&mut RING.lock())
}
