//! Machines whose clock counts instructions.

use std::error::Error;
use std::path::Path;

use barellama_tests::Machine;

/// A `raspi4b` with a placed model, ready.
pub fn counting_machine(model: &Path) -> Machine {
    let mut machine = Machine::raspi4b().placed_model(model).counting_instructions().boot();
    machine.expect_ready();
    machine
}

/// The time stamp at the start of a line of the log, in milliseconds: of guest time, or millions of instructions where they are counted.
///
/// # Errors
/// There is none.
pub fn stamp_ms(line: &str) -> Result<u64, Box<dyn Error>> {
    let stamp = line.split_whitespace().next().unwrap_or_default();
    let (seconds, millis) = stamp.split_once('.').ok_or_else(|| format!("no time stamp: {line:?}"))?;
    Ok(seconds.parse::<u64>()? * 1000 + millis.parse::<u64>()?)
}
