//! Request ids and progress tokens, kept as they came so that they go back exactly so.

use core::fmt;

use heapless::String;
use serde_json::value::RawValue;

use crate::json::equal;
use crate::message;

/// Longest id or token, as JSON text, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// A string or an integer.
#[derive(Clone, Debug)]
pub struct RequestId(String<ID_BYTES_MAX>);

/// A progress token has the form of an id.
pub type ProgressToken = RequestId;

impl RequestId {
    /// Takes a JSON value; `None` if it is no string and no integer, or longer than [`ID_BYTES_MAX`]. A string with half a surrogate
    /// pair is no text: sent back it could not be read.
    #[must_use]
    pub fn from_json(value: &RawValue) -> Option<Self> {
        let text = value.get();
        let is_string = text.starts_with('"') && message::string(value).is_some();
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_string && !is_integer {
            return None;
        }
        String::try_from(text).ok().map(Self)
    }

    fn content(&self) -> Option<&str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

impl PartialEq for RequestId {
    /// Equal as values: escapes do not matter, types do.
    fn eq(&self, other: &Self) -> bool {
        match (self.content(), other.content()) {
            (Some(left), Some(right)) => equal(left, right),
            (None, None) => self.0 == other.0,
            _ => false,
        }
    }
}

impl Eq for RequestId {}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn id(json: &str) -> Option<RequestId> {
        RequestId::from_json(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn strings_and_integers_come_back_exactly() {
        for json in ["0", "-1", "18446744073709551616", "\"\"", "\"a\\u0062\"", "\"é🥧\""] {
            assert_eq!(id(json).unwrap().to_string(), json);
        }
        for json in ["null", "true", "1.0", "1e3", "[1]", "{}", "\"\\ud800\""] {
            assert_eq!(id(json), None, "{json}");
        }
        assert_eq!(id(&std::format!("\"{}\"", "x".repeat(ID_BYTES_MAX))), None);
    }

    #[test]
    fn equality_is_of_values() {
        assert_eq!(id("\"ab\""), id("\"a\\u0062\""));
        assert_ne!(id("\"1\""), id("1"));
        assert_ne!(id("1"), id("2"));
    }
}
