//! Raspberry Pi 3 Model B, B+, A+, Zero 2 W: addresses and wiring.
//!
//! ```text
//! 0000_0000  RAM, first page: start code and spin table     3F00_B200  interrupts   3F00_B880  mailbox
//!            the VideoCore's part at the end of 512 MB      3F10_0000  power        3F20_0000  GPIO
//!            or 1 GB (3B40_0000)                            3F20_1000  PL011        3F20_2000  SDHOST
//!                                                           3F30_0000  SD (Arasan)  4000_0000  timers, mailboxes of cores
//! ```
//! "BCM2835 ARM Peripherals" with the peripherals at 3F00_0000; "Quad-A7 control" QA7_rev3.4; Linux bcm283x.dtsi, bcm2837.dtsi.

use super::common;
use super::raspberry_pi::{self, Board, Family, FamilyParts, PAGE};
use crate::drivers::bcm_gpio::{Function, Pull, PullControl};
use crate::drivers::bcm2835_sdhost::{Bcm2835Sdhost, MmioSdhost, SdhostServices};
use crate::drivers::bcm2836_interrupts::Bcm2836Interrupts;
use crate::drivers::sdhci::{MmioBus, Sdhci, SdhciSettings};
use crate::memory;
use crate::models::UNKNOWN_PI_3;
use barellama_arch::boot::BootFacts;
use barellama_arch::{mmu, timer};
use barellama_kernel::platform::{Clock, Machine, SD_HOSTS_MAX};
use barellama_storage::SdHost;
use heapless::Vec;
use spin::Once;
use static_cell::StaticCell;

static FAMILY: Family = Family {
    base: 0x3F00_0000,
    pull_control: PullControl::Clocked,
    counter_hz: 19_200_000,
    unknown_model: &UNKNOWN_PI_3,
    ram_least_bytes: 512 << 20,
};
const LEGACY_INTERRUPTS: u64 = 0x3F00_B200;
const LOCAL_INTERRUPTS: u64 = 0x4000_0000;
const SDHOST: u64 = 0x3F20_2000;
const ARASAN: u64 = 0x3F30_0000;
/// Of the legacy controller's 64.
const UART_INTERRUPT: u32 = 57;

/// Alternative 0 connects SDHOST with the slot, alternative 3 the Arasan controller, which can have WLAN instead.
const PINS_SLOT: core::ops::RangeInclusive<usize> = 48..=53;
const PIN_SLOT_CLOCK: usize = 48;
const PINS_WLAN: core::ops::RangeInclusive<usize> = 34..=39;
/// The fastest that boards have: a divider for it is never too small.
const CORE_CLOCK_DEFAULT_HZ: u32 = 400_000_000;

static INTERRUPTS: Once<Bcm2836Interrupts> = Once::new();
static SDHOST_PLACE: StaticCell<Bcm2835Sdhost<MmioSdhost>> = StaticCell::new();
static ARASAN_PLACE: StaticCell<Sdhci<MmioBus>> = StaticCell::new();

/// Brings up the console and gathers what the kernel has to know. `None` only if the device registers cannot be mapped.
pub(super) fn machine(facts: &BootFacts) -> Option<Machine> {
    let board = raspberry_pi::bring_up(&FAMILY)?;
    let ram = memory::raspberry_pi_3_ram(board.ram_bytes, board.video_core_start);
    // No register that is known tells the BCM2837's.
    let chip_stepping = None;
    let sd_hosts = sd_hosts(&board);
    Some(board.machine(FamilyParts { ram, interrupts: interrupts()?, chip_stepping, sd_hosts }, facts))
}

fn interrupts() -> Option<&'static Bcm2836Interrupts> {
    let local = mmu::map_device(LOCAL_INTERRUPTS, PAGE).ok()?;
    let legacy = mmu::map_device(LEGACY_INTERRUPTS, PAGE - LEGACY_INTERRUPTS % PAGE).ok()?;
    Some(INTERRUPTS.call_once(|| {
        // SAFETY: `map_device` mapped both parts for good; `call_once` makes one driver, and the mailbox's driver, which shares a
        // page with it, uses other registers.
        unsafe { Bcm2836Interrupts::new(local, legacy, UART_INTERRUPT) }
    }))
}

/// SDHOST, which Linux uses for the slot; behind it the other controller, which can have the slot too.
fn sd_hosts(board: &Board) -> Vec<&'static mut dyn SdHost, SD_HOSTS_MAX> {
    board.peripherals.firmware.power_sd_card();
    let arasan = SdhciSettings::bcm_legacy(board.emmc_clock_hz(), connect_slot_to_arasan);
    let sdhost = sdhost(board.clock_hz(Clock::Core, CORE_CLOCK_DEFAULT_HZ));
    let arasan = common::sd_host(ARASAN, arasan).map(|host| ARASAN_PLACE.init(host) as &'static mut dyn SdHost);
    [sdhost, arasan].into_iter().flatten().collect()
}

fn sdhost(core_clock_hz: u32) -> Option<&'static mut dyn SdHost> {
    let address = mmu::map_device(SDHOST, PAGE).ok()?;
    let services = SdhostServices {
        now_ns: timer::now_ns,
        connect_slot: connect_slot_to_sdhost,
        firmware_clock_hz: raspberry_pi::sdhost_clock_hz,
    };
    // SAFETY: `map_device` mapped the controller's registers for good; the place is filled once, by the one call at boot.
    let bus = unsafe { MmioSdhost::new(address, services) };
    Some(SDHOST_PLACE.init(Bcm2835Sdhost::new(bus, core_clock_hz)))
}

fn connect_slot_to_sdhost() {
    connect_slot(Function::Alternative0);
}

fn connect_slot_to_arasan() {
    connect_slot(Function::Alternative3);
}

/// The slot, not WLAN, with a controller: the firmware leaves either.
fn connect_slot(function: Function) {
    let Some(gpio) = raspberry_pi::gpio() else { return };
    for pin in PINS_WLAN {
        gpio.set_function(pin, Function::Input);
    }
    for pin in PINS_SLOT {
        gpio.set_pull(pin, if pin == PIN_SLOT_CLOCK { Pull::None } else { Pull::Up });
        gpio.set_function(pin, function);
    }
}
