//! Raspberry Pi 4 Model B: addresses and wiring.
//!
//! ```text
//! 0000_0000  RAM, first page: start code and spin table     FE00_B880  mailbox      FE10_0000  power manager
//! 3B40_0000  (about) the VideoCore's part, to 1 GiB         FE20_0000  GPIO         FE20_1000  PL011
//! 4000_0000  RAM, up to FC00_0000, on 8 GB boards again     FE30_0000  legacy SD    FE34_0000  EMMC2
//!            from 1_0000_0000                               FF84_1000  GIC-400
//! ```
//! "BCM2711 ARM Peripherals" 1.2 (low-peripheral mode); Linux bcm2711.dtsi.

use crate::device_tree::{self, TreeFacts};
use crate::drivers::bcm2711_gpio::{Bcm2711Gpio, Function, Pull};
use crate::drivers::bcm2835_mailbox::Bcm2835Mailbox;
use crate::drivers::bcm2835_power::Bcm2835Power;
use crate::drivers::firmware::VideoCoreFirmware;
use crate::drivers::gic400::Gic400;
use crate::drivers::led::PinLed;
use crate::drivers::pl011::Pl011;
use crate::drivers::sdhci::{MmioBus, Sdhci, SdhciSettings};
use crate::drivers::spin_table::SpinTable;
use crate::memory;
use barellama_arch::boot::BootFacts;
use barellama_arch::{exceptions, mmu, registers, timer};
use barellama_kernel::platform::{Clock, EXTENTS_MAX, Firmware, Machine, PhysicalRange, Power, SD_HOSTS_MAX};
use barellama_storage::SdHost;
use core::fmt::Write;
use heapless::Vec;
use spin::Once;
use static_cell::StaticCell;

const MAILBOX: u64 = 0xFE00_B880;
const POWER_MANAGER: u64 = 0xFE10_0000;
const GPIO: u64 = 0xFE20_0000;
const UART: u64 = 0xFE20_1000;
const LEGACY_SD: u64 = 0xFE30_0000;
const EMMC2: u64 = 0xFE34_0000;
const INTERRUPT_DISTRIBUTOR: u64 = 0xFF84_1000;
const INTERRUPT_CORE_INTERFACE: u64 = 0xFF84_2000;
const PAGE: u64 = 4096;
/// SPI 121: all PL011s share it.
const UART_INTERRUPT: u32 = 32 + 121;

const PIN_TRANSMIT: usize = 14;
const PIN_RECEIVE: usize = 15;
/// Where the firmware may have connected the same UART to Bluetooth.
const PINS_BLUETOOTH: [usize; 2] = [32, 33];
const PIN_ACTIVITY_LED: usize = 42;

const BAUD: u32 = 115_200;
/// What `init_uart_clock` sets unless config.txt says otherwise.
const UART_CLOCK_DEFAULT_HZ: u32 = 48_000_000;
/// If the firmware does not tell.
const EMMC2_CLOCK_DEFAULT_HZ: u32 = 200_000_000;
const EMMC_CLOCK_DEFAULT_HZ: u32 = 200_000_000;
/// Low: 3.3 V, high: 1.8 V (bcm2711-rpi-4-b.dts, sd_io_1v8_reg).
const EXPANDER_SD_VOLTAGE: u32 = 128 + 4;
/// High: the card is supplied (sd_vcc_reg).
const EXPANDER_SD_POWER: u32 = 128 + 6;
const SUPPLY_SETTLE_NS: u64 = 5_000_000;
/// Where the VideoCore's part begins at the latest with the default `gpu_mem`; used if the firmware does not answer.
const VIDEO_CORE_START_DEFAULT: u64 = 0x3000_0000;
const RAM_DEFAULT_BYTES: u64 = 1 << 30;
const CORES: usize = 4;
/// Lists leave this many places for the kernel's own entries.
const PLACES_KEPT: usize = 2;

/// The drivers of the board.
struct Drivers {
    gpio: Bcm2711Gpio,
    console: Pl011,
    interrupts: Gic400,
    firmware: VideoCoreFirmware,
}

static DRIVERS: Once<Drivers> = Once::new();
static POWER: Once<Bcm2835Power> = Once::new();
static LED: Once<PinLed> = Once::new();
static CORE_STARTER: SpinTable = SpinTable;
static SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();
static LEGACY_SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();

