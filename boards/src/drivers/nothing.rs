//! What a machine has that lacks a firmware to ask and an LED.

use barellama_kernel::platform::{Clock, Firmware, Led};

/// Answers nothing and shows nothing.
pub struct Nothing;

impl Firmware for Nothing {
    fn clock_hz(&self, _clock: Clock) -> Option<u32> {
        None
    }

    fn measured_clock_hz(&self, _clock: Clock) -> Option<u32> {
        None
    }

    fn raise_arm_clock(&self) -> Option<u32> {
        None
    }

    fn temperature_millidegrees(&self) -> Option<u32> {
        None
    }

    fn temperature_limit_millidegrees(&self) -> Option<u32> {
        None
    }

    fn throttled(&self) -> Option<u32> {
        None
    }

    fn board_revision(&self) -> Option<u32> {
        None
    }
}

impl Led for Nothing {
    fn set(&self, _is_on: bool) {}
}
