//! Messages on their way out: a ring of bytes, whole messages only, each one line.

use core::fmt::{self, Write};

/// A size for the ring with which the largest answers fit while others wait.
pub const OUTBOX_BYTES: usize = 256 << 10;

/// Room that the answer to any line can need: the line's text once more, or the longest list.
pub const RECEIVE_ROOM_BYTES: usize = crate::LINE_BYTES_MAX + (8 << 10);

/// Room that an error needs at most: its text and an id, each with escapes.
pub const REFUSAL_ROOM_BYTES: usize = 4 << 10;

/// The message does not fit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

impl fmt::Display for OutboxFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the message does not fit into the outbox")
    }
}

/// A ring of messages, each ended by LF.
#[derive(Debug)]
pub struct Outbox<'b> {
    ring: &'b mut [u8],
    start: usize,
    /// Bytes of whole messages.
    length: usize,
    peak: usize,
    lost_messages: u64,
}

impl<'b> Outbox<'b> {
    /// An empty ring in that memory, usually [`OUTBOX_BYTES`].
    #[must_use]
    pub fn new(ring: &'b mut [u8]) -> Self {
        Self { ring, start: 0, length: 0, peak: 0, lost_messages: 0 }
    }

    /// The oldest bytes that lie together; empty if there are none.
    #[must_use]
    pub fn peek(&self) -> &[u8] {
        let end = self.start.saturating_add(self.length).min(self.ring.len());
        self.ring.get(self.start..end).unwrap_or(&[])
    }

    /// Drops the oldest bytes, because they were sent.
    pub fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.length);
        self.length -= bytes;
        self.start = if self.length == 0 { 0 } else { wrap(self.start + bytes, self.ring.len()) };
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.length = 0;
    }

    /// Bytes that wait.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.length
    }

    /// Bytes that can be added.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.ring.len() - self.length
    }

    /// Whether the answer to any line fits: the next line may be given to the server.
    #[must_use]
    pub fn has_room_to_receive(&self) -> bool {
        self.free_bytes() >= RECEIVE_ROOM_BYTES
    }

    /// Whether at least an error fits: a line may be given to [`crate::server::Server::refuse_line`].
    #[must_use]
    pub fn has_room_to_refuse(&self) -> bool {
        self.free_bytes() >= REFUSAL_ROOM_BYTES
    }

    /// Most bytes that ever waited at a time.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak
    }

    /// How many messages were lost because nobody looked for room.
    #[must_use]
    pub fn lost_messages(&self) -> u64 {
        self.lost_messages
    }

    /// Adds a message, whole or not at all.
    pub(crate) fn message(&mut self, message: &dyn fmt::Display) -> Result<(), OutboxFull> {
        self.write(&mut |out| write!(out, "{message}"))
    }

    /// Adds a message, whole or not at all.
    pub(crate) fn write(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> fmt::Result) -> Result<(), OutboxFull> {
        let mut draft = Draft { outbox: self, added: 0 };
        let result = write(&mut draft).and_then(|()| draft.write_str("\n"));
        let added = draft.added;
        result.map_err(|_| OutboxFull)?;
        self.length += added;
        self.peak = self.peak.max(self.length);
        Ok(())
    }

    pub(crate) fn note_lost(&mut self) {
        self.lost_messages += 1;
    }
}

const fn wrap(at: usize, size: usize) -> usize {
    if at >= size { at - size } else { at }
}

/// A message that is being written behind the whole ones.
struct Draft<'o, 'b> {
    outbox: &'o mut Outbox<'b>,
    added: usize,
}

impl Write for Draft<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let ring = &mut self.outbox.ring;
        let used = self.outbox.length + self.added;
        if text.len() > ring.len() - used {
            return Err(fmt::Error);
        }
        let at = wrap(self.outbox.start + used, ring.len());
        let (first, second) = text.as_bytes().split_at(text.len().min(ring.len() - at));
        for (at, part) in [(at, first), (0, second)] {
            if let Some(place) = ring.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        }
        self.added += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn drain(outbox: &mut Outbox<'_>, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !outbox.peek().is_empty() {
            let part = outbox.peek()[..step.min(outbox.peek().len())].to_vec();
            outbox.consume(part.len());
            all.extend(part);
        }
        all
    }

    #[test]
    fn messages_come_out_whole_and_in_order_around_the_ring() {
        let mut ring = [0; 16];
        let mut outbox = Outbox::new(&mut ring);
        for round in 0..50 {
            outbox.message(&format_args!("a{round}")).unwrap();
            outbox.message(&format_args!("bb{round}")).unwrap();
            let expected = std::format!("a{round}\nbb{round}\n");
            outbox.message(&"ccccccccccccc").unwrap_err();
            outbox.message(&"x").unwrap();
            assert_eq!(drain(&mut outbox, 3), [expected.as_bytes(), b"x\n"].concat());
            outbox.message(&"shift").unwrap();
            outbox.consume(6);
        }
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_no_trace() {
        let mut ring = [0; 8];
        let mut outbox = Outbox::new(&mut ring);
        outbox.message(&"abc").unwrap();
        assert_eq!(outbox.message(&"defgh"), Err(OutboxFull));
        assert_eq!(outbox.message(&"def"), Ok(()));
        assert_eq!((outbox.free_bytes(), outbox.used_bytes()), (0, 8));
        assert_eq!(drain(&mut outbox, 99), b"abc\ndef\n");
        outbox.message(&"1234567").unwrap();
        outbox.clear();
        assert!(outbox.peek().is_empty());
    }
}
