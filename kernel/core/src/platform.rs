//! What a board gives to the kernel. Boards implement these traits; the kernel never names a board.

use barellama_storage::SdHost;
use heapless::Vec;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalRange {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl PhysicalRange {
    /// First address behind the range.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes)
    }
}

/// The serial line. All methods may be called from an interrupt handler of core 0 and from the kernel loop, which runs on
/// core 0 too; panics write from any core.
pub trait Console: Sync {
    /// Takes the oldest received byte. Line errors are counted and dropped by the driver.
    fn receive(&self) -> Option<ReceivedByte>;
    /// Hands a byte to the transmitter; `false` if its FIFO is full.
    fn transmit(&self, byte: u8) -> bool;
    /// Whether an interrupt is wanted as soon as the transmitter has room.
    fn set_transmit_interrupt(&self, is_wanted: bool);
    /// Clears what is pending; called by the interrupt handler *before* it drains the FIFO. Returns whether an overrun was: what was lost
    /// belongs behind the bytes that are in the FIFO.
    fn clear_interrupts(&self) -> bool;
    /// The rate that [`Self::set_baud`] would reach, in bit/s.
    fn nearest_baud(&self, baud: u32) -> u32;
    /// Sets the bit rate, as near as the clock allows, after what was written has left.
    fn set_baud(&self, baud: u32);
    /// Waits until the last byte has left the wire.
    fn flush(&self);
}

/// What came over the serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedByte {
    /// A good byte.
    Byte(u8),
    /// A byte that came when the receive FIFO had overrun before it: at least one byte was lost.
    AfterOverrun(u8),
    /// The line was held low for longer than a character.
    Break,
    /// A byte with a framing or parity error, dropped.
    Damaged,
}

/// What an interrupt means to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The generic timer of this core.
    Timer,
    /// The serial line.
    Console,
    /// Another core wakes or stops this one.
    Wake,
    /// Anything else, by number.
    Other(u32),
}

/// The interrupt controller.
pub trait InterruptController: Sync {
    /// Sets up the shared part. Core 0, once, with interrupts masked.
    fn start(&self);
    /// Sets up this core's part: its timer and wake interrupts enabled; on core 0 the console's too.
    fn start_core(&self, core: usize);
    /// Takes the next pending interrupt of this core; the token goes to [`Self::end`]. `None` if it was spurious.
    fn acknowledge(&self) -> Option<(Interrupt, u32)>;
    /// Ends the handling of an interrupt.
    fn end(&self, token: u32);
    /// Raises [`Interrupt::Wake`] on each core whose bit is set, after all earlier writes are visible there.
    fn wake(&self, core_mask: u32);
}

/// A clock of the SoC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The cores.
    Arm,
    /// The VPU and the peripherals that hang on it.
    Core,
    /// The legacy SD controller.
    Emmc,
    /// The SD controller of the Pi 4's slot.
    Emmc2,
    /// The PL011.
    Uart,
}

/// What the VideoCore firmware (or nothing) can tell and do. `None` where it does not answer.
pub trait Firmware: Sync {
    /// Rate that was set for a clock, in Hz.
    fn clock_hz(&self, clock: Clock) -> Option<u32>;
    /// Rate that was measured for a clock, in Hz.
    fn measured_clock_hz(&self, clock: Clock) -> Option<u32>;
    /// Raises the cores to their highest rate; returns the rate that is then set, in Hz.
    fn raise_arm_clock(&self) -> Option<u32>;
    /// SoC temperature in thousandths of a degree Celsius.
    fn temperature_millidegrees(&self) -> Option<u32>;
    /// The GET_THROTTLED bits.
    fn throttled(&self) -> Option<u32>;
    /// The temperature at which the firmware slows the cores down at the latest, in thousandths of a degree Celsius.
    fn temperature_limit_millidegrees(&self) -> Option<u32>;
    /// The new-style board revision code.
    fn board_revision(&self) -> Option<u32>;
}

/// A clock of the SoC that does not hang on the cores' counter, for comparison.
pub trait ReferenceClock: Sync {
    /// Microseconds since some moment.
    fn now_us(&self) -> u64;
}

