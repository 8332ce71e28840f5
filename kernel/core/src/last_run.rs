//! The end of a run by a fault of the kernel itself: the report is kept in memory, as the log always is, the board is reset, and the
//! next run tells. After any other warm reset that nobody asked for (watchdog, reset button) it tells what the log says.

use barellama_arch::{exceptions, kept, kept_log, timer};
use spin::Once;

use crate::interrupt::LIVENESS;
use crate::kernel_loop::Kernel;
use crate::logging::{LAST_RUN, LogLine};
use crate::platform::Power;
use crate::serial;

/// So many runs that end in a fault, one after the other, are enough: the board stops.
const FAULTS_IN_A_ROW: u64 = 3;
/// A run that is so old went well, whatever comes after.
const GOOD_RUN_NS: u64 = 60_000_000_000;
/// The exit status of an emulator whose kernel does not stand.
const STATUS_KERNEL_FAULT: u32 = 101;

static POWER: Once<&'static dyn Power> = Once::new();

/// From now on a fault of the kernel ends in a reset.
pub fn reboot_after_faults(power: &'static dyn Power) {
    POWER.call_once(|| power);
    exceptions::set_halt_hook(end_run);
}

/// The report is written and kept.
fn end_run() -> ! {
    LIVENESS.stop();
    if timer::now_ns() > GOOD_RUN_NS {
        kept::forget_faults();
    }
    let is_enough = kept::finish() >= FAULTS_IN_A_ROW;
    let mut out = exceptions::report_writer();
    let Some(power) = POWER.get() else { exceptions::stop_core() };
    let _ = core::fmt::Write::write_str(
        &mut out,
        if is_enough { "third fault in a row: the board stops\n" } else { "the board is reset\n" },
    );
    if let Some(serial) = serial::get() {
        // A reset comes within 0.2 ms; the last bytes of the report are in the UART for 3 ms at 115200 bit/s.
        serial.drain();
    }
    if is_enough { power.halt(STATUS_KERNEL_FAULT) } else { power.reboot() }
}

/// This run ends because it was asked to: the next one has nothing to tell of it.
pub fn end_as_asked() {
    LIVENESS.stop();
    kept_log::close();
}

impl Kernel {
    /// Says how the last run ended, if nobody asked for that; its report and its log go to this run's log.
    pub fn tell_last_run(&mut self) {
        let has_report = kept::length().is_some();
        if has_report {
            let mut is_first = true;
            for_each_line(kept::copy_to, |line| {
                if is_first {
                    self.say(format_args!("The last run ended with a {line}"));
                } else {
                    log::info!(target: LAST_RUN, "last run: {line}");
                }
                is_first = false;
            });
            kept::empty();
        }
        if kept_log::was_cut_off() {
            if !has_report {
                let cause = self.facts.power.reset_cause().name();
                self.say(format_args!("The last run was cut off (last reset: {cause}); its log is in /log."));
            }
            for_each_line(kept_log::copy_to, |line| log::info!(target: LAST_RUN, "last run: {line}"));
        }
    }
}

/// Hands over the lines of what was kept, without blanks around them; characters beyond ASCII become `?`.
fn for_each_line(copy_to: impl Fn(usize, &mut [u8]) -> usize, mut take: impl FnMut(&str)) {
    let mut line = LogLine::new();
    let mut offset = 0;
    let mut part = [0; 128];
    loop {
        let count = copy_to(offset, &mut part);
        if count == 0 {
            return;
        }
        offset += count;
        for byte in &part[..count] {
            if *byte != b'\n' {
                // What does not fit a line is left out.
                let _ = line.push(if byte.is_ascii() { char::from(*byte) } else { '?' });
                continue;
            }
            if !line.trim().is_empty() {
                take(line.trim());
            }
            line.clear();
        }
    }
}
