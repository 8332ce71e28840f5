//! Raspberry Pi 4 Model B, 400, Compute Module 4: addresses and wiring.
//!
//! ```text
//! 0000_0000  RAM, first page: start code and spin table     FE00_B880  mailbox      FE10_0000  power manager
//! 3B40_0000  (about) the VideoCore's part, to 1 GiB         FE20_0000  GPIO         FE20_1000  PL011
//! 4000_0000  RAM, up to FC00_0000, on 8 GB boards again     FE30_0000  legacy SD    FE34_0000  EMMC2
//!            from 1_0000_0000                               FF84_1000  GIC-400
//! ```
//! "BCM2711 ARM Peripherals" 1.2 (low-peripheral mode); Linux bcm2711.dtsi.

use super::common;
use super::raspberry_pi::{self, Board, CORES, Family, Memory, PAGE};
use crate::drivers::bcm_gpio::PullControl;
use crate::drivers::dma::MasterReach;
use crate::drivers::gic400::Gic400;
use crate::drivers::mmio::Mmio;
use crate::drivers::sdhci::{MmioBus, Sdhci, SdhciSettings, is_connected};
use crate::drivers::spin_table::SpinTable;
use crate::memory;
use crate::models::UNKNOWN_PI_4;
use barellama_arch::boot::BootFacts;
use barellama_arch::{mmu, timer};
use barellama_kernel::platform::{Clock, Machine, SD_HOSTS_MAX};
use barellama_storage::SdHost;
use heapless::Vec;
use spin::Once;
use static_cell::StaticCell;
use tock_registers::interfaces::Readable;
use tock_registers::registers::ReadOnly;

static FAMILY: Family = Family {
    base: 0xFE00_0000,
    pull_control: PullControl::PerPin,
    counter_hz: 54_000_000,
    unknown_model: &UNKNOWN_PI_4,
    ram_least_bytes: 1 << 30,
};
const LEGACY_SD: u64 = 0xFE30_0000;
const EMMC2: u64 = 0xFE34_0000;
const INTERRUPT_DISTRIBUTOR: u64 = 0xFF84_1000;
const INTERRUPT_CORE_INTERFACE: u64 = 0xFF84_2000;
/// SPI 121: all PL011s share it.
const UART_INTERRUPT: u32 = 32 + 121;

/// If the firmware does not tell.
const EMMC2_CLOCK_DEFAULT_HZ: u32 = 200_000_000;
const EMMC_CLOCK_DEFAULT_HZ: u32 = 200_000_000;
/// Low: 3.3 V, high: 1.8 V (bcm2711-rpi-4-b.dts, sd_io_1v8_reg).
const EXPANDER_SD_VOLTAGE: u32 = 128 + 4;
/// High: the card is supplied (sd_vcc_reg).
const EXPANDER_SD_POWER: u32 = 128 + 6;
const SUPPLY_SETTLE_NS: u64 = 5_000_000;
/// A card that loses its supply for 1 ms starts anew (SD Physical Layer 6.4.1.2).
const SUPPLY_OFF_NS: u64 = 10_000_000;

const CHIP_REVISION: u64 = 0xFC40_4000;
/// Of the revision: letter and number of the stepping.
const STEPPING_MASK: u32 = 0xFF;
const STEPPING_C0: u32 = 0x20;

static INTERRUPTS: Once<Gic400> = Once::new();
static CORE_STARTER: SpinTable = SpinTable;
static SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();
static LEGACY_SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();

