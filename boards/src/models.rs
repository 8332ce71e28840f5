//! Which Raspberry Pi it is, by the firmware's revision code.
//!
//! github.com/raspberrypi/documentation, "Raspberry Pi revision codes"; LEDs by the device trees of Linux.

/// How the activity LED is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedWiring {
    /// To a pin.
    Pin {
        /// GPIO number.
        pin: usize,
        /// Whether the high level lights it.
        is_lit_high: bool,
    },
    /// To the firmware's expander; lit when high.
    Expander {
        /// Number of the pin, from 128.
        pin: u32,
    },
    /// Not known.
    Unknown,
}

/// A model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Bits 11:4 of the revision code.
    pub type_code: u32,
    /// For people.
    pub name: &'static str,
    /// For people, in QEMU's machine of that model.
    pub name_in_emulator: &'static str,
    /// The activity LED.
    pub led: LedWiring,
}

/// No model has it.
const TYPE_NONE: u32 = u32::MAX;
const PIN_42: LedWiring = LedWiring::Pin { pin: 42, is_lit_high: true };
const PIN_29: LedWiring = LedWiring::Pin { pin: 29, is_lit_high: true };

/// A Pi with a BCM2837 that tells no revision that is known.
pub static UNKNOWN_PI_3: Model =
    Model::board(TYPE_NONE, "Raspberry Pi with a BCM2837", "Raspberry Pi 3 (QEMU)", LedWiring::Unknown);
/// A Pi with a BCM2711 that tells no revision that is known.
pub static UNKNOWN_PI_4: Model = Model::board(TYPE_NONE, "Raspberry Pi 4", "Raspberry Pi 4 (QEMU)", PIN_42);

static MODELS: [Model; 9] = [
    Model {
        type_code: 0x08,
        name: "Raspberry Pi 3 Model B",
        name_in_emulator: "Raspberry Pi 3 Model B (QEMU raspi3b)",
        led: LedWiring::Expander { pin: 128 + 2 },
    },
    Model::board(0x0A, "Raspberry Pi Compute Module 3", "Compute Module 3 (QEMU)", LedWiring::Unknown),
    Model::board(0x0D, "Raspberry Pi 3 Model B+", "Raspberry Pi 3 Model B+ (QEMU)", PIN_29),
    Model {
        type_code: 0x0E,
        name: "Raspberry Pi 3 Model A+",
        name_in_emulator: "Raspberry Pi 3 Model A+ (QEMU raspi3ap)",
        led: PIN_29,
    },
    Model::board(0x10, "Raspberry Pi Compute Module 3+", "Compute Module 3+ (QEMU)", LedWiring::Unknown),
    Model {
        type_code: 0x11,
        name: "Raspberry Pi 4 Model B",
        name_in_emulator: "Raspberry Pi 4 Model B (QEMU raspi4b)",
        led: PIN_42,
    },
    Model::board(
        0x12,
        "Raspberry Pi Zero 2 W",
        "Raspberry Pi Zero 2 W (QEMU)",
        LedWiring::Pin { pin: 29, is_lit_high: false },
    ),
    Model::board(0x13, "Raspberry Pi 400", "Raspberry Pi 400 (QEMU)", PIN_42),
    Model::board(0x14, "Raspberry Pi Compute Module 4", "Compute Module 4 (QEMU)", PIN_42),
];

impl Model {
    const fn board(type_code: u32, name: &'static str, name_in_emulator: &'static str, led: LedWiring) -> Self {
        Self { type_code, name, name_in_emulator, led }
    }

    /// The model that a revision code names, if the code is a new-style one (bit 23) of a model that is known.
    #[must_use]
    pub fn by_revision(revision: u32) -> Option<&'static Self> {
        let type_code = revision >> 4 & 0xFF;
        MODELS.iter().find(|model| revision & 1 << 23 != 0 && model.type_code == type_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(revision: u32) -> &'static str {
        Model::by_revision(revision).map_or("", |model| model.name)
    }

    #[test]
    fn the_codes_of_real_boards_are_known() {
        assert_eq!(name(0x00A0_2082), "Raspberry Pi 3 Model B");
        assert_eq!(name(0x00A0_20D3), "Raspberry Pi 3 Model B+");
        assert_eq!(name(0x0090_20E0), "Raspberry Pi 3 Model A+");
        assert_eq!(name(0x0090_2120), "Raspberry Pi Zero 2 W");
        assert_eq!(name(0x00B0_3115), "Raspberry Pi 4 Model B");
        assert_eq!(name(0x00C0_3130), "Raspberry Pi 400");
    }

    #[test]
    fn other_codes_are_not_guessed() {
        assert_eq!(name(0x0000_0008), "", "old style");
        assert_eq!(name(0x00C0_4170), "", "Pi 5");
        assert_eq!(name(0), "");
    }

    #[test]
    fn leds_differ_from_model_to_model() {
        let led = |revision| Model::by_revision(revision).map(|model| model.led);
        assert_eq!(led(0x00A0_2082), Some(LedWiring::Expander { pin: 130 }));
        assert_eq!(led(0x00A0_20D3), Some(LedWiring::Pin { pin: 29, is_lit_high: true }));
        assert_eq!(led(0x0090_2120), Some(LedWiring::Pin { pin: 29, is_lit_high: false }));
        assert_eq!(led(0x00B0_3115), Some(LedWiring::Pin { pin: 42, is_lit_high: true }));
    }

    #[test]
    fn each_code_stands_once() {
        for (index, model) in MODELS.iter().enumerate() {
            assert!(MODELS[..index].iter().all(|other| other.type_code != model.type_code), "{}", model.name);
        }
    }
}
