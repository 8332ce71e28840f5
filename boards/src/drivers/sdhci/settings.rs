//! How one controller differs from another.

use crate::drivers::bcm2835_dma::Port;
use crate::drivers::dma::MasterReach;

/// A channel of the DMA engine that reads a controller's data port.
#[derive(Clone, Copy, Debug)]
pub struct EngineChannel {
    /// Physical address of the channel's registers.
    pub address: u64,
    /// The data port, as the engine reaches it.
    pub port: Port,
}

/// How one controller differs from another.
#[derive(Clone, Copy, Debug)]
pub struct SdhciSettings {
    /// Name for messages.
    pub name: &'static str,
    /// Rate that the divider divides, in Hz: the firmware's clock of the controller. `None`: what its capabilities say.
    pub base_clock_hz: Option<u32>,
    /// Whether the bit for high-speed timing exists and does good.
    pub has_high_speed_bit: bool,
    /// Whether the controller switches the power of the bus.
    pub has_power_switch: bool,
    /// Which memory its DMA, or the DMA engine, reaches; `None` if there is none.
    pub reach: Option<MasterReach>,
    /// The DMA engine's channel that moves its data instead of its own DMA.
    pub engine: Option<EngineChannel>,
    /// Connects the card slot with this controller, where it has to be; called before each reset.
    pub connect_slot: fn(),
}

impl SdhciSettings {
    /// The legacy controller at 0xFE30_0000 (Pi 4) or 0x3F30_0000 (Pi 3). Base clock: the firmware's clock 1 (EMMC).
    #[must_use]
    pub const fn bcm_legacy(base_clock_hz: u32, connect_slot: fn()) -> Self {
        Self {
            name: "EMMC",
            base_clock_hz: Some(base_clock_hz),
            has_high_speed_bit: false,
            has_power_switch: false,
            reach: None,
            engine: None,
            connect_slot,
        }
    }

    /// The same with a channel of the DMA engine.
    #[must_use]
    pub const fn with_engine(self, engine: EngineChannel) -> Self {
        Self { reach: Some(MasterReach::VIDEO_CORE_ALIAS), engine: Some(engine), ..self }
    }

    /// The Pi 4's slot at 0xFE34_0000. Base clock: the firmware's clock 12 (EMMC2), 100 or 200 MHz.
    #[must_use]
    pub const fn bcm_emmc2(base_clock_hz: u32, reach: MasterReach, connect_slot: fn()) -> Self {
        Self {
            name: "EMMC2",
            base_clock_hz: Some(base_clock_hz),
            has_high_speed_bit: true,
            has_power_switch: true,
            reach: Some(reach),
            engine: None,
            connect_slot,
        }
    }

    /// A controller that follows the standard, on PCI.
    #[must_use]
    pub const fn pci() -> Self {
        Self {
            name: "SDHCI",
            base_clock_hz: None,
            has_high_speed_bit: true,
            has_power_switch: true,
            reach: Some(MasterReach::FIRST_4_GIB),
            engine: None,
            connect_slot: is_connected,
        }
    }
}

/// For a controller that always has its slot.
pub fn is_connected() {}
