//! What the VideoCore firmware tells and does, by property tags.
//!
//! github.com/raspberrypi/firmware, wiki "Mailbox property interface"; github.com/raspberrypi/documentation, "vcgencmd".

use crate::drivers::bcm2835_mailbox::Bcm2835Mailbox;
use barellama_kernel::platform::{Clock, Firmware, PhysicalRange};

mod tag {
    pub const GET_FIRMWARE_REVISION: u32 = 0x0000_0001;
    pub const GET_BOARD_REVISION: u32 = 0x0001_0002;
    pub const GET_BOARD_SERIAL: u32 = 0x0001_0004;
    pub const GET_ARM_MEMORY: u32 = 0x0001_0005;
    pub const GET_VIDEO_CORE_MEMORY: u32 = 0x0001_0006;
    pub const SET_POWER_STATE: u32 = 0x0002_8001;
    pub const GET_DMA_CHANNELS: u32 = 0x0006_0001;
    pub const GET_CLOCK_RATE: u32 = 0x0003_0002;
    pub const GET_MAXIMUM_CLOCK_RATE: u32 = 0x0003_0004;
    pub const GET_TEMPERATURE: u32 = 0x0003_0006;
    pub const GET_MAXIMUM_TEMPERATURE: u32 = 0x0003_000A;
    pub const GET_THROTTLED: u32 = 0x0003_0046;
    pub const GET_MEASURED_CLOCK_RATE: u32 = 0x0003_0047;
    pub const SET_CLOCK_RATE: u32 = 0x0003_8002;
    pub const SET_GPIO_STATE: u32 = 0x0003_8041;
    pub const SET_SDHOST_CLOCK: u32 = 0x0003_8042;
}

/// SET_POWER_STATE: on, and wait until it is.
const POWER_ON_AND_WAIT: u32 = 0b11;
/// SET_POWER_STATE: the SD card.
const POWER_SD_CARD: u32 = 0;

/// The firmware behind a mailbox.
pub struct VideoCoreFirmware {
    mailbox: Bcm2835Mailbox,
}

impl VideoCoreFirmware {
    /// The firmware behind `mailbox`.
    #[must_use]
    pub const fn new(mailbox: Bcm2835Mailbox) -> Self {
        Self { mailbox }
    }

    /// The firmware's own revision: a build time on boards.
    #[must_use]
    pub fn revision(&self) -> Option<u32> {
        self.mailbox.property::<1>(tag::GET_FIRMWARE_REVISION, &[]).map(|[revision]| revision)
    }

    /// The board's serial number.
    #[must_use]
    pub fn board_serial(&self) -> Option<u64> {
        let [low, high] = self.mailbox.property(tag::GET_BOARD_SERIAL, &[])?;
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// The Arm's part of the first GiB.
    #[must_use]
    pub fn arm_memory(&self) -> Option<PhysicalRange> {
        self.memory(tag::GET_ARM_MEMORY)
    }

    /// The VideoCore's part of the first GiB.
    #[must_use]
    pub fn video_core_memory(&self) -> Option<PhysicalRange> {
        self.memory(tag::GET_VIDEO_CORE_MEMORY)
    }

    /// The DMA engine's channels that the firmware leaves to the Arm, a bit for each.
    #[must_use]
    pub fn dma_channels(&self) -> Option<u32> {
        self.mailbox.property::<1>(tag::GET_DMA_CHANNELS, &[]).map(|[channels]| channels)
    }

    /// Supplies the SD card's power domain. Returns whether the firmware says that it is on.
    pub fn power_sd_card(&self) -> bool {
        let answer = self.mailbox.property::<2>(tag::SET_POWER_STATE, &[POWER_SD_CARD, POWER_ON_AND_WAIT]);
        answer.is_some_and(|[_, state]| state & 0b11 == 1)
    }

    /// Drives a pin of the firmware's GPIO expander (numbers from 128). Returns whether the firmware took it.
    pub fn set_expander_pin(&self, pin: u32, is_high: bool) -> bool {
        self.mailbox.property::<2>(tag::SET_GPIO_STATE, &[pin, u32::from(is_high)]).is_some()
    }

    /// Lets the firmware set the divider of SDHOST for at most `hz_max`, which it knows best: it moves the core's clock. The rate
    /// that it chose: the higher one of the card's two states (Linux bcm2835-sdhost.c); `None` if it leaves the divider to us.
    #[must_use]
    pub fn set_sdhost_clock_hz(&self, hz_max: u32) -> Option<u32> {
        let [_, first, second] = self.mailbox.property(tag::SET_SDHOST_CLOCK, &[hz_max, 0, 0])?;
        Some(first.max(second)).filter(|&hertz| hertz != 0)
    }

    fn memory(&self, tag: u32) -> Option<PhysicalRange> {
        let [start, bytes] = self.mailbox.property(tag, &[])?;
        (bytes != 0).then_some(PhysicalRange { start: u64::from(start), bytes: u64::from(bytes) })
    }

    fn rate(&self, tag: u32, clock: Clock) -> Option<u32> {
        let [_, hertz] = self.mailbox.property(tag, &[clock_number(clock)])?;
        (hertz != 0).then_some(hertz)
    }
}

impl Firmware for VideoCoreFirmware {
    fn clock_hz(&self, clock: Clock) -> Option<u32> {
        self.rate(tag::GET_CLOCK_RATE, clock)
    }

    fn measured_clock_hz(&self, clock: Clock) -> Option<u32> {
        self.rate(tag::GET_MEASURED_CLOCK_RATE, clock)
    }

    fn raise_arm_clock(&self) -> Option<u32> {
        let highest_hz = self.rate(tag::GET_MAXIMUM_CLOCK_RATE, Clock::Arm)?;
        const RAISE_VOLTAGE_TOO: u32 = 0;
        let request = [clock_number(Clock::Arm), highest_hz, RAISE_VOLTAGE_TOO];
        let [_, reached_hz] = self.mailbox.property(tag::SET_CLOCK_RATE, &request)?;
        Some(reached_hz)
    }

    fn temperature_millidegrees(&self) -> Option<u32> {
        self.mailbox.property::<2>(tag::GET_TEMPERATURE, &[0]).map(|[_, millidegrees]| millidegrees)
    }

    fn temperature_limit_millidegrees(&self) -> Option<u32> {
        self.mailbox.property::<2>(tag::GET_MAXIMUM_TEMPERATURE, &[0]).map(|[_, millidegrees]| millidegrees)
    }

    fn throttled(&self) -> Option<u32> {
        self.mailbox.property::<1>(tag::GET_THROTTLED, &[0]).map(|[bits]| bits)
    }

    fn board_revision(&self) -> Option<u32> {
        self.mailbox.property::<1>(tag::GET_BOARD_REVISION, &[]).map(|[revision]| revision)
    }
}

const fn clock_number(clock: Clock) -> u32 {
    match clock {
        Clock::Emmc => 1,
        Clock::Uart => 2,
        Clock::Arm => 3,
        Clock::Core => 4,
        Clock::Emmc2 => 12,
    }
}
