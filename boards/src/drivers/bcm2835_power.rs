//! Reset, power-down and watchdog by the power manager (BCM2835 and later).
//!
//! Not in the public datasheet; registers as in Linux drivers/watchdog/bcm2835_wdt.c, reset status as the firmware's `get_rsts`.

use barellama_kernel::platform::ResetCause;

/// Offsets of the registers that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Register {
    /// RSTC: what the end of the count does.
    ResetControl = 0x1C,
    /// RSTS: why the board was reset, and what the firmware shall do next time.
    ResetStatus = 0x20,
    /// WDOG: ticks of 1/65536 s to the end.
    Watchdog = 0x24,
}

/// How the driver reaches its registers: memory-mapped words, or a fake in tests.
pub trait PowerBus {
    /// Reads a word.
    fn read(&self, register: Register) -> u32;
    /// Writes a word.
    fn write(&self, register: Register, value: u32);
}

/// Every write carries this in the upper byte.
const PASSWORD: u32 = 0x5A00_0000;
const PASSWORD_BITS: u32 = 0xFF00_0000;
/// 16 ticks are 0.24 ms.
const RESET_TICKS: u32 = 10;
const TICKS_PER_SECOND: u64 = 1 << 16;
/// The counter has 20 bits: a little less than 16 s.
const TICKS_MAX: u64 = 0xF_FFFF;
const CONFIGURATION: u32 = 0x30;
const FULL_RESET: u32 = 0x20;
/// The bits 0, 2, 4, 6, 8, 10 name the partition to boot from; 63 means: halt.
const PARTITION: u32 = 0x555;
/// RSTS: there was a full reset by debugger, watchdog, or software (HADDRF, HADWRF, HADSRF), or power came (HADPOR).
const WAS_DEBUGGER: u32 = 1 << 1;
const WAS_WATCHDOG: u32 = 1 << 5;
const WAS_SOFTWARE: u32 = 1 << 9;
const WAS_POWER_ON: u32 = 1 << 12;

/// The power manager.
pub struct PowerManager<B> {
    bus: B,
}

impl<B: PowerBus> PowerManager<B> {
    /// The power manager behind `bus`. Nothing is touched before the first call.
    #[must_use]
    pub const fn new(bus: B) -> Self {
        Self { bus }
    }

    /// Starts the watchdog, or starts it anew: a full reset follows after `timeout_ms`. Returns the time that was set, which is at
    /// most 15,999 ms.
    pub fn arm(&self, timeout_ms: u32) -> u32 {
        let ticks = (u64::from(timeout_ms) * TICKS_PER_SECOND / 1000).clamp(1, TICKS_MAX);
        self.count_down(ticks as u32);
        (ticks * 1000 / TICKS_PER_SECOND) as u32
    }

    /// Resets the board at once, to boot as before.
    pub fn reset(&self) {
        self.reset_to(0);
    }

    /// Resets the board into the firmware's halt.
    pub fn power_off(&self) {
        self.reset_to(PARTITION);
    }

    /// Why the board was reset last. A reset that was asked for is one of the watchdog, too: it is the only way.
    #[must_use]
    pub fn reset_cause(&self) -> ResetCause {
        let status = self.bus.read(Register::ResetStatus);
        // HADPOR stays set over later resets.
        if status & WAS_WATCHDOG != 0 {
            ResetCause::Watchdog
        } else if status & WAS_SOFTWARE != 0 {
            ResetCause::Software
        } else if status & WAS_DEBUGGER != 0 {
            ResetCause::Debugger
        } else if status & WAS_POWER_ON != 0 {
            ResetCause::PowerOn
        } else {
            ResetCause::Unknown
        }
    }

    fn reset_to(&self, partition: u32) {
        let status = self.bus.read(Register::ResetStatus) & !PARTITION & !PASSWORD_BITS;
        self.bus.write(Register::ResetStatus, PASSWORD | status | partition);
        self.count_down(RESET_TICKS);
    }

    fn count_down(&self, ticks: u32) {
        self.bus.write(Register::Watchdog, PASSWORD | ticks);
        let control = self.bus.read(Register::ResetControl) & !CONFIGURATION & !PASSWORD_BITS;
        self.bus.write(Register::ResetControl, PASSWORD | control | FULL_RESET);
    }
}

#[cfg(target_os = "none")]
pub use driver::{Bcm2835Power, MmioPowerBus};

#[cfg(target_os = "none")]
mod driver {
    use super::{PowerBus, PowerManager, Register};
    use crate::drivers::mmio::Mmio;
    use barellama_arch::{exceptions, interrupts, semihosting};
    use barellama_kernel::platform::{Power, ResetCause, Watchdog};
    use tock_registers::interfaces::{Readable, Writeable};
    use tock_registers::registers::ReadWrite;

    /// Words up to the end of the registers that are used.
    const WORDS: usize = 10;

    /// The registers in memory.
    pub struct MmioPowerBus(Mmio<[ReadWrite<u32>; WORDS]>);

