//! What an exception's syndrome register says (Arm ARM D24.2.40).

use barellama_abi::fault::FaultKind;

/// The registers that describe an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome {
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1; means something only where [`Classified::far`] is set.
    pub far: u64,
    /// ELR_EL1: the instruction, or the one behind a call.
    pub elr: u64,
}

/// An exception of EL0 in the words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified {
    /// What went wrong.
    pub kind: FaultKind,
    /// FAR_EL1, where this class of exception sets it.
    pub far: Option<u64>,
    /// The address that the fault is about: `far`, else the instruction's.
    pub address: u64,
}

mod class {
    pub const UNKNOWN: u64 = 0x00;
    pub const WAIT: u64 = 0x01;
    pub const VECTOR_ACCESS: u64 = 0x07;
    pub const ILLEGAL_STATE: u64 = 0x0E;
    pub const CALL: u64 = 0x15;
    pub const SYSTEM_REGISTER: u64 = 0x18;
    pub const SVE_ACCESS: u64 = 0x19;
    pub const INSTRUCTION_ABORT_LOWER: u64 = 0x20;
    pub const INSTRUCTION_ABORT: u64 = 0x21;
    pub const PROGRAM_COUNTER_ALIGNMENT: u64 = 0x22;
    pub const DATA_ABORT_LOWER: u64 = 0x24;
    pub const DATA_ABORT: u64 = 0x25;
    pub const STACK_ALIGNMENT: u64 = 0x26;
    pub const FLOATING_POINT: u64 = 0x2C;
    pub const SYSTEM_ERROR: u64 = 0x2F;
    pub const BREAKPOINT_INSTRUCTION: u64 = 0x3C;
}

/// ISS bits of aborts: fault status 5:0, WnR 6 (data), CM 8 (data), FnV 10.
const FAULT_STATUS: u64 = 0x3F;
const WRITE: u64 = 1 << 6;
const CACHE_MAINTENANCE: u64 = 1 << 8;
const FAR_NOT_VALID: u64 = 1 << 10;
const STATUS_ALIGNMENT: u64 = 0x21;
/// Synchronous external abort, not on a walk: the only status for which FnV means something.
const STATUS_EXTERNAL: u64 = 0x10;

impl Syndrome {
    /// The exception class, bits 31:26.
    #[must_use]
    pub const fn class(&self) -> u64 {
        (self.esr >> 26) & 0x3F
    }

    /// Whether it is the system call of the contract: `svc #0`.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        self.class() == class::CALL && self.esr & 0xFFFF == 0
    }

    /// Whether it is a data access of the kernel itself that failed.
    #[must_use]
    pub const fn is_kernel_data_abort(&self) -> bool {
        self.class() == class::DATA_ABORT
    }

    /// Whether it is an instruction without meaning.
    #[must_use]
    pub const fn is_unknown_instruction(&self) -> bool {
        self.class() == class::UNKNOWN
    }

    /// The class's name for people.
    #[must_use]
    pub const fn class_name(&self) -> &'static str {
        match self.class() {
            class::UNKNOWN => "unknown instruction",
            class::WAIT => "trapped WFI",
            class::VECTOR_ACCESS => "trapped vector access",
            class::ILLEGAL_STATE => "illegal execution state",
            class::CALL => "supervisor call",
            class::SYSTEM_REGISTER => "trapped system register",
            class::SVE_ACCESS => "trapped SVE access",
            class::INSTRUCTION_ABORT_LOWER => "instruction abort of EL0",
            class::INSTRUCTION_ABORT => "instruction abort of the kernel",
            class::PROGRAM_COUNTER_ALIGNMENT => "misaligned program counter",
            class::DATA_ABORT_LOWER => "data abort of EL0",
            class::DATA_ABORT => "data abort of the kernel",
            class::STACK_ALIGNMENT => "misaligned stack pointer",
            class::FLOATING_POINT => "floating-point exception",
            class::SYSTEM_ERROR => "system error",
            class::BREAKPOINT_INSTRUCTION => "breakpoint instruction",
            _ => "other exception class",
        }
    }

    /// What an abort's fault status means; empty for other classes.
    #[must_use]
    pub const fn status_name(&self) -> &'static str {
        if !self.is_abort() {
            return "";
        }
        match self.esr & FAULT_STATUS {
            0x00..=0x03 => "address size fault",
            0x04..=0x07 => "translation fault",
            0x08..=0x0B => "access flag fault",
            0x0C..=0x0F => "permission fault",
            STATUS_EXTERNAL => "external abort",
            0x14..=0x17 => "external abort on a table walk",
            STATUS_ALIGNMENT => "alignment fault",
            0x30 => "TLB conflict",
            _ => "other fault",
        }
    }

    /// Whether a data abort came from a write.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        self.esr & WRITE != 0 && self.esr & CACHE_MAINTENANCE == 0
    }

    /// FAR_EL1, where this exception sets it.
    #[must_use]
    pub const fn far_if_valid(&self) -> Option<u64> {
        let is_set = match self.class() {
            class::PROGRAM_COUNTER_ALIGNMENT => true,
            _ => self.is_abort() && !(self.esr & FAULT_STATUS == STATUS_EXTERNAL && self.esr & FAR_NOT_VALID != 0),
        };
        if is_set { Some(self.far) } else { None }
    }

    const fn is_abort(&self) -> bool {
        matches!(
            self.class(),
            class::INSTRUCTION_ABORT_LOWER | class::INSTRUCTION_ABORT | class::DATA_ABORT_LOWER | class::DATA_ABORT
        )
    }
}

