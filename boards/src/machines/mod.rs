//! The boards, and how the one that the kernel runs on is recognised.

#[cfg(target_os = "none")]
mod raspberry_pi_4;

use barellama_arch::boot::BootFacts;

/// Boards that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Raspberry Pi 4 Model B, 400, Compute Module 4, and QEMU's raspi4b.
    RaspberryPi4,
}

/// Which board it is, by what can be known without touching a device: processor (MIDR_EL1 bits 31:24 and 15:4) and load address.
/// A wrong guess would touch addresses that do not exist, so the rule has to be safe before any parsing.
#[must_use]
pub const fn board(facts: &BootFacts) -> Option<Board> {
    const ARM_CORTEX_A72: (u64, u64) = (0x41, 0xD08);
    /// Raspberry Pi firmware loads into the first GiB; QEMU's `virt` has its RAM above.
    const FIRST_GIB: u64 = 1 << 30;
    let processor = (facts.midr >> 24 & 0xFF, facts.midr >> 4 & 0xFFF);
    if processor.0 == ARM_CORTEX_A72.0 && processor.1 == ARM_CORTEX_A72.1 && facts.load_address < FIRST_GIB {
        Some(Board::RaspberryPi4)
    } else {
        None
    }
}

/// Recognises the board, brings up its console, and gathers what the kernel has to know. `None` if the board is unknown.
#[cfg(target_os = "none")]
#[must_use]
pub fn recognise(facts: &BootFacts) -> Option<barellama_kernel::platform::Machine> {
    match board(facts)? {
        Board::RaspberryPi4 => raspberry_pi_4::machine(facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(midr: u64, load_address: u64) -> BootFacts {
        BootFacts { load_address, argument: 0, entry_level: 2, midr, mpidr: 0x8000_0000 }
    }

    #[test]
    fn a_pi_4_is_told_from_other_machines() {
        assert_eq!(board(&facts(0x410F_D083, 0x8_0000)), Some(Board::RaspberryPi4));
        assert_eq!(board(&facts(0x410F_D083, 0x20_0000)), Some(Board::RaspberryPi4));
        assert_eq!(board(&facts(0x410F_D083, 0x4008_0000)), None, "QEMU virt with the same processor");
        assert_eq!(board(&facts(0x410F_D034, 0x8_0000)), None, "Pi 3");
        assert_eq!(board(&facts(0x414F_D0B1, 0x20_0000)), None, "Pi 5");
    }
}
