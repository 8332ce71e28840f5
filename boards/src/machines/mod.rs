//! The boards, and how the one that the kernel runs on is recognised.

#[cfg(target_os = "none")]
mod common;
#[cfg(target_os = "none")]
mod raspberry_pi;
#[cfg(target_os = "none")]
mod raspberry_pi_3;
#[cfg(target_os = "none")]
mod raspberry_pi_4;
#[cfg(target_os = "none")]
mod virt;

use barellama_arch::boot::BootFacts;

/// Boards that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Raspberry Pi 3, Zero 2 W, and QEMU's raspi3b and raspi3ap. Peripherals at 0x3F00_0000.
    RaspberryPi3,
    /// Raspberry Pi 4 Model B, 400, Compute Module 4, and QEMU's raspi4b. Peripherals at 0xFE00_0000.
    RaspberryPi4,
    /// Raspberry Pi 5. Recognised, so that no address of another board is touched on it; not supported.
    RaspberryPi5,
    /// QEMU's virt.
    Virt,
}

/// Which board it is, by what can be known without touching a device: processor (MIDR_EL1 bits 31:24 and 15:4) and load address.
/// A wrong guess would touch addresses that do not exist, so the rule has to be safe before any parsing.
#[must_use]
pub const fn board(facts: &BootFacts) -> Option<Board> {
    /// Raspberry Pi firmware loads into the first GiB; QEMU's `virt` has its RAM above.
    const FIRST_GIB: u64 = 1 << 30;
    if facts.load_address >= FIRST_GIB {
        return Some(Board::Virt);
    }
    match (facts.midr >> 24 & 0xFF, facts.midr >> 4 & 0xFFF) {
        (0x41, 0xD03) => Some(Board::RaspberryPi3),
        (0x41, 0xD08) => Some(Board::RaspberryPi4),
        (0x41, 0xD0B) => Some(Board::RaspberryPi5),
        _ => None,
    }
}

/// Recognises the board, brings up its console, and gathers what the kernel has to know. `None` if the board is unknown.
#[cfg(target_os = "none")]
#[must_use]
pub fn recognise(facts: &BootFacts) -> Option<barellama_kernel::platform::Machine> {
    match board(facts)? {
        Board::RaspberryPi3 => raspberry_pi_3::machine(facts),
        Board::RaspberryPi4 => raspberry_pi_4::machine(facts),
        Board::RaspberryPi5 => None,
        Board::Virt => virt::machine(facts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(midr: u64, load_address: u64) -> BootFacts {
        BootFacts { load_address, argument: 0, entry_level: 2, midr, mpidr: 0x8000_0000 }
    }

    const CORTEX_A53: u64 = 0x410F_D034;
    const CORTEX_A72: u64 = 0x410F_D083;
    const CORTEX_A76: u64 = 0x414F_D0B1;

    #[test]
    fn pis_are_told_apart_by_their_processor() {
        for load_address in [0x8_0000, 0x20_0000] {
            assert_eq!(board(&facts(CORTEX_A53, load_address)), Some(Board::RaspberryPi3));
            assert_eq!(board(&facts(CORTEX_A72, load_address)), Some(Board::RaspberryPi4));
            assert_eq!(board(&facts(CORTEX_A76, load_address)), Some(Board::RaspberryPi5));
        }
    }

    #[test]
    fn the_load_address_tells_a_virt_whatever_its_processor() {
        for midr in [CORTEX_A53, CORTEX_A72, CORTEX_A76, 0x000F_0510] {
            assert_eq!(board(&facts(midr, 0x4008_0000)), Some(Board::Virt));
        }
    }

    #[test]
    fn other_processors_are_not_guessed() {
        assert_eq!(board(&facts(0x410F_C075, 0x8_0000)), None, "Cortex-A7");
        assert_eq!(board(&facts(0x420F_D083, 0x8_0000)), None, "another implementer");
    }
}
