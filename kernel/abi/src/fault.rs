//! What the kernel says when the engine did what it must not: a fault is data.

use crate::layout::Region;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A read of an address where the engine may not read.
    Read,
    /// A write to an address where the engine may not write.
    Write,
    /// A jump to an address where the engine may not execute.
    Execute,
    /// A misaligned access, program counter or stack pointer.
    Alignment,
    /// An instruction that does not exist or that EL0 may not use.
    Instruction,
    /// A system-call number that is not on the list.
    UnknownCall,
    /// More calls than the requests in flight can need.
    CallBudget,
    /// The engine gave up itself (`brk`): its panic message is in the log.
    Panic,
    /// A step took longer than its budget.
    StepDeadline,
    /// A request took longer than its budget and did not react to the cancel.
    RequestDeadline,
    /// An exception of another class; the syndrome tells.
    Other,
}

impl FaultKind {
    /// Whether the engine was too late, rather than wrong.
    #[must_use]
    pub const fn is_deadline(self) -> bool {
        matches!(self, Self::StepDeadline | Self::RequestDeadline)
    }

    /// A short name, the same in every report and test.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Alignment => "alignment",
            Self::Instruction => "instruction",
            Self::UnknownCall => "unknown-call",
            Self::CallBudget => "call-budget",
            Self::Panic => "panic",
            Self::StepDeadline => "step-deadline",
            Self::RequestDeadline => "request-deadline",
            Self::Other => "other",
        }
    }
}

/// A fault of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// What went wrong.
    pub kind: FaultKind,
    /// On which core.
    pub core: u32,
    /// ESR_EL1 (Arm ARM D24.2.40); 0 for deadlines.
    pub esr_el1: u64,
    /// FAR_EL1 where the exception sets it, else 0.
    pub far_el1: u64,
    /// ELR_EL1: the instruction.
    pub elr_el1: u64,
    /// The region of `far_el1` (of `elr_el1` where FAR is not set).
    pub region: Region,
    /// The request in flight, 0 if none.
    pub request_id: u32,
}