/// Brings up the console and gathers what the kernel has to know. `None` only if the device registers cannot be mapped.
pub(super) fn machine(facts: &BootFacts) -> Option<Machine> {
    let board = raspberry_pi::bring_up(&FAMILY)?;
    let interrupts = interrupts()?;
    let ram = memory::raspberry_pi_4_ram(board.ram_bytes, board.video_core_start);
    let Memory { ram, reserved, placed_file, device_tree, claims } = board.memory(ram, facts);
    Some(Machine {
        name: board.name,
        cores: CORES,
        ram,
        reserved,
        memory_claims: claims,
        console_address: board.console_address,
        reference_clock: Some(board.timer),
        placed_file,
        device_tree,
        watchdog: board.watchdog(),
        is_emulator: board.is_emulator,
        console: &board.peripherals.console,
        interrupts,
        firmware: &board.peripherals.firmware,
        power: board.power,
        led: board.led,
        core_starter: &CORE_STARTER,
        sd_hosts: sd_hosts(&board),
    })
}

fn interrupts() -> Option<&'static Gic400> {
    let distributor = mmu::map_device(INTERRUPT_DISTRIBUTOR, PAGE).ok()?;
    let core_interface = mmu::map_device(INTERRUPT_CORE_INTERFACE, PAGE).ok()?;
    Some(INTERRUPTS.call_once(|| {
        // SAFETY: `map_device` mapped both parts for good; `call_once` makes one driver.
        unsafe { Gic400::new(distributor, core_interface, timer::INTERRUPT_ID, UART_INTERRUPT) }
    }))
}

/// The card slot's controller; behind it the legacy one, which has the slot in QEMU's machine.
fn sd_hosts(board: &Board) -> Vec<&'static mut dyn SdHost, SD_HOSTS_MAX> {
    prepare_slot(board);
    let slot_clock_hz = board.clock_hz(Clock::Emmc2, EMMC2_CLOCK_DEFAULT_HZ);
    let slot = SdhciSettings::bcm_emmc2(slot_clock_hz, emmc2_reach(board.is_emulator), connect_slot_to_emmc2);
    let legacy = SdhciSettings::bcm_legacy(board.clock_hz(Clock::Emmc, EMMC_CLOCK_DEFAULT_HZ), is_connected);
    let slot = common::sd_host(EMMC2, slot).map(|host| SLOT.init(host) as &'static mut dyn SdHost);
    let legacy = common::sd_host(LEGACY_SD, legacy).map(|host| LEGACY_SLOT.init(host) as &'static mut dyn SdHost);
    [slot, legacy].into_iter().flatten().collect()
}

fn connect_slot_to_emmc2() {
    if let Some(gpio) = raspberry_pi::gpio() {
        gpio.route_slot_to_emmc2();
    }
}

/// Which memory EMMC2's DMA reaches, by the chip's stepping (EDK2 Silicon/Broadcom, AcpiTables/Emmc.asl). QEMU has no such
/// register, and no DMA.
fn emmc2_reach(is_emulator: bool) -> MasterReach {
    let stepping = if is_emulator { None } else { chip_stepping() };
    match stepping {
        Some(STEPPING_C0..) => MasterReach::BCM2711_C0,
        _ => MasterReach::VIDEO_CORE_ALIAS,
    }
}

fn chip_stepping() -> Option<u32> {
    let address = mmu::map_device(CHIP_REVISION, size_of::<u32>() as u64).ok()?;
    // SAFETY: `map_device` mapped the register for good; it is read-only and nobody else drives it.
    let revision = unsafe { Mmio::<ReadOnly<u32>>::new(address) };
    Some(revision.get() & STEPPING_MASK)
}

/// Powers and sets to 3.3 V what the last system may have left otherwise. Firmwares that know no expander say no.
fn prepare_slot(board: &Board) {
    let firmware = &board.peripherals.firmware;
    firmware.power_sd_card();
    if firmware.set_expander_pin(EXPANDER_SD_VOLTAGE, false) && firmware.set_expander_pin(EXPANDER_SD_POWER, false) {
        // Only without supply does a card leave the 1.8 V that a system before may have switched it to.
        timer::spin_ns(SUPPLY_OFF_NS);
        firmware.set_expander_pin(EXPANDER_SD_POWER, true);
        timer::spin_ns(SUPPLY_SETTLE_NS);
    }
}
