//! The end of a run by a fault of the kernel itself: the report and the log are kept in memory, the board is reset, and the next run
//! tells.

use barellama_arch::{exceptions, kept, timer};
use spin::Once;

use crate::kernel_loop::Kernel;
use crate::logging;
use crate::platform::Power;

/// So many runs that end in a fault, one after the other, are enough: the board stops.
const FAULTS_IN_A_ROW: u64 = 3;
/// A run that is so old went well, whatever comes after.
const GOOD_RUN_NS: u64 = 60_000_000_000;
/// Bytes of the log that are kept behind the report: half a ring, so that this run's log has room too.
const LOG_BYTES: usize = 16 << 10;
/// The exit status of an emulator whose kernel does not stand.
const STATUS_KERNEL_FAULT: u32 = 101;

static POWER: Once<&'static dyn Power> = Once::new();

/// From now on a fault of the kernel ends in a reset.
pub fn reboot_after_faults(power: &'static dyn Power) {
    POWER.call_once(|| power);
    exceptions::set_halt_hook(end_run);
}

/// The report is written; keeps the log behind it.
fn end_run() -> ! {
    if timer::now_ns() > GOOD_RUN_NS {
        kept::forget_faults();
    }
    logging::hand_over(LOG_BYTES, kept::push);
    let is_enough = kept::finish() >= FAULTS_IN_A_ROW;
    let mut out = exceptions::report_writer();
    let Some(power) = POWER.get() else { exceptions::stop_core() };
    let _ = core::fmt::Write::write_str(
        &mut out,
        if is_enough { "third fault in a row: the board stops\n" } else { "the board is reset\n" },
    );
    if is_enough { power.halt(STATUS_KERNEL_FAULT) } else { power.reboot() }
}

impl Kernel {
    /// Says how the last run ended, if by a fault; its log goes to this run's.
    pub fn tell_last_run(&mut self) {
        if kept::length().is_none() {
            return;
        }
        let mut line = heapless::String::<200>::new();
        let mut is_first = true;
        let mut offset = 0;
        let mut part = [0; 128];
        loop {
            let count = kept::copy_to(offset, &mut part);
            offset += count;
            for byte in &part[..count] {
                if *byte != b'\n' {
                    // What does not fit a line is left out.
                    let _ = line.push(if byte.is_ascii() { char::from(*byte) } else { '?' });
                    continue;
                }
                match line.trim() {
                    "" => {}
                    first if is_first => {
                        self.say(format_args!("The last run ended with a {first}"));
                        is_first = false;
                    }
                    next => log::info!("last run: {next}"),
                }
                line.clear();
            }
            if count == 0 {
                break;
            }
        }
        kept::empty();
    }
}
