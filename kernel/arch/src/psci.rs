//! Calls of the firmware below the kernel: "Arm Power State Coordination Interface" (DEN 0022) by the "SMC Calling Convention"
//! (DEN 0028).

/// How the firmware is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// `hvc`: it sits at EL2.
    Hypervisor,
    /// `smc`: it sits at EL3.
    SecureMonitor,
}

const CPU_ON: u32 = 0xC400_0003;
const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;
const SUCCESS: i32 = 0;

/// Lets the core of an affinity (MPIDR bits, see [`crate::cores::affinity_of`]) run from a physical address. Returns whether the
/// firmware took the order (DEN 0022 5.4).
#[must_use]
pub fn start_core(conduit: Conduit, affinity: u64, entry_physical: u64) -> bool {
    call(conduit, CPU_ON, affinity, entry_physical) == SUCCESS
}

/// Resets the machine. Returns only where the firmware cannot.
pub fn reset_system(conduit: Conduit) {
    let _refused = call(conduit, SYSTEM_RESET, 0, 0);
}

/// Switches the machine off. Returns only where the firmware cannot.
pub fn power_off(conduit: Conduit) {
    let _refused = call(conduit, SYSTEM_OFF, 0, 0);
}

/// One call. The firmware may change x0 to x17 (DEN 0028 2.6, version 1.0) and keeps the rest; the fourth argument is 0.
fn call(conduit: Conduit, function: u32, first: u64, second: u64) -> i32 {
    macro_rules! call_by {
        ($instruction:literal) => {{
            let status: u64;
            // SAFETY: PSCI functions that are called here either end the machine or let another core run the kernel's entry; of
            // this core's state only the registers that are named change.
            unsafe {
                core::arch::asm!(
                    $instruction,
                    inout("x0") u64::from(function) => status,
                    inout("x1") first => _,
                    inout("x2") second => _,
                    inout("x3") 0u64 => _,
                    out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _,
                    out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                    options(nostack)
                );
            }
            status as i32
        }};
    }
    match conduit {
        Conduit::Hypervisor => call_by!("hvc #0"),
        Conduit::SecureMonitor => call_by!("smc #0"),
    }
}
