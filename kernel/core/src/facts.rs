//! What the machine is: kept for banners, tables and the control of power.

use barellama_arch::boot::BootFacts;
use heapless::Vec;

use crate::platform::{EXTENTS_MAX, Firmware, Machine, MemoryClaims, PhysicalRange, Power, ReferenceClock};

/// The lasting part of [`Machine`].
pub struct MachineFacts {
    /// For people.
    pub name: &'static str,
    /// Cores in use.
    pub cores: usize,
    /// Cores that the board has.
    pub cores_present: usize,
    /// Stepping of the SoC; see [`Machine::chip_stepping`].
    pub chip_stepping: Option<u8>,
    /// How the kernel was started.
    pub boot: BootFacts,
    /// The rate that the cores were asked to have, in Hz.
    pub arm_asked_hz: Option<u32>,
    /// Parts of RAM that were taken before the kernel.
    pub reserved: Vec<PhysicalRange, EXTENTS_MAX>,
    /// What each source says about RAM.
    pub memory_claims: MemoryClaims,
    /// A clock to compare the cores' counter with.
    pub reference_clock: Option<&'static dyn ReferenceClock>,
    /// Physical address of the console's registers.
    pub console_address: u64,
    /// All RAM, in bytes.
    pub ram_bytes: u64,
    /// Whether a watchdog is fed.
    pub has_watchdog: bool,
    /// Whether it is an emulator.
    pub is_emulator: bool,
    /// A file that the firmware placed in memory.
    pub placed_file: Option<PhysicalRange>,
    /// The device tree, where the firmware left it.
    pub device_tree: Option<PhysicalRange>,
    /// The firmware.
    pub firmware: &'static dyn Firmware,
    /// Reset and power.
    pub power: &'static dyn Power,
}

impl MachineFacts {
    /// The facts of a machine on which `cores` cores have started and were asked to run at a rate.
    #[must_use]
    pub fn new(machine: &Machine, cores: usize, boot: &BootFacts, arm_asked_hz: Option<u32>) -> Self {
        Self {
            name: machine.name,
            cores,
            cores_present: machine.cores,
            chip_stepping: machine.chip_stepping,
            boot: *boot,
            arm_asked_hz,
            reserved: machine.reserved.clone(),
            memory_claims: machine.memory_claims,
            reference_clock: machine.reference_clock,
            console_address: machine.console_address,
            ram_bytes: crate::memory_plan::total_bytes(&machine.ram),
            has_watchdog: machine.watchdog.is_some(),
            is_emulator: machine.is_emulator,
            placed_file: machine.placed_file,
            device_tree: machine.device_tree,
            firmware: machine.firmware,
            power: machine.power,
        }
    }
}

/// For people: which processor MIDR_EL1 names (Arm ARM D24.2.122).
#[must_use]
pub const fn processor_name(midr_el1: u64) -> &'static str {
    match (midr_el1 >> 24 & 0xFF, midr_el1 >> 4 & 0xFFF) {
        (0x41, 0xD03) => "Cortex-A53",
        (0x41, 0xD05) => "Cortex-A55",
        (0x41, 0xD07) => "Cortex-A57",
        (0x41, 0xD08) => "Cortex-A72",
        (0x41, 0xD0B) => "Cortex-A76",
        _ => "AArch64",
    }
}

#[cfg(test)]
mod tests {
    use super::processor_name;

    #[test]
    fn the_pi_cores_are_known() {
        assert_eq!(processor_name(0x410F_D083), "Cortex-A72");
        assert_eq!(processor_name(0x410F_D034), "Cortex-A53");
        assert_eq!(processor_name(0x414F_D0B1), "Cortex-A76");
        assert_eq!(processor_name(0), "AArch64");
    }
}
