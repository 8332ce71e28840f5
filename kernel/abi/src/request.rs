//! How a request lies in a request slot: a fixed header, then records.
//!
//! The kernel writes a request with [`RequestWriter`] and hands the slot over; the engine reads it with [`Request`].
//! Record: `kind: u32`, `length: u32`, `length` bytes, zeros up to a multiple of 8.

use crate::wire::{Reader, Writer};

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum RequestKind {
    /// Continue the messages (or the raw [`RecordKind::Prompt`]) and emit text.
    #[default]
    Generate = 0,
    /// Emit one JSON line per step of the forced ids (or of greedy choices): see the console's `/score`.
    Score = 1,
    /// Emit the ids of [`RecordKind::Prompt`] as one JSON line.
    Tokenize = 2,
    /// Emit the text of [`RecordKind::TokenIds`].
    Detokenize = 3,
    /// Emit the model card, the arena table and the tensor table as reports.
    Describe = 4,
    /// Forget the KV cache of the session.
    Reset = 5,
    /// Emit the rendered chat template of the messages.
    Render = 6,
}

impl RequestKind {
    /// The kind of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Generate,
            1 => Self::Score,
            2 => Self::Tokenize,
            3 => Self::Detokenize,
            4 => Self::Describe,
            5 => Self::Reset,
            6 => Self::Render,
            _ => return None,
        })
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RecordKind {
    /// Raw text, tokenized as it is with special tokens parsed.
    Prompt = 0,
    /// A chat message of the system.
    System = 1,
    /// A chat message of the user.
    User = 2,
    /// A chat message of the assistant.
    Assistant = 3,
    /// A stop string.
    Stop = 4,
    /// Token ids of the prompt, little-endian `u32` each.
    TokenIds = 5,
    /// Token ids that are forced one after the other (score), little-endian `u32` each.
    ForcedIds = 6,
    /// A chat template that replaces the model's own: Jinja, or one of [`TEMPLATE_NAMES`].
    ChatTemplate = 7,
}

/// The chat templates that the engine knows by name: the model's own, no template at all, and those of some families.
pub const TEMPLATE_NAMES: [&str; 6] = ["auto", "none", "zephyr", "chatml", "llama2", "llama3"];

impl RecordKind {
    /// The kind of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Prompt,
            1 => Self::System,
            2 => Self::User,
            3 => Self::Assistant,
            4 => Self::Stop,
            5 => Self::TokenIds,
            6 => Self::ForcedIds,
            7 => Self::ChatTemplate,
            _ => return None,
        })
    }
}

/// Values of a slot's control word at [`crate::layout::CONTROL_ADDRESS`], written by the kernel, read by the engine at each
/// layer.
pub mod control {
    /// Go on.
    pub const RUN: u32 = 0;
    /// End with [`crate::outcome::StopReason::Cancelled`], keep the KV cache.
    pub const CANCEL: u32 = 1;
    /// End with [`crate::outcome::StopReason::Deadline`], keep the KV cache.
    pub const DEADLINE: u32 = 2;
}

/// How the next token is chosen. The order is: repetition penalty, top-k, top-p, min-p, temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0: greedy, else the logits are divided by it.
    pub temperature: f32,
    /// Keep the `top_k` best; 0: all.
    pub top_k: u32,
    /// Keep the smallest set whose probability reaches this; 1.0: all.
    pub top_p: f32,
    /// Keep what has at least this share of the best one's probability; 0.0: all.
    pub min_p: f32,
    /// Divides positive logits (multiplies negative ones) of the last [`Self::repeat_last`] tokens; 1.0: none.
    pub repeat_penalty: f32,
    /// How many of the last tokens the penalty looks at.
    pub repeat_last: u32,
    /// Seed of the random numbers; the same seed gives the same tokens.
    pub seed: u64,
}

impl Sampling {
    /// Greedy choice without a penalty; what else there is counts as soon as a temperature is set.
    pub const DEFAULT: Self =
        Self { temperature: 0.0, top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1.0, repeat_last: 64, seed: 1 };
}

impl Default for Sampling {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether tokens are drafted and verified several at once. The answer does not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Speculation {
    /// One token a pass.
    Off = 0,
    /// A draft wherever one is found.
    On = 1,
    /// Drafts as long as they pay, by what was measured.
    #[default]
    Auto = 2,
}

impl Speculation {
    /// The mode of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Off,
            1 => Self::On,
            2 => Self::Auto,
            _ => return None,
        })
    }
}

/// [`RequestHeader::session`]: the engine takes a free one, if it can one that holds the beginning of the prompt.
pub const SESSION_ANY: u32 = u32::MAX;

