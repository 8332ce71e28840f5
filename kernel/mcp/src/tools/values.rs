//! Argument values that JSON Schema allows but serde does not read by itself.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
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
        let is_exact = (0.0..=FRACTION_MAX).contains(&value) && value as u64 as f64 == value;
        if is_exact { Ok(Whole(value as u64)) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
}

/// A list that is given up as soon as it is too long: small entries take far more memory than their text.
#[derive(Debug)]
pub(super) struct AtMost<T, const COUNT: usize>(pub Vec<T>);

impl<T, const COUNT: usize> Default for AtMost<T, COUNT> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const COUNT: usize> Deserialize<'de> for AtMost<T, COUNT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AtMostVisitor(PhantomData))
    }
}

struct AtMostVisitor<T, const COUNT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const COUNT: usize> Visitor<'de> for AtMostVisitor<T, COUNT> {
    type Value = AtMost<T, COUNT>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {COUNT} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = sequence.next_element()? {
            if entries.len() == COUNT {
                return Err(A::Error::invalid_length(COUNT + 1, &self));
            }
            entries.push(entry);
        }
        Ok(AtMost(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_at_their_bound() {
        let count = |json: &str| serde_json::from_str::<AtMost<u8, 2>>(json).map(|list| list.0.len());
        assert_eq!(count("[1,2]").ok(), Some(2));
        assert_eq!(count("[]").ok(), Some(0));
        let error = std::format!("{}", count("[1,2,3]").unwrap_err());
        assert!(error.contains("at most 2 entries"), "{error}");
    }

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
