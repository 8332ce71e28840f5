//! What the Pis up to 4 have in common: mailbox, pins, PL011 and power manager at fixed distances from a base, and the firmware's
//! split of the first GiB.

use super::common;
use crate::drivers::bcm_gpio::{BcmGpio, Function, Pull, PullControl};
use crate::drivers::bcm2835_mailbox::Bcm2835Mailbox;
use crate::drivers::bcm2835_power::Bcm2835Power;
use crate::drivers::bcm2835_timer::Bcm2835Timer;
use crate::drivers::firmware::VideoCoreFirmware;
use crate::drivers::led::BoardLed;
use crate::drivers::pl011::Pl011;
use crate::drivers::spin_table::SpinTable;
use crate::memory;
use crate::models::Model;
use barellama_arch::boot::BootFacts;
use barellama_arch::{mmu, registers, timer};
use barellama_kernel::platform::{
    Clock, EXTENTS_MAX, Firmware, InterruptController, Machine, MemoryClaims, PhysicalRange, SD_HOSTS_MAX, Watchdog,
};
use barellama_storage::SdHost;
use heapless::Vec;
use spin::Once;

const SYSTEM_TIMER: u64 = 0x0000_3000;
const MAILBOX: u64 = 0x0000_B880;
const POWER_MANAGER: u64 = 0x0010_0000;
const GPIO: u64 = 0x0020_0000;
const UART: u64 = 0x0020_1000;
pub(super) const PAGE: u64 = 4096;

const PIN_TRANSMIT: usize = 14;
const PIN_RECEIVE: usize = 15;
/// Where the firmware may have connected the same UART to Bluetooth.
const PINS_BLUETOOTH: [usize; 2] = [32, 33];

const BAUD: u32 = 115_200;
/// What `init_uart_clock` sets unless config.txt says otherwise.
const UART_CLOCK_DEFAULT_HZ: u32 = 48_000_000;
/// Where the VideoCore's part begins at the latest with the default `gpu_mem`; used if the firmware does not answer.
const VIDEO_CORE_START_DEFAULT: u64 = 0x3000_0000;
/// Rate of the legacy card controller's clock, if the firmware does not tell.
const EMMC_CLOCK_DEFAULT_HZ: u32 = 200_000_000;
const CORES: usize = 4;

/// How one family of boards differs from another.
pub(super) struct Family {
    /// Physical address of the peripherals.
    pub base: u64,
    /// How the pins' resistors are chosen.
    pub pull_control: PullControl,
    /// What the start code sets CNTFRQ_EL0 to.
    pub counter_hz: u64,
    /// If the revision is not known.
    pub unknown_model: &'static Model,
    /// RAM of the smallest model, if the firmware does not answer.
    pub ram_least_bytes: u64,
}

/// Drivers of what the families have in common.
pub(super) struct Peripherals {
    pub gpio: BcmGpio,
    pub console: Pl011,
    pub firmware: VideoCoreFirmware,
}

/// The board, with its console running.
pub(super) struct Board {
    pub peripherals: &'static Peripherals,
    power: &'static Bcm2835Power,
    timer: &'static Bcm2835Timer,
    /// Physical address of the console's registers.
    console_address: u64,
    /// RAM by the board's revision, if it tells.
    revision_bytes: Option<u64>,
    led: &'static BoardLed,
    pub is_emulator: bool,
    name: &'static str,
    /// RAM by the revision.
    pub ram_bytes: u64,
    /// Where the Arm's part of the first GiB ends.
    pub video_core_start: u64,
}

/// What a family adds to what all of them have.
pub(super) struct FamilyParts {
    /// RAM that the Arm may use, with the size that the board's revision tells.
    pub ram: Vec<PhysicalRange, EXTENTS_MAX>,
    pub interrupts: &'static dyn InterruptController,
    /// Letter and number of the SoC's stepping; see [`Machine::chip_stepping`].
    pub chip_stepping: Option<u8>,
    pub sd_hosts: Vec<&'static mut dyn SdHost, SD_HOSTS_MAX>,
}

static PERIPHERALS: Once<Peripherals> = Once::new();
static POWER: Once<Bcm2835Power> = Once::new();
static TIMER: Once<Bcm2835Timer> = Once::new();
static LED: Once<BoardLed> = Once::new();
static CORE_STARTER: SpinTable = SpinTable;

