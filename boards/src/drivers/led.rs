//! Activity LEDs: on a pin, or behind the firmware's GPIO expander.

use crate::drivers::bcm_gpio::{BcmGpio, Function};
use crate::drivers::firmware::VideoCoreFirmware;
use crate::models::LedWiring;
use barellama_kernel::platform::Led;
use core::sync::atomic::{AtomicBool, Ordering};

/// The LED of a board.
pub enum BoardLed {
    /// On a pin.
    Pin {
        /// The pins.
        gpio: &'static BcmGpio,
        /// Which one.
        pin: usize,
        /// Whether the high level lights it.
        is_lit_high: bool,
    },
    /// On a pin of the firmware's expander, lit when high.
    Expander {
        /// The firmware.
        firmware: &'static VideoCoreFirmware,
        /// Which one, from 128.
        pin: u32,
        /// Set once the firmware said that it knows no such pin: it is not asked again.
        is_refused: AtomicBool,
    },
    /// There is none that is known.
    None,
}

impl BoardLed {
    /// The LED as a model has it. A pin becomes an output.
    #[must_use]
    pub fn new(wiring: LedWiring, gpio: &'static BcmGpio, firmware: &'static VideoCoreFirmware) -> Self {
        match wiring {
            LedWiring::Pin { pin, is_lit_high } => {
                gpio.set_function(pin, Function::Output);
                Self::Pin { gpio, pin, is_lit_high }
            }
            LedWiring::Expander { pin } => Self::Expander { firmware, pin, is_refused: AtomicBool::new(false) },
            LedWiring::Unknown => Self::None,
        }
    }
}

impl Led for BoardLed {
    fn set(&self, is_on: bool) {
        match self {
            Self::Pin { gpio, pin, is_lit_high } if is_on == *is_lit_high => gpio.set(*pin),
            Self::Pin { gpio, pin, .. } => gpio.clear(*pin),
            Self::Expander { firmware, pin, is_refused } => {
                if !is_refused.load(Ordering::Relaxed) && !firmware.set_expander_pin(*pin, is_on) {
                    is_refused.store(true, Ordering::Relaxed);
                }
            }
            Self::None => {}
        }
    }
}
