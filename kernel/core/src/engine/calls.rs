//! The system calls that any core may make, and the checks that all calls share.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_abi::fault::FaultKind;
use barellama_abi::syscall::{CALLS, Call, CallError, LOG_BYTES_MAX};
use barellama_arch::user::UserContext;
use barellama_arch::user_memory::{self, UserSlice};
use barellama_arch::{interrupts, timer};
use spin::Mutex;

use super::team::TEAM;
use crate::call_budget::Budget;
use crate::logging::ENGINE;
use crate::rate::{RateLimit, Verdict};

/// What the engine may still ask for.
pub static BUDGET: Budget = Budget::new();
/// Lines that the engine may log a second, all cores together.
const LOG_LINES_PER_SECOND: u32 = 200;
const REFUSALS_PER_SECOND: u32 = 4;
static LOG_LINES: Mutex<RateLimit> = Mutex::new(RateLimit::new(LOG_LINES_PER_SECOND));
static REFUSALS: Mutex<RateLimit> = Mutex::new(RateLimit::new(REFUSALS_PER_SECOND));
static COUNTS: [AtomicU64; CALLS] = [const { AtomicU64::new(0) }; CALLS];
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// A call as it lies in the registers.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// Which call.
    pub call: Call,
    /// `x0` to `x3`.
    pub x: [u64; 4],
}

/// Reads a call from the registers, counts it and takes what it costs.
///
/// # Errors
/// `UnknownCall` if the number is not on the list, `CallBudget` if nothing is left to pay with: faults, both of them.
pub fn read(context: &UserContext) -> Result<Arguments, FaultKind> {
    let call = Call::from_number(context.x[8]).ok_or(FaultKind::UnknownCall)?;
    COUNTS[call as usize].fetch_add(1, Ordering::Relaxed);
    if !BUDGET.pay(call) {
        return Err(FaultKind::CallBudget);
    }
    Ok(Arguments { call, x: [context.x[0], context.x[1], context.x[2], context.x[3]] })
}

/// Puts the result of a call into the registers. x8 still tells which call it was.
pub fn answer(core: usize, context: &mut UserContext, result: Result<u64, CallError>) {
    context.x[0] = match result {
        Ok(value) => value,
        Err(error) => {
            if error != CallError::WouldBlock {
                note_refusal(core, context, error);
            }
            error.to_register()
        }
    };
}

fn note_refusal(core: usize, context: &UserContext, error: CallError) {
    REFUSED.fetch_add(1, Ordering::Relaxed);
    BUDGET.fine();
    if let Verdict::Log { dropped } = judge(&REFUSALS) {
        let call = Call::from_number(context.x[8]).map_or("", Call::name);
        log::warn!(target: ENGINE, "call refused: {call} on core {core} at {:#x}: {error:?}; {dropped} before it", context.pc);
    }
}

/// Masked, so that a core cannot be interrupted while others wait for the lock.
fn judge(limit: &Mutex<RateLimit>) -> Verdict {
    let _masked = interrupts::mask();
    limit.lock().judge(timer::now_ns())
}

/// How often each call was made since the start, by number.
pub fn counts() -> [u64; CALLS] {
    core::array::from_fn(|number| COUNTS[number].load(Ordering::Relaxed))
}

/// How many calls were refused since the start.
pub fn refused_total() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// `log(level, address, length)`.
pub fn log(core: usize, arguments: &Arguments) -> Result<u64, CallError> {
    let [level, address, length, _] = arguments.x;
    let level = match level {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        3 => log::Level::Info,
        4 => log::Level::Debug,
        5 => log::Level::Trace,
        _ => return Err(CallError::BadArgument),
    };
    let mut bytes = [0; LOG_BYTES_MAX as usize];
    let bytes = copy_in(address, length.min(LOG_BYTES_MAX), &mut bytes)?;
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    match judge(&LOG_LINES) {
        Verdict::Log { dropped: 0 } => log::log!(target: ENGINE, level, "engine core {core}: {text}"),
        Verdict::Log { dropped } => {
            log::log!(target: ENGINE, level, "engine core {core}: {text} ({dropped} lines before it dropped)");
        }
        Verdict::Drop => {}
    }
    Ok(0)
}

/// `clock()`.
pub fn clock() -> Result<u64, CallError> {
    Ok(timer::now_ns())
}

/// `wake(core_mask)`.
pub fn wake(core: usize, arguments: &Arguments) -> Result<u64, CallError> {
    let mask = u32::try_from(arguments.x[0]).map_err(|_| CallError::BadArgument)?;
    TEAM.wake(mask, core);
    Ok(0)
}

/// `park(address, expected)`, looked at once: whether the core may go on. To be asked with interrupts masked, before a sleep that
/// a pending interrupt ends.
pub fn may_leave_park(core: usize, arguments: &Arguments) -> Result<bool, CallError> {
    let [address, expected, _, _] = arguments.x;
    let expected = u32::try_from(expected).map_err(|_| CallError::BadArgument)?;
    if address % 4 != 0 {
        return Err(CallError::BadArgument);
    }
    let word = user_memory::load_u32(address).map_err(|_| CallError::BadAddress)?;
    Ok(TEAM.take_wake(core) || word != expected)
}

/// Copies the engine's bytes once; everything is checked on the copy.
pub fn copy_in(address: u64, length: u64, buffer: &mut [u8]) -> Result<&mut [u8], CallError> {
    let slice = UserSlice::new(address, length).map_err(|_| CallError::BadAddress)?;
    let destination = buffer.get_mut(..slice.bytes()).ok_or(CallError::BadArgument)?;
    slice.copy_from(destination).map_err(|_| CallError::BadAddress)?;
    Ok(destination)
}