    impl PowerBus for MmioPowerBus {
        fn read(&self, register: Register) -> u32 {
            // In bounds: the last register is word 9.
            self.0[register as usize / 4].get()
        }

        fn write(&self, register: Register, value: u32) {
            self.0[register as usize / 4].set(value);
        }
    }

    /// Reset, power-down and watchdog of a Raspberry Pi.
    pub struct Bcm2835Power {
        manager: PowerManager<MmioPowerBus>,
        is_emulator: bool,
    }

    impl Bcm2835Power {
        /// The power manager whose registers appear at `address`. An emulator is ended by semihosting.
        ///
        /// # Safety
        /// The registers are mapped at `address` for good, and nobody else drives them.
        #[must_use]
        pub unsafe fn new(address: usize, is_emulator: bool) -> Self {
            // SAFETY: the caller says that the registers are there for good; all words are register cells.
            let bus = MmioPowerBus(unsafe { Mmio::new(address) });
            Self { manager: PowerManager::new(bus), is_emulator }
        }
    }

    impl Power for Bcm2835Power {
        fn reboot(&self) -> ! {
            interrupts::disable();
            self.manager.reset();
            exceptions::stop_core()
        }

        fn halt(&self, status: u32) -> ! {
            if self.is_emulator {
                // Returns if the emulator does not listen.
                semihosting::exit(status);
            }
            interrupts::disable();
            self.manager.power_off();
            exceptions::stop_core()
        }

        fn reset_cause(&self) -> ResetCause {
            self.manager.reset_cause()
        }
    }

    impl Watchdog for Bcm2835Power {
        fn feed(&self, timeout_ms: u32) -> u32 {
            self.manager.arm(timeout_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    /// Reads give fixed values; writes are kept in their order.
    struct Fake {
        reset_control: u32,
        reset_status: u32,
        writes: RefCell<Vec<(Register, u32)>>,
    }

    impl PowerBus for &Fake {
        fn read(&self, register: Register) -> u32 {
            match register {
                Register::ResetControl => self.reset_control,
                Register::ResetStatus => self.reset_status,
                Register::Watchdog => panic!("the count is not read"),
            }
        }

        fn write(&self, register: Register, value: u32) {
            self.writes.borrow_mut().push((register, value));
        }
    }

    fn fake(reset_control: u32, reset_status: u32) -> Fake {
        Fake { reset_control, reset_status, writes: RefCell::default() }
    }

    #[test]
    fn arming_writes_the_count_then_the_kind_of_reset() {
        let fake = fake(0x0000_0112, 0x1000);
        let manager = PowerManager::new(&fake);
        assert_eq!(manager.arm(1000), 1000);
        let expected = [(Register::Watchdog, 0x5A01_0000), (Register::ResetControl, 0x5A00_0122)];
        assert_eq!(*fake.writes.borrow(), expected);
    }

    #[test]
    fn feeding_is_arming_again() {
        let fake = fake(0x0000_0122, 0x1000);
        let manager = PowerManager::new(&fake);
        manager.arm(15_000);
        manager.arm(15_000);
        let once = [(Register::Watchdog, 0x5A0F_0000), (Register::ResetControl, 0x5A00_0122)];
        assert_eq!(*fake.writes.borrow(), [once, once].concat());
    }

    #[test]
    fn times_are_cut_to_what_the_counter_holds() {
        let fake = fake(0, 0);
        let manager = PowerManager::new(&fake);
        assert_eq!(manager.arm(u32::MAX), 15_999);
        assert_eq!(manager.arm(0), 0);
        let counts = fake.writes.borrow().iter().step_by(2).map(|write| write.1).collect::<Vec<_>>();
        assert_eq!(counts, [0x5A0F_FFFF, 0x5A00_0001]);
    }

    #[test]
    fn a_reboot_clears_the_partition_and_a_halt_sets_63() {
        let reboot = fake(0x0000_0102, 0x1000 | 0x555);
        PowerManager::new(&reboot).reset();
        let expected = [
            (Register::ResetStatus, 0x5A00_1000),
            (Register::Watchdog, 0x5A00_000A),
            (Register::ResetControl, 0x5A00_0122),
        ];
        assert_eq!(*reboot.writes.borrow(), expected);
        let halt = fake(0x0000_0102, 0x1020);
        PowerManager::new(&halt).power_off();
        assert_eq!(halt.writes.borrow()[0], (Register::ResetStatus, 0x5A00_1575));
    }

    #[test]
    fn the_cause_of_the_last_reset_is_read() {
        let cause = |status| PowerManager::new(&fake(0, status)).reset_cause();
        assert_eq!(cause(0x1000), ResetCause::PowerOn);
        assert_eq!(cause(0x1020), ResetCause::Watchdog);
        assert_eq!(cause(0x1575), ResetCause::Watchdog, "with a partition in the even bits");
        assert_eq!(cause(0x1200), ResetCause::Software);
        assert_eq!(cause(0x1002), ResetCause::Debugger);
        assert_eq!(cause(0x0555), ResetCause::Unknown);
    }
}
