//! Raspberry Pi 4 Model B, 400, Compute Module 4: addresses and wiring.
//!
//! ```text
//! 0000_0000  RAM, first page: start code and spin table     FE00_B880  mailbox      FE10_0000  power manager
//!                                                           FE00_7000  DMA engine
//! 3B40_0000  (about) the VideoCore's part, to 1 GiB         FE20_0000  GPIO         FE20_1000  PL011
//! 4000_0000  RAM, up to FC00_0000, on 8 GB boards again     FE30_0000  legacy SD    FE34_0000  EMMC2
//!            from 1_0000_0000                               FF84_1000  GIC-400
//! ```
//! "BCM2711 ARM Peripherals" 1.2 (low-peripheral mode); Linux bcm2711.dtsi.

use super::common;
use super::raspberry_pi::{self, Board, Family, FamilyParts, PAGE};
use crate::drivers::bcm_gpio::PullControl;
use crate::drivers::bcm2835_dma::{self, Port};
use crate::drivers::card_supply;
use crate::drivers::dma::MasterReach;
use crate::drivers::gic400::Gic400;
use crate::drivers::mmio::Mmio;
use crate::drivers::sdhci::{EngineChannel, MmioBus, Sdhci, SdhciSettings, is_connected};
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
const DMA_ENGINE: u64 = 0xFE00_7000;
/// The data port of the legacy controller on the VideoCore's bus, where the peripherals begin at 7E00_0000.
const LEGACY_SD_PORT: Port = Port { address: 0x7E30_0020, request_line: 11 };
const INTERRUPT_DISTRIBUTOR: u64 = 0xFF84_1000;
const INTERRUPT_CORE_INTERFACE: u64 = 0xFF84_2000;
/// SPI 121: all PL011s share it.
const UART_INTERRUPT: u32 = 32 + 121;

/// If the firmware does not tell.
const EMMC2_CLOCK_DEFAULT_HZ: u32 = 200_000_000;

const CHIP_REVISION: u64 = 0xFC40_4000;
const STEPPING_C0: u8 = 0x20;

static INTERRUPTS: Once<Gic400> = Once::new();
static SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();
static LEGACY_SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();

/// Brings up the console and gathers what the kernel has to know. `None` only if the device registers cannot be mapped.
pub(super) fn machine(facts: &BootFacts) -> Option<Machine> {
    let board = raspberry_pi::bring_up(&FAMILY)?;
    let ram = memory::raspberry_pi_4_ram(board.ram_bytes, board.video_core_start);
    let chip_stepping = chip_stepping(board.is_emulator);
    let sd_hosts = sd_hosts(&board, chip_stepping);
    Some(board.machine(FamilyParts { ram, interrupts: interrupts()?, chip_stepping, sd_hosts }, facts))
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
fn sd_hosts(board: &Board, chip_stepping: Option<u8>) -> Vec<&'static mut dyn SdHost, SD_HOSTS_MAX> {
    let firmware = &board.peripherals.firmware;
    firmware.power_sd_card();
    card_supply::restart(|pin, is_high| firmware.set_expander_pin(pin, is_high), timer::spin_ns);
    let slot_clock_hz = board.clock_hz(Clock::Emmc2, EMMC2_CLOCK_DEFAULT_HZ);
    let slot = SdhciSettings::bcm_emmc2(slot_clock_hz, emmc2_reach(chip_stepping), connect_slot_to_emmc2);
    let legacy = SdhciSettings::bcm_legacy(board.emmc_clock_hz(), is_connected);
    let legacy = emulators_engine(board).map_or(legacy, |engine| legacy.with_engine(engine));
    // The legacy one first: in QEMU the card is its, and so are the buffers of DMA.
    let legacy = common::sd_host(LEGACY_SD, legacy).map(|host| LEGACY_SLOT.init(host) as &'static mut dyn SdHost);
    let slot = common::sd_host(EMMC2, slot).map(|host| SLOT.init(host) as &'static mut dyn SdHost);
    [slot, legacy].into_iter().flatten().collect()
}

/// The DMA engine's channel for the legacy controller, in QEMU alone: a board's card is EMMC2's, which has DMA of its own.
fn emulators_engine(board: &Board) -> Option<EngineChannel> {
    if !board.is_emulator {
        return None;
    }
    let channel = bcm2835_dma::lowest_channel(board.peripherals.firmware.dma_channels()?)?;
    let address = DMA_ENGINE + u64::from(channel) * bcm2835_dma::CHANNEL_STRIDE_BYTES;
    Some(EngineChannel { address, port: LEGACY_SD_PORT })
}

fn connect_slot_to_emmc2() {
    if let Some(gpio) = raspberry_pi::gpio() {
        gpio.route_slot_to_emmc2();
    }
}

/// Which memory EMMC2's DMA reaches, by the chip's stepping (EDK2 Silicon/Broadcom, AcpiTables/Emmc.asl).
fn emmc2_reach(chip_stepping: Option<u8>) -> MasterReach {
    match chip_stepping {
        Some(STEPPING_C0..) => MasterReach::BCM2711_C0,
        _ => MasterReach::VIDEO_CORE_ALIAS,
    }
}

/// Letter and number of the chip's stepping. QEMU has no such register.
fn chip_stepping(is_emulator: bool) -> Option<u8> {
    if is_emulator {
        return None;
    }
    let address = mmu::map_device(CHIP_REVISION, size_of::<u32>() as u64).ok()?;
    // SAFETY: `map_device` mapped the register for good; it is read-only and nobody else drives it.
    let revision = unsafe { Mmio::<ReadOnly<u32>>::new(address) };
    let [.., stepping] = revision.get().to_be_bytes();
    Some(stepping)
}
