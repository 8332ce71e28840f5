//! JSON: bounds that are checked before a reader runs, and strings escaped for output.
//!
//! A JSON reader allocates as it reads. [`check_bounds`] walks the text once without allocating, so that a hostile line is
//! refused before it can use up the kernel's heap.

use barellama_abi::outcome::Outcome;
use core::fmt::{self, Write};

/// What a JSON text may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text, in bytes.
    pub bytes: usize,
    /// How deep arrays and objects may be nested.
    pub depth: usize,
    /// How many values there may be, members and array elements together.
    pub elements: usize,
}

/// Which bound a JSON text breaks. Each holds the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundsError {
    /// The text is longer.
    TooLong(usize),
    /// The nesting is deeper.
    TooDeep(usize),
    /// There are more values.
    TooManyElements(usize),
}

impl fmt::Display for BoundsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(limit) => write!(formatter, "the JSON is longer than {limit} bytes"),
            Self::TooDeep(limit) => write!(formatter, "the JSON is nested deeper than {limit}"),
            Self::TooManyElements(limit) => write!(formatter, "the JSON has more than {limit} values"),
        }
    }
}

/// Checks the bounds of a JSON text. Whether it *is* JSON is the reader's to say: brackets inside strings do not count, and
/// for broken texts the counts are upper bounds of what a reader gets to see.
///
/// # Errors
/// The first bound that is broken.
pub fn check_bounds(text: &str, limits: &Limits) -> Result<(), BoundsError> {
    if text.len() > limits.bytes {
        return Err(BoundsError::TooLong(limits.bytes));
    }
    let mut depth = 0usize;
    let mut elements = 1usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                elements += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => elements += 1,
            _ => {}
        }
        if depth > limits.depth {
            return Err(BoundsError::TooDeep(limits.depth));
        }
        if elements > limits.elements {
            return Err(BoundsError::TooManyElements(limits.elements));
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut core::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// Displays a text as a JSON string, with its quotes. The result is one line: control characters are escaped.
#[derive(Clone, Copy, Debug)]
pub struct JsonString<'a>(pub &'a str);

impl fmt::Display for JsonString<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"")?;
        let mut rest = self.0;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, tail) = rest.split_at(at);
            formatter.write_str(plain)?;
            let mut characters = tail.chars();
            if let Some(character) = characters.next() {
                write_escaped(formatter, character)?;
            }
            rest = characters.as_str();
        }
        formatter.write_str(rest)?;
        formatter.write_str("\"")
    }
}

/// U+007F to U+009F are legal in JSON, but a terminal could take them for commands.
fn needs_escape(character: char) -> bool {
    character == '"' || character == '\\' || character.is_control()
}

fn write_escaped(formatter: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' => formatter.write_str("\\\""),
        '\\' => formatter.write_str("\\\\"),
        '\n' => formatter.write_str("\\n"),
        '\r' => formatter.write_str("\\r"),
        '\t' => formatter.write_str("\\t"),
        other => write!(formatter, "\\u{:04x}", u32::from(other)),
    }
}

/// Writes the members that tell how a request ended, without the braces around them.
///
/// # Errors
/// Those of `out`.
pub fn write_outcome(outcome: &Outcome, out: &mut dyn Write) -> fmt::Result {
    write!(
        out,
        "\"stop\":\"{}\",\"prompt_tokens\":{},\"reused_tokens\":{},\"generated_tokens\":{},\
         \"context_used_tokens\":{},\"context_tokens\":{},\"prompt_ns\":{},\"decode_ns\":{},\
         \"decode_passes\":{},\"drafted_tokens\":{},\"accepted_tokens\":{},\"decode_bytes\":{},\
         \"decode_instructions\":{}",
        outcome.stop_reason.name(),
        outcome.prompt_tokens,
        outcome.reused_tokens,
        outcome.generated_tokens,
        outcome.context_used_tokens,
        outcome.context_tokens,
        outcome.prompt_ns,
        outcome.decode_ns,
        outcome.decode_passes,
        outcome.drafted_tokens,
        outcome.accepted_tokens,
        outcome.decode_bytes,
        outcome.decode_instructions,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::Random;
    use alloc::string::{String, ToString};

    const LIMITS: Limits = Limits { bytes: 64, depth: 2, elements: 8 };

    #[test]
    fn each_bound_is_found() {
        assert_eq!(check_bounds(r#"{"a":[1,2,3]}"#, &LIMITS), Ok(()));
        assert_eq!(check_bounds(&" ".repeat(65), &LIMITS), Err(BoundsError::TooLong(64)));
        assert_eq!(check_bounds("[[[", &LIMITS), Err(BoundsError::TooDeep(2)));
        assert_eq!(check_bounds("[1,2,3,4,5,6,7,8]", &LIMITS), Err(BoundsError::TooManyElements(8)));
        assert_eq!(check_bounds("[[],[],[],[],[]]", &LIMITS), Err(BoundsError::TooManyElements(8)));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(check_bounds(r#"["[[[[,,,,,,,,\"[[[", "]"]"#, &LIMITS), Ok(()));
        assert_eq!(check_bounds(r#"["\\",[[]]]"#, &LIMITS), Err(BoundsError::TooDeep(2)));
        assert_eq!(check_bounds("\"never closed \\", &LIMITS), Ok(()));
    }

    #[test]
    fn escaping_is_read_back_by_the_json_reader() {
        let mut random = Random::new(1);
        for _ in 0..500 {
            let text: String = (0..random.below(40))
                .map(|_| char::from_u32(u32::try_from(random.below(0x300)).unwrap()).unwrap())
                .collect();
            let json = JsonString(&text).to_string();
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.chars().any(char::is_control));
        }
    }

    #[test]
    fn common_escapes_are_short() {
        assert_eq!(JsonString("a\"b\\c\nd\te\u{1}ü").to_string(), r#""a\"b\\c\nd\te\u0001ü""#);
    }
}