/// Brings up the console and asks the firmware what board it is. `None` only if the device registers cannot be mapped.
pub(super) fn bring_up(family: &Family) -> Option<Board> {
    timer::assume_frequency(family.counter_hz);
    let peripherals = peripherals(family)?;
    common::report_to(&peripherals.console);
    start_console(peripherals);
    let firmware = &peripherals.firmware;
    let is_emulator = is_emulator(firmware, family.counter_hz);
    let power = power(family, is_emulator)?;
    if is_emulator {
        common::end_after_report(power);
    }
    let revision = firmware.board_revision();
    let revision_bytes = revision.and_then(memory::ram_bytes_by_revision);
    let model = revision.and_then(Model::by_revision).unwrap_or(family.unknown_model);
    Some(Board {
        peripherals,
        power,
        timer: system_timer(family)?,
        console_address: family.base + UART,
        revision_bytes,
        led: LED.call_once(|| BoardLed::new(model.led, &peripherals.gpio, firmware)),
        is_emulator,
        name: if is_emulator { model.name_in_emulator } else { model.name },
        ram_bytes: revision_bytes.unwrap_or(family.ram_least_bytes),
        video_core_start: video_core_start(firmware),
    })
}

/// The pins, once the board was brought up.
pub(super) fn gpio() -> Option<&'static BcmGpio> {
    PERIPHERALS.get().map(|peripherals| &peripherals.gpio)
}

/// Lets the firmware choose SDHOST's divider; see `SdhostBus::firmware_clock_hz`.
pub(super) fn sdhost_clock_hz(hz_max: u32) -> Option<u32> {
    PERIPHERALS.get()?.firmware.set_sdhost_clock_hz(hz_max)
}

impl Board {
    /// What the kernel has to know.
    pub(super) fn machine(&self, parts: FamilyParts, facts: &BootFacts) -> Machine {
        let FamilyParts { ram, interrupts, chip_stepping, sd_hosts } = parts;
        // The start code's page with the spin table.
        let mut reserved = Vec::new();
        common::reserve(&mut reserved, PhysicalRange { start: 0, bytes: PAGE });
        let (tree, device_tree) = common::read_device_tree(facts.argument, &ram, &mut reserved);
        if !self.is_emulator {
            report_disagreement(&ram, &tree.ram);
        }
        let placed_file = tree.placed_file.filter(|file| self.holds(&ram, *file));
        if let (Some(file), None) = (tree.placed_file, placed_file) {
            common::say(format_args!(
                "The placed file of {} bytes at {:#x} does not lie in RAM: ignored.\n",
                file.bytes, file.start
            ));
        }
        Machine {
            name: self.name,
            cores: CORES,
            chip_stepping,
            ram,
            reserved,
            memory_claims: self.memory_claims(&tree.ram),
            console_address: self.console_address,
            reference_clock: Some(self.timer),
            placed_file,
            device_tree,
            watchdog: self.watchdog(),
            is_emulator: self.is_emulator,
            console: &self.peripherals.console,
            interrupts,
            firmware: &self.peripherals.firmware,
            power: self.power,
            led: self.led,
            core_starter: &CORE_STARTER,
            sd_hosts,
        }
    }

    /// The watchdog; an emulator resets at once when it is armed.
    fn watchdog(&self) -> Option<&'static dyn Watchdog> {
        if self.is_emulator { None } else { Some(self.power) }
    }

    /// What each source says about the size of RAM.
    fn memory_claims(&self, by_tree: &[PhysicalRange]) -> MemoryClaims {
        let firmware = &self.peripherals.firmware;
        let tree_bytes = memory::total_bytes(by_tree);
        MemoryClaims {
            revision_bytes: self.revision_bytes,
            mailbox_bytes: firmware.arm_memory().map(|range| range.bytes),
            video_core_bytes: firmware.video_core_memory().map(|range| range.bytes),
            tree_bytes: (tree_bytes != 0).then_some(tree_bytes),
        }
    }

    /// Whether a placed file lies in RAM. An emulator has no VideoCore: its loader may write across the VideoCore's memory, the
    /// only way for a file of more than 948 MiB to lie in the memory of QEMU's Pi 4 in one piece.
    fn holds(&self, ram: &[PhysicalRange], file: PhysicalRange) -> bool {
        memory::contains(ram, file.start, file.bytes) || (self.is_emulator && file.end() <= self.ram_bytes)
    }

    /// The rate of the legacy card controller's clock.
    pub(super) fn emmc_clock_hz(&self) -> u32 {
        self.clock_hz(Clock::Emmc, EMMC_CLOCK_DEFAULT_HZ)
    }

    /// The rate of a clock, as the firmware tells.
    pub(super) fn clock_hz(&self, clock: Clock, default_hz: u32) -> u32 {
        self.peripherals.firmware.clock_hz(clock).unwrap_or(default_hz)
    }
}

