//! The calls that the engine may make: number in `x8`, arguments in `x0`..`x3`, `svc #0`, result in `x0` (and `x1`).
//!
//! A result of `x0` that is negative as `i64` is the negated [`CallError`]. A number that is not in [`Call`] is a fault.
//! All registers but `x0` and `x1` are preserved.

/// Call numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// `wait_for_work(mode)`: core 0 only. `mode` [`WAIT_BLOCK`] sleeps until a request is there, [`WAIT_POLL`] returns
    /// [`CallError::WouldBlock`]. Result: `x0` = slot index, `x1` = length of the request in bytes.
    ///
    /// The first call after the start tells the kernel that the model is ready (sealed).
    WaitForWork = 0,
    /// `emit(request_id, kind, address, length)`: hands output of a request to the kernel, which copies it. Blocks while the
    /// kernel has no room. `length` is at most [`EMIT_BYTES_MAX`]; `kind` is an [`EmitKind`]. Text is whole UTF-8 characters.
    /// `request_id` 0 is the preparation of the model.
    Emit = 1,
    /// `log(level, address, length)`: one line of UTF-8 for the log ring, level 1 (error) to 5 (trace), cut at
    /// [`LOG_BYTES_MAX`].
    Log = 2,
    /// `clock()`: nanoseconds since the kernel started. On core 0 `x1` = instructions that all cores executed in the engine since then,
    /// each as it last entered the kernel; 0 if the processor does not count them.
    Clock = 3,
    /// `progress(request_id, phase, done, total)`: a step was made; feeds the step deadline. `phase` is a [`Phase`].
    Progress = 4,
    /// `finish(request_id, address)`: the request ended; `address` holds an encoded [`crate::outcome::Outcome`]. Request 0
    /// with an error means that the model was refused; the engine then only waits.
    Finish = 5,
    /// `seal(length)`: the descriptor of `length` bytes lies in the last [`crate::layout::DESCRIPTOR_BYTES`] of the model
    /// region; the region becomes read-only for good. Core 0 only, once, while preparing, not before all of the file has arrived.
    Seal = 6,
    /// `park(address, expected)`: sleeps while the aligned `u32` at `address` equals `expected`, until [`Call::Wake`] names
    /// this core. May return early; the caller looks again.
    Park = 7,
    /// `wake(core_mask)`: wakes the parked cores whose bit is set.
    Wake = 8,
}

impl Call {
    /// The call of that number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::WaitForWork,
            1 => Self::Emit,
            2 => Self::Log,
            3 => Self::Clock,
            4 => Self::Progress,
            5 => Self::Finish,
            6 => Self::Seal,
            7 => Self::Park,
            8 => Self::Wake,
            _ => return None,
        })
    }

    /// The call's name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitForWork => "wait_for_work",
            Self::Emit => "emit",
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Progress => "progress",
            Self::Finish => "finish",
            Self::Seal => "seal",
            Self::Park => "park",
            Self::Wake => "wake",
        }
    }
}

/// Number of calls; numbers run from 0.
pub const CALLS: usize = 9;
/// `wait_for_work` mode: sleep until there is a request.
pub const WAIT_BLOCK: u64 = 0;
/// `wait_for_work` mode: return at once.
pub const WAIT_POLL: u64 = 1;
/// Most bytes of one `emit`.
pub const EMIT_BYTES_MAX: u64 = 4096;
/// Most bytes of one `log`.
pub const LOG_BYTES_MAX: u64 = 512;

/// Why a call was refused. The call had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum CallError {
    /// Nothing to do now.
    WouldBlock = 1,
    /// An address or length is outside the memory that the engine may pass.
    BadAddress = 2,
    /// An argument is out of range, unaligned or unknown.
    BadArgument = 3,
    /// The request is not in the hands of the engine.
    UnknownRequest = 4,
    /// The call is not allowed in this state or on this core.
    NotAllowed = 5,
}

impl CallError {
    /// The value of `x0` that stands for this error.
    #[must_use]
    pub const fn to_register(self) -> u64 {
        (self as u64).wrapping_neg()
    }

    /// The error in a result register, if it is one.
    #[must_use]
    pub const fn from_register(x0: u64) -> Option<Self> {
        Some(match x0.wrapping_neg() {
            1 => Self::WouldBlock,
            2 => Self::BadAddress,
            3 => Self::BadArgument,
            4 => Self::UnknownRequest,
            5 => Self::NotAllowed,
            _ => return None,
        })
    }
}

/// What emitted bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EmitKind {
    /// Text of the answer, to be shown as it comes.
    Text = 0,
    /// A part of a machine-readable line (JSON); the engine ends each line with a newline.
    Json = 1,
    /// A line about the model or the plan, for people.
    Report = 2,
    /// Why the request or the model was refused, one sentence for people.
    Error = 3,
}

impl EmitKind {
    /// The kind of that number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Text,
            1 => Self::Json,
            2 => Self::Report,
            3 => Self::Error,
            _ => return None,
        })
    }
}

/// What a progress report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// Preparing the model, in bytes.
    Prepare = 0,
    /// Prompt tokens that went through the last layer, of all that have to.
    Prefill = 1,
    /// Generated tokens, of the most there can be.
    Decode = 2,
}

impl Phase {
    /// The phase of that number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Prepare,
            1 => Self::Prefill,
            2 => Self::Decode,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_maps_to_its_call_and_no_other() {
        for number in 0..CALLS as u64 {
            assert_eq!(Call::from_number(number).map(|call| call as u64), Some(number));
        }
        assert_eq!(Call::from_number(CALLS as u64), None);
        assert_eq!(Call::from_number(u64::MAX), None);
    }

    #[test]
    fn errors_survive_the_register() {
        for error in [
            CallError::WouldBlock,
            CallError::BadAddress,
            CallError::BadArgument,
            CallError::UnknownRequest,
            CallError::NotAllowed,
        ] {
            assert!((error.to_register() as i64) < 0);
            assert_eq!(CallError::from_register(error.to_register()), Some(error));
        }
        assert_eq!(CallError::from_register(0), None);
    }
}
