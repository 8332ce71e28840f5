//! An LED on a pin that lights it when high.

use crate::drivers::bcm2711_gpio::{Bcm2711Gpio, Function};
use barellama_kernel::platform::Led;

/// The LED.
pub struct PinLed {
    gpio: &'static Bcm2711Gpio,
    pin: usize,
}

impl PinLed {
    /// The LED on `pin`, which becomes an output.
    #[must_use]
    pub fn new(gpio: &'static Bcm2711Gpio, pin: usize) -> Self {
        gpio.set_function(pin, Function::Output);
        Self { gpio, pin }
    }
}

impl Led for PinLed {
    fn set(&self, is_on: bool) {
        if is_on {
            self.gpio.set(self.pin);
        } else {
            self.gpio.clear(self.pin);
        }
    }
}
