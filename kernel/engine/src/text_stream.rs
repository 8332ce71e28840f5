//! From the bytes of tokens to text as it comes: whole characters, and nothing of a stop string.
//!
//! The result does not depend on how the bytes are cut into tokens: the stop string that is complete first counts, and
//! among those that are complete with the same character the longest.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;

/// Text on its way out.
pub struct TextStream {
    stops: Vec<Stop>,
    /// Bytes of a character that is not complete, at most three.
    partial: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    is_stopped: bool,
}

impl TextStream {
    /// A stream that ends at the first of the stop strings; empty ones are left out.
    #[must_use]
    pub fn new(stops: &[&str]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).map(|stop| Stop::new(stop)).collect();
        Self { stops, partial: Vec::new(), held: String::new(), is_stopped: false }
    }

    /// Takes the bytes of a token and emits what is certain to belong to the text. Bytes that cannot become a character are
    /// replaced by U+FFFD. Whether a stop string was reached: what came before it has been emitted, and nothing else will be.
    pub fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(&str)) -> bool {
        let mut pending = core::mem::take(&mut self.partial);
        pending.extend_from_slice(bytes);
        let mut rest = pending.as_slice();
        while !rest.is_empty() && !self.is_stopped {
            let (text, invalid_bytes) = match core::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let valid = rest.get(..error.valid_up_to()).unwrap_or_default();
                    (core::str::from_utf8(valid).unwrap_or_default(), Some(error.error_len()))
                }
            };
            self.accept(text, emit);
            rest = rest.get(text.len()..).unwrap_or_default();
            match invalid_bytes {
                Some(Some(length)) => {
                    self.accept("\u{FFFD}", emit);
                    rest = rest.get(length..).unwrap_or_default();
                }
                Some(None) => {
                    self.partial = Vec::from(rest);
                    break;
                }
                None => {}
            }
        }
        self.is_stopped
    }

    /// Emits what was held back: the text is at its end. Whether a stop string was reached.
    pub fn finish(&mut self, emit: &mut impl FnMut(&str)) -> bool {
        if !core::mem::take(&mut self.partial).is_empty() {
            self.accept("\u{FFFD}", emit);
        }
        let held = core::mem::take(&mut self.held);
        if !held.is_empty() {
            emit(&held);
        }
        self.stops.iter_mut().for_each(|stop| stop.matched = 0);
        self.is_stopped
    }

    fn accept(&mut self, text: &str, emit: &mut impl FnMut(&str)) {
        if self.is_stopped {
            return;
        }
        let start = self.held.len();
        self.held.push_str(text);
        for (offset, byte) in text.bytes().enumerate() {
            let complete = self.stops.iter_mut().filter_map(|stop| stop.advance(byte)).max();
            if let Some(length) = complete {
                self.is_stopped = true;
                self.release((start + offset + 1).saturating_sub(length), emit);
                self.held.clear();
                return;
            }
        }
        let matched = self.stops.iter().map(|stop| stop.matched).max().unwrap_or(0);
        self.release(self.held.len().saturating_sub(matched), emit);
    }

    /// Emits the beginning of the held text, up to a byte that begins a character.
    fn release(&mut self, length: usize, emit: &mut impl FnMut(&str)) {
        if length == 0 || !self.held.is_char_boundary(length) {
            return;
        }
        let kept = self.held.split_off(length);
        emit(&self.held);
        self.held = kept;
    }
}

/// A stop string, searched for byte by byte (Knuth, Morris and Pratt): each byte of text is looked at about twice, however
/// much the string repeats itself.
struct Stop {
    bytes: Vec<u8>,
    /// For each number of matched bytes, less one: how many are still matched when the next byte does not fit.
    fallback: Vec<usize>,
    matched: usize,
}

impl Stop {
    fn new(text: &str) -> Self {
        let mut stop = Self { bytes: Vec::from(text), fallback: Vec::from([0]), matched: 0 };
        for byte in text.bytes().skip(1) {
            stop.advance(byte);
            stop.fallback.push(stop.matched);
        }
        stop.matched = 0;
        stop
    }

    /// Takes a byte of text; the length of the stop string if it is complete with it.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        while self.matched > 0 && self.bytes.get(self.matched) != Some(&byte) {
            self.matched = self.matched.checked_sub(1).and_then(|last| self.fallback.get(last)).copied().unwrap_or(0);
        }
        if self.bytes.get(self.matched) == Some(&byte) {
            self.matched += 1;
        }
        (self.matched == self.bytes.len()).then_some(self.matched)
    }
}

#[cfg(test)]
#[path = "text_stream_tests.rs"]
mod tests;
