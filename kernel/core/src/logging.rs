//! The log rings behind the `log` crate: kernel and engine write lines, `/log` and reports read them.
//!
//! What the kernel says is kept in memory besides that a warm reset leaves alone ([`barellama_arch::kept_log`]).

use core::fmt::{self, Write as _};

use barellama_arch::{interrupts, kept_log, timer};
use heapless::String;
use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;

use crate::log_ring::{self, Source};

const KERNEL_BYTES: usize = 24 << 10;
/// Its share: a flood of the engine pushes out its own lines alone.
const ENGINE_BYTES: usize = 8 << 10;
const LINE_BYTES: usize = 640;
const BOOT_BYTES: usize = 4 << 10;

/// Target of lines that the engine asked for.
pub const ENGINE: &str = "engine";
/// Target of lines that tell what an earlier run logged: they are not kept once more.
pub const LAST_RUN: &str = "last run";

type Rings = log_ring::Log<KERNEL_BYTES, ENGINE_BYTES>;

static RINGS: Mutex<Rings> = Mutex::new(Rings::new());
static BOOT: Mutex<String<BOOT_BYTES>> = Mutex::new(String::new());
static LOGGER: RingLogger = RingLogger;

struct RingLogger;

impl Log for RingLogger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = LogLine::new();
        let seconds = timer::now_ns() / 1_000_000_000;
        let millis = timer::now_ns() / 1_000_000 % 1000;
        // A line that is too long is cut; that is all that can go wrong.
        let _ = write!(line, "{seconds:5}.{millis:03} {:5} {}", record.level(), record.args());
        let source = if record.target() == ENGINE { Source::Engine } else { Source::Kernel };
        let is_kept = source == Source::Kernel && record.target() != LAST_RUN;
        with_rings(|rings| {
            rings.push(source, &line);
            if is_kept {
                kept_log::push(&line);
            }
        });
    }

    fn flush(&self) {}
}

/// Lets the `log` macros write to the rings.
pub fn start() {
    kept_log::begin();
    // Fails only if a logger was set before, which is this one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(LevelFilter::Debug);
}

/// A line of the log.
pub type LogLine = String<LINE_BYTES>;

/// Where the next line will be.
#[must_use]
pub fn end() -> u64 {
    with_rings(|rings| rings.end())
}

/// Reads the line at `position`, or the oldest one that is left behind it, and moves on. Returns whether there was one.
pub fn read_line(position: &mut u64, line: &mut LogLine) -> bool {
    let mut bytes = [0; LINE_BYTES];
    let Some((count, next)) = with_rings(|rings| rings.copy_line(*position, &mut bytes)) else { return false };
    *position = next;
    line.clear();
    for chunk in bytes[..count].utf8_chunks() {
        // Cannot fail: there are no more bytes than the line holds.
        let _ = line.push_str(chunk.valid());
    }
    true
}

/// Writes the log as text; what a terminal would act on becomes `?`.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn fmt::Write) -> fmt::Result {
    let (mut position, mut line) = (0, LogLine::new());
    while read_line(&mut position, &mut line) {
        write_harmless(&line, out)?;
        out.write_char('\n')?;
    }
    Ok(())
}

/// Keeps what was logged so far as the log of the boot, as far as there is room.
pub fn keep_boot() {
    let mut boot = BOOT.lock();
    boot.clear();
    // What does not fit is left out.
    let _ = write(&mut *boot);
}

/// Writes the log of the boot.
///
/// # Errors
/// Those of `out`.
pub fn write_boot(out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_str(&BOOT.lock())
}

fn write_harmless(text: &str, out: &mut dyn fmt::Write) -> fmt::Result {
    text.chars().try_for_each(|character| out.write_char(if character.is_control() { '?' } else { character }))
}

fn with_rings<R>(work: impl FnOnce(&mut Rings) -> R) -> R {
    // Masked, so that no interrupt finds the lock taken on its own core.
    let _masked = interrupts::mask();
    work(&mut RINGS.lock())
}
