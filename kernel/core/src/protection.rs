//! What each core's registers let EL0 do, noted when the core begins to run the engine, for `/status`.

use core::fmt::{Result, Write};

use barellama_abi::layout::CORES_MAX;
use barellama_arch::registers::{self, Protection};
use spin::Once;

static NOTED: [Once<Protection>; CORES_MAX] = [const { Once::new() }; CORES_MAX];

/// Notes the registers of this core.
pub fn note(core: usize) {
    if let Some(place) = NOTED.get(core) {
        place.call_once(registers::protection);
    }
}

/// Writes core 0's registers, and whether the other cores have the same.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write) -> Result {
    let Some(first) = NOTED[0].get() else { return Ok(()) };
    write!(
        out,
        "registers    SCTLR {:#x}, CPACR {:#x}, CNTKCTL {:#x}, MDSCR {:#x}, PMUSERENR {:#x}, PAN {}\r\n",
        first.sctlr,
        first.cpacr,
        first.cntkctl,
        first.mdscr,
        first.pmuserenr,
        pan_name(first.pan)
    )?;
    let (mut same, mut noted) = (0, 0);
    for protection in NOTED.iter().filter_map(Once::get) {
        noted += 1;
        same += usize::from(protection == first);
    }
    write!(out, "             the same on {same} of {noted} cores\r\n")
}

/// Whether the kernel's own accesses to the engine's memory fault.
#[must_use]
pub fn pan_name(pan: Option<bool>) -> &'static str {
    match pan {
        Some(true) => "on",
        Some(false) => "off",
        None => "this core has none",
    }
}