/// Brings up the console and gathers what the kernel has to know. `None` only if the device registers cannot be mapped.
pub(super) fn machine(facts: &BootFacts) -> Option<Machine> {
    let drivers = drivers()?;
    exceptions::set_report_writer(write_report);
    start_console(drivers);
    let is_emulator = is_emulator(&drivers.firmware);
    let power = power(is_emulator)?;
    exceptions::set_halt_hook(halt_after_report);
    let led = LED.call_once(|| PinLed::new(&drivers.gpio, PIN_ACTIVITY_LED));

    let ram = ram(&drivers.firmware);
    let mut reserved = Vec::new();
    reserve(&mut reserved, PhysicalRange { start: 0, bytes: PAGE });
    let tree = read_device_tree(facts.argument, &ram, &mut reserved);
    if !is_emulator {
        report_disagreement(&ram, &tree.ram);
    }
    let placed_file = tree.placed_file.filter(|file| memory::contains(&ram, file.start, file.bytes));
    Some(Machine {
        name: if is_emulator { "Raspberry Pi 4 (QEMU raspi4b)" } else { "Raspberry Pi 4" },
        cores: CORES,
        ram,
        reserved,
        placed_file,
        has_watchdog: !is_emulator,
        is_emulator,
        console: &drivers.console,
        interrupts: &drivers.interrupts,
        firmware: &drivers.firmware,
        power,
        led,
        core_starter: &CORE_STARTER,
        sd_hosts: sd_hosts(drivers),
    })
}

fn drivers() -> Option<&'static Drivers> {
    let mailbox = mmu::map_device(MAILBOX, PAGE - MAILBOX % PAGE).ok()?;
    let gpio = mmu::map_device(GPIO, PAGE).ok()?;
    let uart = mmu::map_device(UART, PAGE).ok()?;
    let distributor = mmu::map_device(INTERRUPT_DISTRIBUTOR, PAGE).ok()?;
    let core_interface = mmu::map_device(INTERRUPT_CORE_INTERFACE, PAGE).ok()?;
    Some(DRIVERS.call_once(|| {
        // SAFETY: `map_device` mapped each chip's registers, at the addresses that the board's manual gives; devices are never
        // unmapped, and `call_once` makes one driver of each.
        unsafe {
            Drivers {
                gpio: Bcm2711Gpio::new(gpio),
                console: Pl011::new(uart),
                interrupts: Gic400::new(distributor, core_interface, timer::INTERRUPT_ID, UART_INTERRUPT),
                firmware: VideoCoreFirmware::new(Bcm2835Mailbox::new(mailbox)),
            }
        }
    }))
}

fn power(is_emulator: bool) -> Option<&'static Bcm2835Power> {
    let address = mmu::map_device(POWER_MANAGER, PAGE).ok()?;
    // SAFETY: `map_device` mapped the power manager's registers for good; `call_once` makes one driver.
    Some(POWER.call_once(|| unsafe { Bcm2835Power::new(address, is_emulator) }))
}

/// Puts the PL011 on the header's pins 8 and 10 and programs it for the clock that the firmware tells.
fn start_console(drivers: &Drivers) {
    for pin in PINS_BLUETOOTH {
        drivers.gpio.set_function(pin, Function::Input);
    }
    drivers.gpio.set_pull(PIN_TRANSMIT, Pull::None);
    drivers.gpio.set_pull(PIN_RECEIVE, Pull::Up);
    drivers.gpio.set_function(PIN_TRANSMIT, Function::Alternative0);
    drivers.gpio.set_function(PIN_RECEIVE, Function::Alternative0);
    let clock_hz = drivers
        .firmware
        .measured_clock_hz(Clock::Uart)
        .or_else(|| drivers.firmware.clock_hz(Clock::Uart))
        .map_or(UART_CLOCK_DEFAULT_HZ, round_to_kilohertz);
    drivers.console.start(clock_hz, BAUD);
}

/// A measured rate jitters by some ten Hz.
const fn round_to_kilohertz(hertz: u32) -> u32 {
    hertz.saturating_add(500) / 1000 * 1000
}

/// The card slot's controller; behind it the legacy one, which has the slot in QEMU's machine.
fn sd_hosts(drivers: &Drivers) -> Vec<&'static mut dyn SdHost, SD_HOSTS_MAX> {
    prepare_slot(drivers);
    let base_clock = |clock, default_hz| drivers.firmware.clock_hz(clock).unwrap_or(default_hz);
    let slot = SdhciSettings::bcm_emmc2(base_clock(Clock::Emmc2, EMMC2_CLOCK_DEFAULT_HZ));
    let legacy = SdhciSettings::bcm_legacy(base_clock(Clock::Emmc, EMMC_CLOCK_DEFAULT_HZ));
    let mut hosts: Vec<&'static mut dyn SdHost, SD_HOSTS_MAX> = Vec::new();
    for (address, settings, place) in [(EMMC2, slot, &SLOT), (LEGACY_SD, legacy, &LEGACY_SLOT)] {
        let Ok(address) = mmu::map_device(address, PAGE) else { continue };
        // SAFETY: `map_device` mapped the controller's registers for good; each place is filled once, by this one call at boot.
        let bus = unsafe { MmioBus::new(address, timer::now_ns) };
        // The list has a place for both.
        let _ = hosts.push(place.init(Sdhci::new(bus, settings)));
    }
    hosts
}

