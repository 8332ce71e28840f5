//! The supply of a Pi 4's card slot: two pins of the firmware's GPIO expander (Linux bcm2711-rpi-4-b.dts).

/// Voltage of the card's lines; low: 3.3 V, high: 1.8 V (sd_io_1v8_reg).
const PIN_VOLTAGE: u32 = 128 + 4;
/// High: the card is supplied (sd_vcc_reg).
const PIN_POWER: u32 = 128 + 6;
/// A card that has no supply for 1 ms starts anew (SD Physical Layer 6.4.1.2).
const OFF_NS: u64 = 10_000_000;
/// Of both regulators (startup-delay-us, settling-time-us).
const SETTLE_NS: u64 = 5_000_000;

/// Takes the card's supply away, puts its lines back to 3.3 V and supplies it again: only so does a card leave the 1.8 V that a
/// system before may have switched it to. `set_pin` drives a pin of the expander and returns whether the firmware took the order;
/// `wait_ns` waits. Returns whether the card lost its supply: a firmware that knows no expander leaves everything as it is.
pub fn restart(set_pin: impl Fn(u32, bool) -> bool, wait_ns: impl Fn(u64)) -> bool {
    if !set_pin(PIN_POWER, false) {
        return false;
    }
    // While the card is off: its lines must not have another voltage than it drives them with.
    set_pin(PIN_VOLTAGE, false);
    wait_ns(OFF_NS);
    // Whatever became of the voltage: a card without supply never answers.
    set_pin(PIN_POWER, true);
    wait_ns(SETTLE_NS);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    #[derive(Debug, PartialEq, Eq)]
    enum Step {
        Power(bool),
        HighVoltage(bool),
        Wait(u64),
    }
    use Step::{HighVoltage, Power, Wait};

    /// Restarts a card by a firmware that takes orders for `pins` only; what was ordered and waited for.
    fn steps(pins: &[u32]) -> (bool, Vec<Step>) {
        let steps = RefCell::new(Vec::new());
        let set_pin = |pin, is_high| {
            steps.borrow_mut().push(if pin == 134 { Power(is_high) } else { HighVoltage(is_high) });
            assert!(pin == 134 || pin == 132, "pin {pin} is none of the slot's");
            pins.contains(&pin)
        };
        let is_restarted = restart(set_pin, |ns| steps.borrow_mut().push(Wait(ns)));
        (is_restarted, steps.into_inner())
    }

    #[test]
    fn the_card_loses_its_supply_before_its_lines_change_their_voltage() {
        let expected = [Power(false), HighVoltage(false), Wait(10_000_000), Power(true), Wait(5_000_000)];
        assert_eq!(steps(&[132, 134]), (true, Vec::from(expected)));
    }

    #[test]
    fn a_card_is_supplied_again_whatever_becomes_of_the_voltage() {
        let (is_restarted, steps) = steps(&[134]);
        assert!(is_restarted);
        assert_eq!(steps[3..], [Power(true), Wait(5_000_000)]);
    }

    #[test]
    fn a_firmware_without_the_expander_is_asked_once() {
        assert_eq!(steps(&[132]), (false, Vec::from([Power(false)])));
        assert_eq!(steps(&[]), (false, Vec::from([Power(false)])));
    }
}