/// The fixed part of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestHeader {
    /// Never 0; unique since the kernel started.
    pub id: u32,
    /// What is asked for.
    pub kind: RequestKind,
    /// Which KV cache, 0 to `sessions - 1`, or [`SESSION_ANY`].
    pub session: u32,
    /// Most tokens to generate; 0: as many as the context holds.
    pub max_tokens: u32,
    /// Cores to compute on; 0: all. The result does not depend on it.
    pub cores: u32,
    /// Prompt tokens per prefill chunk; 0: the engine's choice. The result does not depend on it.
    pub chunk_tokens: u32,
    /// Score: how many of the best (id, logit) pairs to emit per step, at most [`TOP_MAX`].
    pub top: u32,
    /// Whether end-of-generation tokens do not end it (score, benchmarks).
    pub ignore_end: bool,
    /// Score: positions in front of the prompt whose keys and values are made up, so that a long context can be measured without
    /// computing it; 0: none. The session forgets everything afterwards.
    pub filled_tokens: u32,
    /// Whether tokens are drafted (generate).
    pub speculation: Speculation,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// Most (id, logit) pairs that a score step may ask for.
pub const TOP_MAX: u32 = 64;

impl Default for RequestHeader {
    fn default() -> Self {
        Self {
            id: 1,
            kind: RequestKind::Generate,
            session: SESSION_ANY,
            max_tokens: 0,
            cores: 0,
            chunk_tokens: 0,
            top: 5,
            ignore_end: false,
            filled_tokens: 0,
            speculation: Speculation::Auto,
            sampling: Sampling::default(),
        }
    }
}

impl RequestHeader {
    /// Size of the encoded form, in bytes.
    pub const BYTES: usize = 72;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.id);
        writer.u32(self.kind as u32);
        writer.u32(self.session);
        writer.u32(self.max_tokens);
        writer.u32(self.cores);
        writer.u32(self.chunk_tokens);
        writer.u32(self.top);
        writer.u32(u32::from(self.ignore_end));
        writer.f32(self.sampling.temperature);
        writer.u32(self.sampling.top_k);
        writer.f32(self.sampling.top_p);
        writer.f32(self.sampling.min_p);
        writer.f32(self.sampling.repeat_penalty);
        writer.u32(self.sampling.repeat_last);
        writer.u64(self.sampling.seed);
        writer.u32(self.filled_tokens);
        writer.u32(self.speculation as u32);
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let header = Self {
            id: reader.u32(),
            kind: RequestKind::from_number(reader.u32())?,
            session: reader.u32(),
            max_tokens: reader.u32(),
            cores: reader.u32(),
            chunk_tokens: reader.u32(),
            top: reader.u32(),
            ignore_end: reader.u32() != 0,
            speculation: Speculation::Off,
            sampling: Sampling {
                temperature: reader.f32(),
                top_k: reader.u32(),
                top_p: reader.f32(),
                min_p: reader.f32(),
                repeat_penalty: reader.f32(),
                repeat_last: reader.u32(),
                seed: reader.u64(),
            },
            filled_tokens: reader.u32(),
        };
        Some(Self { speculation: Speculation::from_number(reader.u32())?, ..header })
    }
}

/// The slot has no room for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotFull;

/// Writes a request into a slot.
pub struct RequestWriter<'a> {
    slot: &'a mut [u8],
    length: usize,
}