/// Connects, powers and sets to 3.3 V what the last system may have left otherwise. Firmwares that know no expander say no.
fn prepare_slot(drivers: &Drivers) {
    drivers.gpio.route_slot_to_emmc2();
    drivers.firmware.power_sd_card();
    let was_set = drivers.firmware.set_expander_pin(EXPANDER_SD_VOLTAGE, false)
        && drivers.firmware.set_expander_pin(EXPANDER_SD_POWER, true);
    if was_set {
        timer::spin_ns(SUPPLY_SETTLE_NS);
    }
}

/// Whether this is QEMU. All three must hold, and the first alone is impossible on a board: its start code sets CNTFRQ_EL0 to
/// 54 MHz. QEMU's firmware always calls itself 346337 and has no serial number (hw/misc/bcm2835_property.c).
fn is_emulator(firmware: &VideoCoreFirmware) -> bool {
    const BOARD_COUNTER_HZ: u64 = 54_000_000;
    const EMULATED_FIRMWARE: u32 = 346_337;
    registers::counter_frequency_hz() != BOARD_COUNTER_HZ
        && firmware.revision() == Some(EMULATED_FIRMWARE)
        && firmware.board_serial() == Some(0)
}

/// RAM by board revision and the firmware's split of the first GiB.
fn ram(firmware: &VideoCoreFirmware) -> Vec<PhysicalRange, EXTENTS_MAX> {
    let total_bytes = firmware.board_revision().and_then(memory::ram_bytes_by_revision).unwrap_or(RAM_DEFAULT_BYTES);
    let arm_end = firmware.arm_memory().map(|range| range.end());
    let video_core_start = firmware.video_core_memory().map(|range| range.start);
    let split = match (arm_end, video_core_start) {
        (Some(arm_end), Some(video_core_start)) => arm_end.min(video_core_start),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => VIDEO_CORE_START_DEFAULT,
    };
    memory::raspberry_pi_4_ram(total_bytes, split)
}

/// Reads the device tree that the firmware left, if there is one in RAM, and adds what it reserves.
fn read_device_tree(address: u64, ram: &[PhysicalRange], reserved: &mut Vec<PhysicalRange, EXTENTS_MAX>) -> TreeFacts {
    let Some(bytes) = device_tree_bytes(address, ram) else { return TreeFacts::default() };
    reserve(reserved, PhysicalRange { start: address, bytes: bytes as u64 });
    let Ok(Some(tree)) = mmu::with_physical(address, bytes, device_tree::read) else {
        say(format_args!("The device tree at {address:#x} is damaged: ignored.\n"));
        return TreeFacts::default();
    };
    for range in &tree.reserved {
        reserve(reserved, *range);
    }
    if tree.dropped != 0 {
        say(format_args!("The device tree has {} memory ranges too many.\n", tree.dropped));
    }
    tree
}

fn device_tree_bytes(address: u64, ram: &[PhysicalRange]) -> Option<usize> {
    if !memory::contains(ram, address, device_tree::HEADER_BYTES as u64) || !address.is_multiple_of(8) {
        return None;
    }
    let bytes = mmu::with_physical(address, device_tree::HEADER_BYTES, device_tree::length).ok()??;
    memory::contains(ram, address, bytes as u64).then_some(bytes)
}

/// The board's revision counts; a tree that differs is mentioned. (QEMU's tree knows the first GiB only, always.)
fn report_disagreement(by_revision: &[PhysicalRange], by_tree: &[PhysicalRange]) {
    let (by_revision, by_tree) = (memory::total_bytes(by_revision), memory::total_bytes(by_tree));
    if by_tree != 0 && by_tree != by_revision {
        say(format_args!(
            "RAM: {} MiB by the board's revision, {} MiB by the device tree; the revision is taken.\n",
            by_revision >> 20,
            by_tree >> 20
        ));
    }
}

fn reserve(reserved: &mut Vec<PhysicalRange, EXTENTS_MAX>, range: PhysicalRange) {
    if reserved.len() + PLACES_KEPT >= EXTENTS_MAX || reserved.push(range).is_err() {
        say(format_args!("Too many reserved ranges: {:#x} is not kept free.\n", range.start));
    }
}

fn say(text: core::fmt::Arguments<'_>) {
    // The writer never fails.
    let _ = exceptions::report_writer().write_fmt(text);
}

fn write_report(byte: u8) {
    if let Some(drivers) = DRIVERS.get() {
        drivers.console.write_blocking(byte);
    }
}

/// After a report of a kernel fault: the LED stays as it is; an emulator ends with a failure, a board halts until it is reset.
fn halt_after_report() -> ! {
    use barellama_kernel::platform::Console;
    const STATUS_KERNEL_FAULT: u32 = 101;
    if let Some(drivers) = DRIVERS.get() {
        drivers.console.flush();
    }
    match POWER.get() {
        Some(power) if power.is_emulator() => power.halt(STATUS_KERNEL_FAULT),
        _ => exceptions::stop_core(),
    }
}
