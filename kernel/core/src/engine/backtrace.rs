//! The calls that led the engine where it was, from the frame records on its stack (AAPCS64 6.4.6: x29 points to the caller's x29 and
//! the return address).
//!
//! The engine wrote them, so they are allegations: at most [`FRAMES_MAX`] are read, each whole and aligned in the stack of that core,
//! each above the one before.

use core::fmt::{Result, Write};

use barellama_abi::layout::{Region, STACK_BYTES, stack_top};
use barellama_arch::user::UserContext;
use barellama_arch::user_memory::UserSlice;

use crate::symbols::Symbols;

/// The most callers that are shown.
const FRAMES_MAX: usize = 16;
const RECORD_BYTES: u64 = 16;

/// Writes a line for the instruction and for each caller.
///
/// # Errors
/// Those of `out`.
pub fn write(core: usize, context: &UserContext, symbols: Option<&Symbols<'_>>, out: &mut dyn Write) -> Result {
    write_place("at", context.pc, symbols, out)?;
    let mut record = context.x[29];
    for _ in 0..FRAMES_MAX {
        let Some((previous, caller)) = read_record(core, record) else { return Ok(()) };
        if Region::of(caller) != Region::Engine {
            return Ok(());
        }
        write_place("called from", caller, symbols, out)?;
        if previous <= record {
            return Ok(());
        }
        record = previous;
    }
    Ok(())
}

fn write_place(word: &str, address: u64, symbols: Option<&Symbols<'_>>, out: &mut dyn Write) -> Result {
    write!(out, "    {word} {address:#x}")?;
    if let Some((name, offset)) = symbols.and_then(|symbols| symbols.find(address)) {
        write!(out, " {name} + {offset:#x}")?;
    }
    out.write_str("\r\n")
}

/// A frame record: the previous record and the return address.
fn read_record(core: usize, at: u64) -> Option<(u64, u64)> {
    let top = stack_top(core);
    let is_on_stack = (top - STACK_BYTES..=top - RECORD_BYTES).contains(&at) && at.is_multiple_of(8);
    if !is_on_stack {
        return None;
    }
    let mut bytes = [0; RECORD_BYTES as usize];
    UserSlice::new(at, RECORD_BYTES).ok()?.copy_from(&mut bytes).ok()?;
    let (fields, _) = bytes.as_chunks::<8>();
    Some((u64::from_le_bytes(*fields.first()?), u64::from_le_bytes(*fields.get(1)?)))
}