/// Says what EL0 did. An `svc` with another number than 0 is an unknown call.
#[must_use]
pub const fn classify(syndrome: &Syndrome) -> Classified {
    let kind = match syndrome.class() {
        class::INSTRUCTION_ABORT_LOWER | class::INSTRUCTION_ABORT => FaultKind::Execute,
        class::DATA_ABORT_LOWER | class::DATA_ABORT => {
            if syndrome.esr & FAULT_STATUS == STATUS_ALIGNMENT {
                FaultKind::Alignment
            } else if syndrome.is_write() {
                FaultKind::Write
            } else {
                FaultKind::Read
            }
        }
        class::PROGRAM_COUNTER_ALIGNMENT | class::STACK_ALIGNMENT => FaultKind::Alignment,
        class::UNKNOWN
        | class::WAIT
        | class::VECTOR_ACCESS
        | class::ILLEGAL_STATE
        | class::SYSTEM_REGISTER
        | class::SVE_ACCESS => FaultKind::Instruction,
        class::CALL => FaultKind::UnknownCall,
        class::BREAKPOINT_INSTRUCTION => FaultKind::Panic,
        _ => FaultKind::Other,
    };
    let far = syndrome.far_if_valid();
    let address = match far {
        Some(address) => address,
        None => syndrome.elr,
    };
    Classified { kind, far, address }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(class: u64, iss: u64) -> FaultKind {
        classify(&Syndrome { esr: class << 26 | 1 << 25 | iss, far: 0x1234, elr: 0x5678 }).kind
    }

    #[test]
    fn aborts_are_told_apart() {
        assert_eq!(kind_of(0x24, 0x0F), FaultKind::Read, "permission");
        assert_eq!(kind_of(0x24, 0x05), FaultKind::Read, "translation");
        assert_eq!(kind_of(0x24, 0x4F), FaultKind::Write);
        assert_eq!(kind_of(0x24, 0x14F), FaultKind::Read, "cache maintenance always has WnR set");
        assert_eq!(kind_of(0x24, 0x61), FaultKind::Alignment);
        assert_eq!(kind_of(0x20, 0x0F), FaultKind::Execute);
        assert_eq!(kind_of(0x22, 0), FaultKind::Alignment);
        assert_eq!(kind_of(0x26, 0), FaultKind::Alignment);
    }

    #[test]
    fn instructions_are_told_apart() {
        for class in [0x00, 0x01, 0x07, 0x0E, 0x18, 0x19] {
            assert_eq!(kind_of(class, 0), FaultKind::Instruction, "class {class:#x}");
        }
        assert_eq!(kind_of(0x15, 1), FaultKind::UnknownCall);
        assert_eq!(kind_of(0x3C, 0), FaultKind::Panic);
        assert_eq!(kind_of(0x2F, 0), FaultKind::Other);
    }

    #[test]
    fn only_number_zero_is_the_call() {
        assert!(Syndrome { esr: 0x5600_0000, far: 0, elr: 0 }.is_call());
        assert!(!Syndrome { esr: 0x5600_0001, far: 0, elr: 0 }.is_call());
        assert!(!Syndrome { esr: 0x9200_0000, far: 0, elr: 0 }.is_call());
    }

    #[test]
    fn far_is_used_only_where_it_is_set() {
        let abort = Syndrome { esr: 0x9200_000F, far: 0x1234, elr: 0x5678 };
        assert_eq!(classify(&abort).far, Some(0x1234));
        let external = Syndrome { esr: 0x9200_0410, ..abort };
        assert_eq!((classify(&external).far, classify(&external).address), (None, 0x5678));
        let breakpoint = Syndrome { esr: 0xF200_0000, ..abort };
        assert_eq!((classify(&breakpoint).far, classify(&breakpoint).address), (None, 0x5678));
    }
}