/// What each source says about the size of RAM, in bytes; `None` where a source is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryClaims {
    /// By the board's revision code: all RAM, the VideoCore's part included.
    pub revision_bytes: Option<u64>,
    /// By the mailbox: the Arm's part of the first GiB.
    pub mailbox_bytes: Option<u64>,
    /// By the mailbox: the VideoCore's part of it.
    pub video_core_bytes: Option<u64>,
    /// By the device tree: the Arm's RAM.
    pub tree_bytes: Option<u64>,
}

/// Reset and power.
pub trait Power: Sync {
    /// Resets the board.
    fn reboot(&self) -> !;
    /// Stops the board; an emulator exits with `status`.
    fn halt(&self, status: u32) -> !;
    /// Why the machine was reset last.
    fn reset_cause(&self) -> ResetCause {
        ResetCause::Unknown
    }
}

/// Why a machine was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// Power came.
    PowerOn,
    /// The watchdog, which a reboot on request uses too.
    Watchdog,
    /// Software, without the watchdog.
    Software,
    /// A debugger.
    Debugger,
    /// Nobody knows.
    Unknown,
}

impl ResetCause {
    /// For the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PowerOn => "power-on",
            Self::Watchdog => "watchdog or reboot",
            Self::Software => "software",
            Self::Debugger => "debugger",
            Self::Unknown => "unknown",
        }
    }
}

/// Resets the board unless it is fed.
pub trait Watchdog: Sync {
    /// Arms it, or starts its count anew. Returns the time until the reset that was set, in ms; hardware may allow less than was
    /// asked for.
    fn feed(&self, timeout_ms: u32) -> u32;
}

/// The activity LED.
pub trait Led: Sync {
    /// Switches it.
    fn set(&self, is_on: bool);
}

/// How the other cores are started.
pub trait CoreStarter: Sync {
    /// Lets `core` run from the physical address `entry`. Called after the final tables stand and what the core reads with its
    /// caches off was cleaned to the point of coherency. Returns whether the firmware took the order.
    fn start(&self, core: usize, entry_physical: u64) -> bool;
}

/// The most extents that RAM or a region may consist of.
pub const EXTENTS_MAX: usize = 16;

/// The most SD controllers that are tried.
pub const SD_HOSTS_MAX: usize = 2;

/// What is known about the machine before memory is planned.
pub struct Machine {
    /// For people, e.g. "Raspberry Pi 4 Model B".
    pub name: &'static str,
    /// How many cores can be started.
    pub cores: usize,
    /// Stepping of the SoC as its register tells it: the letter in the upper half from A = 0, the number in the lower one.
    pub chip_stepping: Option<u8>,
    /// RAM that the Arm may use, in ascending order, without overlaps.
    pub ram: Vec<PhysicalRange, EXTENTS_MAX>,
    /// Parts of RAM that are taken: firmware pages, device tree, reserved memory. The kernel image is added by the kernel.
    pub reserved: Vec<PhysicalRange, EXTENTS_MAX>,
    /// What each source says about RAM.
    pub memory_claims: MemoryClaims,
    /// Physical address of the console's registers, which are mapped: how device registers are mapped is read back there.
    pub console_address: u64,
    /// A clock to compare the cores' counter with.
    pub reference_clock: Option<&'static dyn ReferenceClock>,
    /// A file that the firmware placed in memory (`linux,initrd-start/end`).
    pub placed_file: Option<PhysicalRange>,
    /// The device tree that the firmware passed; it is among the reserved ranges.
    pub device_tree: Option<PhysicalRange>,
    /// The watchdog. `None` where there is none or it must not be armed (an emulator resets at once).
    pub watchdog: Option<&'static dyn Watchdog>,
    /// Whether it is an emulator that exits by semihosting.
    pub is_emulator: bool,
    /// The serial line for people and programs.
    pub console: &'static dyn Console,
    /// The interrupt controller.
    pub interrupts: &'static dyn InterruptController,
    /// The firmware.
    pub firmware: &'static dyn Firmware,
    /// Reset and power.
    pub power: &'static dyn Power,
    /// The activity LED.
    pub led: &'static dyn Led,
    /// The starter of the other cores.
    pub core_starter: &'static dyn CoreStarter,
    /// SD controllers in the order in which a card is looked for.
    pub sd_hosts: Vec<&'static mut dyn SdHost, SD_HOSTS_MAX>,
}
