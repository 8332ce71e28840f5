//! The bounds of a JSON text.

use core::fmt;

use heapless::Vec;

use super::string::equal;

/// How deep arrays and objects may be nested.
pub const DEPTH_MAX: usize = 32;
/// How many values there may be, members and array elements together.
pub const ELEMENTS_MAX: usize = 16_384;
/// How many keys there may be in an object and those around it together.
pub const KEYS_MAX: usize = 256;

/// What a JSON text has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundsError {
    /// The nesting is deeper than [`DEPTH_MAX`].
    TooDeep,
    /// There are more values than [`ELEMENTS_MAX`].
    TooManyElements,
    /// There are more keys than [`KEYS_MAX`].
    TooManyKeys,
    /// An object has two members of the same name.
    DuplicateKey,
}

impl fmt::Display for BoundsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(formatter, "nested deeper than {DEPTH_MAX}"),
            Self::TooManyElements => write!(formatter, "more than {ELEMENTS_MAX} values"),
            Self::TooManyKeys => write!(formatter, "more than {KEYS_MAX} keys in nested objects"),
            Self::DuplicateKey => formatter.write_str("an object has two members of the same name"),
        }
    }
}

/// Checks the bounds of a JSON text. Whether it *is* JSON is the reader's to say: for broken texts the result only means that a reader
/// stays within the bounds until it gives up.
///
/// # Errors
/// The first bound that is broken.
pub fn check(text: &str) -> Result<(), BoundsError> {
    Scan::new(text).run()
}

/// An object or array that is open.
#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    /// Keys that belong to the containers around it.
    keys_before: usize,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Open, DEPTH_MAX>,
    /// Keys of all open objects, with their escapes.
    keys: Vec<&'a str, KEYS_MAX>,
    elements: usize,
    /// The next string is a key if the innermost container is an object.
    expects_key: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new(), keys: Vec::new(), elements: 1, expects_key: false }
    }

    fn run(mut self) -> Result<(), BoundsError> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.string()?,
                b'{' => self.enter(true)?,
                b'[' => self.enter(false)?,
                b'}' | b']' => self.leave(),
                b',' => {
                    self.count()?;
                    self.expects_key = true;
                }
                b':' => self.expects_key = false,
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, is_object: bool) -> Result<(), BoundsError> {
        self.count()?;
        self.expects_key = true;
        self.open.push(Open { is_object, keys_before: self.keys.len() }).map_err(|_| BoundsError::TooDeep)
    }

    fn leave(&mut self) {
        if let Some(closed) = self.open.pop() {
            self.keys.truncate(closed.keys_before);
        }
        self.expects_key = false;
    }

    fn count(&mut self) -> Result<(), BoundsError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX { Err(BoundsError::TooManyElements) } else { Ok(()) }
    }

    /// Walks over a string whose opening quote was read; a key is compared with its siblings.
    fn string(&mut self) -> Result<(), BoundsError> {
        let rest = self.text.get(self.at..).unwrap_or("");
        let length = string_bytes(rest);
        let content = rest.get(..length).unwrap_or("");
        self.at = self.at.saturating_add(length).saturating_add(1);
        let is_key = core::mem::take(&mut self.expects_key);
        match self.open.last().filter(|open| is_key && open.is_object) {
            Some(open) => self.key(content, open.keys_before),
            None => Ok(()),
        }
    }

    fn key(&mut self, key: &'a str, siblings: usize) -> Result<(), BoundsError> {
        let siblings = self.keys.get(siblings..).unwrap_or(&[]);
        if siblings.iter().any(|sibling| equal(sibling, key)) {
            return Err(BoundsError::DuplicateKey);
        }
        self.keys.push(key).map_err(|_| BoundsError::TooManyKeys)
    }
}

/// Bytes until the closing quote.
fn string_bytes(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn each_bound_is_exact() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(BoundsError::TooDeep));
        let list = |count: usize| ["[", &"1,".repeat(count - 1), "1]"].concat();
        assert_eq!(check(&list(ELEMENTS_MAX - 1)), Ok(()));
        assert_eq!(check(&list(ELEMENTS_MAX)), Err(BoundsError::TooManyElements));
        let object = |keys: usize| {
            let members: std::vec::Vec<String> = (0..keys).map(|key| std::format!("\"k{key}\":1")).collect();
            ["{", &members.join(","), "}"].concat()
        };
        assert_eq!(check(&object(KEYS_MAX)), Ok(()));
        assert_eq!(check(&object(KEYS_MAX + 1)), Err(BoundsError::TooManyKeys));
    }

    #[test]
    fn equal_keys_are_found_however_they_are_written() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"b":{"a":1},"\u0061":3}"#, r#"[[{"é":[],"x":{},"\u00e9":1}]]"#] {
            assert_eq!(check(text), Err(BoundsError::DuplicateKey), "{text}");
        }
        for text in [
            r#"{"a":"a","b":"a"}"#,
            r#"{"a":{"a":{"a":1}}}"#,
            r#"[{"a":1},{"a":2}]"#,
            r#"{"a":["a","a","b"],"b":1}"#,
            r#"["a","a"]"#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_in_strings_does_not_count() {
        assert_eq!(check(&["[\"", &"[{,:".repeat(9000), "\"]"].concat()), Ok(()));
        assert_eq!(check(r#"{"a\"":1,"a":2}"#), Ok(()));
        assert_eq!(check(r#"{"a\\":1,"a":2}"#), Ok(()));
    }

    #[test]
    fn broken_texts_are_walked_to_their_end() {
        for text in ["", "\"", "\"\\", "{\"", "}}}]]]", "{,,,}", "{\"a\"\"a\"", ":", "[\"a\":{\"é"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
