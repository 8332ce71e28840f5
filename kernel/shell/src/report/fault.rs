//! What a fault of the engine looks like.

use barellama_abi::fault::{FaultKind, FaultReport};
use barellama_abi::layout::Region;
use core::fmt::{Result, Write};

/// The engine's registers at the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// X0 to X30.
    pub general: [u64; 31],
    /// SP_EL0.
    pub sp_el0: u64,
    /// SPSR_EL1.
    pub spsr_el1: u64,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The engine restarts, the sealed model is still there.
    Restart,
    /// The model was being prepared: it is read again from the card.
    ReadModelAgain,
    /// The model was being prepared and cannot be read again.
    RebootNeeded,
    /// It faulted too often in a row: the engine stays stopped.
    StayStopped,
}

/// Facts of the report.
#[derive(Clone, Copy, Debug)]
pub struct FaultFacts<'a> {
    /// What went wrong.
    pub report: &'a FaultReport,
    /// The registers; `None` for deadlines, where there is no single culprit.
    pub registers: Option<&'a Registers>,
    /// What happens next.
    pub consequence: Consequence,
}

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub fn fault(facts: &FaultFacts<'_>, out: &mut dyn Write) -> Result {
    let report = facts.report;
    write!(out, "*** engine fault: {} on core {}", report.kind.name(), report.core)?;
    match report.request_id {
        0 => out.write_str(", no request in flight\r\n")?,
        id => write!(out, ", request {id}\r\n")?,
    }
    write_cause(report, out)?;
    if report.esr_el1 != 0 {
        write!(out, "    ESR {:#x} (class {:#04x})", report.esr_el1, report.esr_el1 >> 26 & 0x3F)?;
        write!(out, "  ELR {:#x}  FAR {:#x}\r\n", report.elr_el1, report.far_el1)?;
    }
    if let Some(registers) = facts.registers {
        write_registers(registers, out)?;
    }
    out.write_str(match facts.consequence {
        Consequence::Restart => "    The request ended; the engine restarts, the model stays in memory.\r\n",
        Consequence::ReadModelAgain => "    The model was being prepared: it is read again from the card.\r\n",
        Consequence::RebootNeeded => "    The model was being prepared and is lost: /reboot loads it again.\r\n",
        Consequence::StayStopped => "    It faults again and again: the engine stays stopped (/restart, /reboot).\r\n",
    })
}

fn write_cause(report: &FaultReport, out: &mut dyn Write) -> Result {
    let region = report.region.name();
    match report.kind {
        FaultKind::Read | FaultKind::Write | FaultKind::Execute | FaultKind::Alignment => {
            let address = if report.kind == FaultKind::Execute { report.elr_el1 } else { report.far_el1 };
            write!(out, "    {} of {address:#x} ({region})\r\n", verb(report.kind))?;
            write!(out, "    by the instruction at {:#x} ({})\r\n", report.elr_el1, Region::of(report.elr_el1).name())
        }
        FaultKind::CallBudget => {
            write!(out, "    More system calls than its requests can need, the last at {:#x}\r\n", report.elr_el1)
        }
        FaultKind::StepDeadline => out.write_str("    A step took longer than its budget.\r\n"),
        FaultKind::RequestDeadline => out.write_str("    The request outran its budget and did not stop.\r\n"),
        FaultKind::Panic => out.write_str("    The engine gave up; its message is in /log.\r\n"),
        FaultKind::Instruction | FaultKind::UnknownCall | FaultKind::Other => {
            write!(out, "    At the instruction {:#x} ({region})\r\n", report.elr_el1)
        }
    }
}

const fn verb(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Read => "Read",
        FaultKind::Write => "Write",
        FaultKind::Execute => "Execution",
        _ => "Misaligned use",
    }
}

fn write_registers(registers: &Registers, out: &mut dyn Write) -> Result {
    write!(out, "    SP {:#018x}  SPSR {:#x}\r\n", registers.sp_el0, registers.spsr_el1)?;
    for (row, values) in registers.general.chunks(3).enumerate() {
        out.write_str("    ")?;
        for (column, value) in values.iter().enumerate() {
            let separator = if column == 0 { "" } else { "  " };
            write!(out, "{separator}x{:<2} {value:016x}", row * 3 + column)?;
        }
        out.write_str("\r\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const REPORT: FaultReport = FaultReport {
        kind: FaultKind::Write,
        core: 2,
        esr_el1: 0x9200_004F,
        far_el1: 0x10_0000_1000,
        elr_el1: 0x40_1234,
        region: Region::Model,
        request_id: 7,
    };

    #[test]
    fn a_fault_tells_what_where_and_what_next() {
        let mut general = [0; 31];
        general[30] = 0x40_0100;
        let registers = Registers { general, sp_el0: 0x402F_FF00, spsr_el1: 0x6000_0000 };
        let facts = FaultFacts { report: &REPORT, registers: Some(&registers), consequence: Consequence::Restart };
        let rows = rows(|out| fault(&facts, out));
        assert_eq!(
            rows[..5],
            [
                "*** engine fault: write on core 2, request 7",
                "    Write of 0x1000001000 (model)",
                "    by the instruction at 0x401234 (engine)",
                "    ESR 0x9200004f (class 0x24)  ELR 0x401234  FAR 0x1000001000",
                "    SP 0x00000000402fff00  SPSR 0x60000000",
            ]
        );
        assert_eq!(rows[15], "    x30 0000000000400100");
        assert_eq!(rows[16], "    The request ended; the engine restarts, the model stays in memory.");
    }

    #[test]
    fn every_kind_has_a_report() {
        use FaultKind as Kind;
        for kind in [
            Kind::Read,
            Kind::Execute,
            Kind::Alignment,
            Kind::Instruction,
            Kind::UnknownCall,
            Kind::CallBudget,
            Kind::Panic,
            Kind::StepDeadline,
            Kind::RequestDeadline,
            Kind::Other,
        ] {
            for consequence in [Consequence::ReadModelAgain, Consequence::RebootNeeded, Consequence::StayStopped] {
                let report =
                    FaultReport { kind, esr_el1: 0, request_id: 0, far_el1: u64::MAX, elr_el1: u64::MAX, ..REPORT };
                let rows = rows(|out| fault(&FaultFacts { report: &report, registers: None, consequence }, out));
                assert!(rows[0].contains(kind.name()) && rows[0].ends_with("no request in flight"));
                assert!((3..=4).contains(&rows.len()));
            }
        }
    }
}