fn peripherals(family: &Family) -> Option<&'static Peripherals> {
    let mailbox = mmu::map_device(family.base + MAILBOX, PAGE - MAILBOX % PAGE).ok()?;
    let gpio = mmu::map_device(family.base + GPIO, PAGE).ok()?;
    let uart = mmu::map_device(family.base + UART, PAGE).ok()?;
    Some(PERIPHERALS.call_once(|| {
        // SAFETY: `map_device` mapped each chip's registers, at the addresses that the board's manual gives; devices are never
        // unmapped, and `call_once` makes one driver of each.
        unsafe {
            Peripherals {
                gpio: BcmGpio::new(gpio, family.pull_control),
                console: Pl011::new(uart),
                firmware: VideoCoreFirmware::new(Bcm2835Mailbox::new(mailbox)),
            }
        }
    }))
}

fn power(family: &Family, is_emulator: bool) -> Option<&'static Bcm2835Power> {
    let address = mmu::map_device(family.base + POWER_MANAGER, PAGE).ok()?;
    // SAFETY: `map_device` mapped the power manager's registers for good; `call_once` makes one driver.
    Some(POWER.call_once(|| unsafe { Bcm2835Power::new(address, is_emulator) }))
}

fn system_timer(family: &Family) -> Option<&'static Bcm2835Timer> {
    let address = mmu::map_device(family.base + SYSTEM_TIMER, PAGE).ok()?;
    // SAFETY: `map_device` mapped the system timer's registers for good.
    Some(TIMER.call_once(|| unsafe { Bcm2835Timer::new(address) }))
}

/// Puts the PL011 on the header's pins 8 and 10 and programs it for the clock that the firmware tells.
fn start_console(peripherals: &Peripherals) {
    let Peripherals { gpio, console, firmware } = peripherals;
    for pin in PINS_BLUETOOTH {
        gpio.set_function(pin, Function::Input);
    }
    gpio.set_pull(PIN_TRANSMIT, Pull::None);
    gpio.set_pull(PIN_RECEIVE, Pull::Up);
    gpio.set_function(PIN_TRANSMIT, Function::Alternative0);
    gpio.set_function(PIN_RECEIVE, Function::Alternative0);
    let clock_hz = firmware
        .measured_clock_hz(Clock::Uart)
        .or_else(|| firmware.clock_hz(Clock::Uart))
        .map_or(UART_CLOCK_DEFAULT_HZ, round_to_kilohertz);
    console.start(clock_hz, BAUD);
}

/// A measured rate jitters by some ten Hz.
const fn round_to_kilohertz(hertz: u32) -> u32 {
    hertz.saturating_add(500) / 1000 * 1000
}

/// Whether this is QEMU. All three must hold, and the first alone is impossible on a board: its start code sets CNTFRQ_EL0. QEMU's
/// firmware always calls itself 346337 and has no serial number (hw/misc/bcm2835_property.c).
fn is_emulator(firmware: &VideoCoreFirmware, board_counter_hz: u64) -> bool {
    const EMULATED_FIRMWARE: u32 = 346_337;
    registers::counter_frequency_hz() != board_counter_hz
        && firmware.revision() == Some(EMULATED_FIRMWARE)
        && firmware.board_serial() == Some(0)
}

/// The firmware's split of the first GiB.
fn video_core_start(firmware: &VideoCoreFirmware) -> u64 {
    let arm_end = firmware.arm_memory().map(|range| range.end());
    let video_core_start = firmware.video_core_memory().map(|range| range.start);
    match (arm_end, video_core_start) {
        (Some(arm_end), Some(video_core_start)) => arm_end.min(video_core_start),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => VIDEO_CORE_START_DEFAULT,
    }
}

/// The board's revision counts; a tree that differs is mentioned. (QEMU's tree knows the first GiB only, always.)
fn report_disagreement(by_revision: &[PhysicalRange], by_tree: &[PhysicalRange]) {
    let (by_revision, by_tree) = (memory::total_bytes(by_revision), memory::total_bytes(by_tree));
    if by_tree != 0 && by_tree != by_revision {
        common::say(format_args!(
            "RAM: {} MiB by the board's revision, {} MiB by the device tree; the revision is taken.\n",
            by_revision >> 20,
            by_tree >> 20
        ));
    }
}
