//! What `/mem verify` shows.

use super::units::MemorySize;
use core::fmt::{Result, Write};

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    /// It is what it was.
    Unchanged,
    /// It is not.
    Changed,
    /// There is nothing to compare it with: no model was mapped or sealed yet.
    NotKnown,
}

/// A part of memory that nobody may change.
#[derive(Clone, Copy, Debug)]
pub struct PartRow<'a> {
    /// What it is.
    pub name: &'a str,
    /// Its size, if it says something.
    pub bytes: Option<u64>,
    /// What became of it.
    pub state: PartState,
}

/// The EL1 stack of a core.
#[derive(Clone, Copy, Debug)]
pub struct StackRow {
    /// The most that was ever in use, in bytes.
    pub used_bytes: usize,
    /// Its size.
    pub bytes: usize,
    /// Whether the guard words at its low end, and those of the emergency stack, are what they were.
    pub are_guards_intact: bool,
}

/// Writes the table and a verdict. `file_crc32` is that of the model's file as it was read from the card.
///
/// # Errors
/// Those of `out`.
pub fn verification(
    parts: &[PartRow<'_>],
    stacks: &[StackRow],
    file_crc32: Option<u32>,
    out: &mut dyn Write,
) -> Result {
    for part in parts {
        let mut size: heapless::String<24> = heapless::String::new();
        if let Some(bytes) = part.bytes {
            write!(size, "{}", MemorySize(bytes))?;
        }
        let state = match part.state {
            PartState::Unchanged => "unchanged",
            PartState::Changed => "CHANGED",
            PartState::NotKnown => "nothing to compare with yet",
        };
        write!(out, "{:<18} {size:>12}  {state}\r\n", part.name)?;
    }
    for (core, stack) in stacks.iter().enumerate() {
        let guards = if stack.are_guards_intact { "guard words intact" } else { "guard words CHANGED" };
        let mut used: heapless::String<24> = heapless::String::new();
        write!(used, "{} of {}", stack.used_bytes.div_ceil(1024), MemorySize(stack.bytes as u64))?;
        write!(out, "stack of core {core}    {used:>12}  {guards}\r\n")?;
    }
    if let Some(crc32) = file_crc32 {
        write!(out, "CRC-32 of the model's file as it was read: {crc32:08x}\r\n")?;
    }
    let changed = parts.iter().filter(|part| part.state == PartState::Changed).count()
        + stacks.iter().filter(|stack| !stack.are_guards_intact).count();
    match changed {
        0 => out.write_str("Nothing has changed that must not.\r\n"),
        1 => out.write_str("ONE PART HAS CHANGED: do not trust answers; see the power supply, and /reboot.\r\n"),
        count => {
            write!(out, "{count} PARTS HAVE CHANGED: do not trust answers; see the power supply, /reboot.\r\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const CODE: PartRow<'_> = PartRow { name: "code", bytes: Some(400 << 10), state: PartState::Unchanged };
    const MODEL: PartRow<'_> = PartRow { name: "model, sealed", bytes: Some(96 << 20), state: PartState::Unchanged };
    const STACK: StackRow = StackRow { used_bytes: 5000, bytes: 60 << 10, are_guards_intact: true };

    #[test]
    fn the_table_is_aligned() {
        assert_eq!(
            rows(|out| verification(&[CODE, MODEL], &[STACK], Some(0xCBF4_3926), out)),
            [
                "code                    400 KiB  unchanged",
                "model, sealed          96.0 MiB  unchanged",
                "stack of core 0     5 of 60 KiB  guard words intact",
                "CRC-32 of the model's file as it was read: cbf43926",
                "Nothing has changed that must not.",
            ]
        );
    }

    #[test]
    fn changes_are_counted() {
        let changed = PartRow { state: PartState::Changed, ..CODE };
        let unknown = PartRow { state: PartState::NotKnown, bytes: None, ..MODEL };
        let text = rows(|out| verification(&[changed, unknown], &[STACK], None, out)).join("\n");
        assert!(text.contains("CHANGED\n") && text.contains("ONE PART HAS CHANGED"), "{text}");
        let smashed = StackRow { are_guards_intact: false, ..STACK };
        let text = rows(|out| verification(&[changed], &[smashed], None, out)).join("\n");
        assert!(text.contains("2 PARTS HAVE CHANGED"), "{text}");
    }
}
