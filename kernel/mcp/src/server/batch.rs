//! Arrays of messages (2025-03-26 and before): their answers go out together.

use core::fmt::{self, Write};

use heapless::String;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::rpc_error::{RpcError, code};

/// Most messages of a batch.
pub(super) const BATCH_MESSAGES_MAX: usize = 32;
/// Most batches whose answers are not out yet.
pub(super) const BATCHES_MAX: usize = 2;
/// Room for the answers of a batch.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// Of which this is kept for errors, so that every request gets an answer.
const ERROR_ROOM_BYTES: usize = 20 << 10;

/// The answers of a batch so far.
#[derive(Debug)]
pub(super) struct BatchBuffer(String<BATCH_BYTES_MAX>);

impl BatchBuffer {
    pub const fn new() -> Self {
        Self(String::new())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an answer; `false` if it has no room.
    pub fn push(&mut self, answer: &dyn fmt::Display) -> bool {
        let before = self.0.len();
        let written = write!(self.0, "{}{answer}", if before == 0 { "[" } else { "," });
        let fits = written.is_ok() && self.0.len() <= BATCH_BYTES_MAX - ERROR_ROOM_BYTES;
        if !fits {
            self.0.truncate(before);
        }
        fits
    }

    /// Adds an error, which always has room.
    pub fn push_error(&mut self, answer: &dyn fmt::Display) {
        let before = self.0.len();
        if write!(self.0, "{}{answer}", if before == 0 { "[" } else { "," }).is_err() {
            self.0.truncate(before);
        }
    }
}

impl fmt::Display for BatchBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}]", self.0.as_str())
    }
}

/// A batch whose answers are collected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Calls that are not answered yet.
    pub waiting: usize,
}

/// An answer that a batch has no room for.
pub(super) fn no_room() -> RpcError {
    RpcError::new(code::INTERNAL, "The answers to this batch are too long: ask one by one")
}

/// The messages of a batch.
#[derive(Debug)]
pub(super) struct Messages<'a>(pub heapless::Vec<&'a RawValue, BATCH_MESSAGES_MAX>);

impl<'de: 'a, 'a> Deserialize<'de> for Messages<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(MessagesVisitor)
    }
}

struct MessagesVisitor;

impl<'de> Visitor<'de> for MessagesVisitor {
    type Value = Messages<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array of at most {BATCH_MESSAGES_MAX} messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Messages<'de>, A::Error> {
        let mut messages = heapless::Vec::new();
        while let Some(message) = sequence.next_element::<&RawValue>()? {
            messages.push(message).map_err(|_| A::Error::invalid_length(BATCH_MESSAGES_MAX + 1, &self))?;
        }
        Ok(Messages(messages))
    }
}
