//! Cores and power by PSCI: "Arm Power State Coordination Interface", DEN 0022.

use barellama_arch::psci::{self, Conduit};
use barellama_arch::{cores, interrupts, semihosting};
use barellama_kernel::platform::{CoreStarter, Power};

/// A firmware that knows PSCI.
pub struct Psci {
    conduit: Conduit,
    is_emulator: bool,
}

impl Psci {
    /// The firmware that is reached by `conduit`. An emulator is ended by semihosting.
    #[must_use]
    pub const fn new(conduit: Conduit, is_emulator: bool) -> Self {
        Self { conduit, is_emulator }
    }
}

impl CoreStarter for Psci {
    fn start(&self, core: usize, entry_physical: u64) -> bool {
        psci::start_core(self.conduit, cores::affinity_of(core), entry_physical)
    }
}

impl Power for Psci {
    fn reboot(&self) -> ! {
        interrupts::disable();
        psci::reset_system(self.conduit);
        barellama_arch::exceptions::stop_core()
    }

    fn halt(&self, status: u32) -> ! {
        if self.is_emulator {
            // Returns if the emulator does not listen.
            semihosting::exit(status);
        }
        interrupts::disable();
        psci::power_off(self.conduit);
        barellama_arch::exceptions::stop_core()
    }
}