impl<'a> RequestWriter<'a> {
    /// Starts a request with its header.
    ///
    /// # Errors
    /// [`SlotFull`] if the slot is smaller than a header.
    pub fn new(slot: &'a mut [u8], header: RequestHeader) -> Result<Self, SlotFull> {
        slot.get_mut(..RequestHeader::BYTES).ok_or(SlotFull)?.copy_from_slice(&header.to_bytes());
        Ok(Self { slot, length: RequestHeader::BYTES })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`SlotFull`] if it does not fit; the request is then as it was before.
    pub fn record(&mut self, kind: RecordKind, bytes: &[u8]) -> Result<(), SlotFull> {
        let padded = bytes.len().checked_next_multiple_of(8).ok_or(SlotFull)?;
        let end = self.length.checked_add(8).and_then(|at| at.checked_add(padded)).ok_or(SlotFull)?;
        let room = self.slot.get_mut(self.length..end).ok_or(SlotFull)?;
        room[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        room[4..8].copy_from_slice(&u32::try_from(bytes.len()).map_err(|_| SlotFull)?.to_le_bytes());
        room[8..8 + bytes.len()].copy_from_slice(bytes);
        room[8 + bytes.len()..].fill(0);
        self.length = end;
        Ok(())
    }

    /// Adds a record of token ids.
    ///
    /// # Errors
    /// [`SlotFull`] if it does not fit; the request is then as it was before.
    pub fn ids(&mut self, kind: RecordKind, ids: &[u32]) -> Result<(), SlotFull> {
        let length = ids.len().checked_mul(4).ok_or(SlotFull)?;
        let start = self.length.checked_add(8).ok_or(SlotFull)?;
        let end = start.checked_add(length.next_multiple_of(8)).ok_or(SlotFull)?;
        let room = self.slot.get_mut(self.length..end).ok_or(SlotFull)?;
        room.fill(0);
        room[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        room[4..8].copy_from_slice(&u32::try_from(length).map_err(|_| SlotFull)?.to_le_bytes());
        for (field, id) in room[8..].chunks_exact_mut(4).zip(ids) {
            field.copy_from_slice(&id.to_le_bytes());
        }
        self.length = end;
        Ok(())
    }

    /// Length of the request so far, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }
}

/// A request in a slot, read by the engine.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    header: RequestHeader,
    records: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads the header; `None` if the bytes are not a request.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, records) = bytes.split_first_chunk::<{ RequestHeader::BYTES }>()?;
        Some(Self { header: RequestHeader::from_bytes(header)?, records })
    }

    /// The fixed part.
    #[must_use]
    pub fn header(&self) -> &RequestHeader {
        &self.header
    }

    /// The records in their order; ends at the first that is cut off or of an unknown kind.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.records }
    }

    /// The first record of a kind.
    #[must_use]
    pub fn first(&self, kind: RecordKind) -> Option<&'a [u8]> {
        self.records().find(|record| record.kind == kind).map(|record| record.bytes)
    }
}

/// A record of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it holds.
    pub kind: RecordKind,
    /// Its bytes, without padding.
    pub bytes: &'a [u8],
}

impl Record<'_> {
    /// The bytes as token ids.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        ids(self.bytes)
    }
}

/// Little-endian bytes as token ids; a cut-off last one is left out.
pub fn ids(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|field| u32::from_le_bytes(*field))
}

/// Iterator over the records of a request.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<8>()?;
        let mut reader = Reader::new(head);
        let kind = RecordKind::from_number(reader.u32())?;
        let length = usize::try_from(reader.u32()).ok()?;
        let bytes = rest.get(..length)?;
        self.rest = rest.get(length.checked_next_multiple_of(8)?..).unwrap_or(&[]);
        Some(Record { kind, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_round_trips() {
        let mut slot = [0xAA; 512];
        let header = RequestHeader { id: 7, max_tokens: 64, filled_tokens: 9, ..RequestHeader::default() };
        let mut writer = RequestWriter::new(&mut slot, header).unwrap();
        writer.record(RecordKind::System, b"be brief").unwrap();
        writer.record(RecordKind::User, "grüß dich".as_bytes()).unwrap();
        writer.ids(RecordKind::ForcedIds, &[1, 2, 49151]).unwrap();
        let length = writer.length();

        let request = Request::parse(&slot[..length]).unwrap();
        assert_eq!(*request.header(), header);
        let mut records = request.records();
        assert_eq!(records.next(), Some(Record { kind: RecordKind::System, bytes: b"be brief" }));
        assert_eq!(records.next(), Some(Record { kind: RecordKind::User, bytes: "grüß dich".as_bytes() }));
        assert!(records.next().unwrap().ids().eq([1, 2, 49151]));
        assert_eq!(records.next(), None);
    }

    #[test]
    fn a_full_slot_is_an_error_and_leaves_the_request_whole() {
        let mut slot = [0; 104];
        let mut writer = RequestWriter::new(&mut slot, RequestHeader::default()).unwrap();
        writer.record(RecordKind::User, b"12345678").unwrap();
        let length = writer.length();
        assert_eq!(writer.record(RecordKind::User, &[b'x'; 64]), Err(SlotFull));
        assert_eq!(writer.ids(RecordKind::TokenIds, &[1; 64]), Err(SlotFull));
        assert_eq!(writer.length(), length);
    }

    #[test]
    fn cut_off_and_unknown_records_end_the_iteration() {
        let mut slot = [0; 128];
        let mut writer = RequestWriter::new(&mut slot, RequestHeader::default()).unwrap();
        writer.record(RecordKind::User, b"12345678").unwrap();
        let length = writer.length();
        let request = Request::parse(&slot[..length - 1]).unwrap();
        assert_eq!(request.records().count(), 0);
        slot[RequestHeader::BYTES] = 0xFF;
        let request = Request::parse(&slot[..length]).unwrap();
        assert_eq!(request.records().count(), 0);
        assert!(Request::parse(&[0; 10]).is_none());
    }
}
