//! Argument values that JSON Schema allows but serde does not read by itself.

use core::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A number without a fraction. JSON Schema's `integer` includes `3.0`, and some clients write that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub u64);

/// Up to here the JSON reader is exact for numbers that are written with a fraction.
const FRACTION_MAX: f64 = u32::MAX as f64;

/// Up to here every integer is exact as a floating-point number.
pub(super) const WHOLE_MAX: u64 = (1 << 53) - 1;

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an integer that is not negative")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        Ok(Whole(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
        let is_exact = value >= 0.0 && value <= FRACTION_MAX && value as u64 as f64 == value;
        if is_exact { Ok(Whole(value as u64)) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_may_be_written_with_a_zero_fraction() {
        let read = |json: &str| serde_json::from_str::<Whole>(json).map(|whole| whole.0).ok();
        for (json, value) in [("0", 0), ("3", 3), ("3.0", 3), ("3e2", 300), ("4294967295.0", 4_294_967_295)] {
            assert_eq!(read(json), Some(value), "{json}");
        }
        for json in ["-1", "-1.0", "0.5", "4294967296.0", "1e300", "\"3\"", "null", "[]"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
