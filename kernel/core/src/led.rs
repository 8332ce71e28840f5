//! The activity LED tells a board without a cable how far it is.
//!
//! On during boot; even blinking while loading; a short flash each two seconds when ready; else a number of flashes and a pause:
//! 2 no model, 3 model refused, 4 engine down. A kernel fault leaves it as it was.

use crate::platform::Led;

/// What the LED shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A model is on its way.
    Loading,
    /// Requests are taken.
    Ready,
    /// No card or no model on it.
    NoModel,
    /// The model was refused.
    Refused,
    /// The engine is down.
    Down,
}

const SLOT_NS: u64 = 200_000_000;

impl Signal {
    /// Whether the LED is lit in the `slot`-th fifth of a second.
    #[must_use]
    pub const fn is_lit(self, slot: u64) -> bool {
        match self {
            Self::Loading => slot.is_multiple_of(2),
            Self::Ready => slot.is_multiple_of(10),
            Self::NoModel => flashes(slot, 2),
            Self::Refused => flashes(slot, 3),
            Self::Down => flashes(slot, 4),
        }
    }
}

/// `count` flashes, then a pause of a second.
const fn flashes(slot: u64, count: u64) -> bool {
    let phase = slot % (2 * count + 5);
    phase < 2 * count && phase.is_multiple_of(2)
}

/// The LED and what it showed last.
pub struct Light {
    led: &'static dyn Led,
    is_lit: bool,
}

impl Light {
    /// Switches the LED on: the kernel runs.
    #[must_use]
    pub fn new(led: &'static dyn Led) -> Self {
        led.set(true);
        Self { led, is_lit: true }
    }

    /// Shows a signal at a time.
    pub fn show(&mut self, signal: Signal, now_ns: u64) {
        let is_lit = signal.is_lit(now_ns / SLOT_NS);
        if is_lit != self.is_lit {
            self.led.set(is_lit);
            self.is_lit = is_lit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flashes_in(signal: Signal, slots: u64) -> usize {
        (1..slots).filter(|slot| signal.is_lit(*slot) && !signal.is_lit(slot - 1)).count()
            + usize::from(signal.is_lit(0))
    }

    #[test]
    fn each_error_has_its_number_of_flashes() {
        assert_eq!(flashes_in(Signal::NoModel, 9), 2);
        assert_eq!(flashes_in(Signal::Refused, 11), 3);
        assert_eq!(flashes_in(Signal::Down, 13), 4);
        assert_eq!(flashes_in(Signal::Ready, 10), 1);
        assert_eq!(flashes_in(Signal::Loading, 10), 5);
    }
}
