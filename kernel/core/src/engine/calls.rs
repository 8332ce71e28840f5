//! The system calls that any core may make, and the checks that all calls share.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_abi::syscall::{CALLS, Call, CallError, LOG_BYTES_MAX};
use barellama_arch::timer;
use barellama_arch::user::UserContext;
use barellama_arch::user_memory::{self, UserSlice};

use super::team::TEAM;

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

/// Reads a call from the registers and counts it; `None` if the number is not on the list.
pub fn read(context: &UserContext) -> Option<Arguments> {
    let call = Call::from_number(context.x[8])?;
    COUNTS[call as usize].fetch_add(1, Ordering::Relaxed);
    Some(Arguments { call, x: [context.x[0], context.x[1], context.x[2], context.x[3]] })
}

/// Puts the result of a call into the registers.
pub fn answer(context: &mut UserContext, result: Result<u64, CallError>) {
    context.x[0] = match result {
        Ok(value) => value,
        Err(error) => {
            if error != CallError::WouldBlock {
                REFUSED.fetch_add(1, Ordering::Relaxed);
            }
            error.to_register()
        }
    };
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
    log::log!(level, "engine core {core}: {text}");
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
