//! The typed arguments of `/score` and `/render`, and how they become a request.

use super::parse::JsonError;
use crate::json::{Limits, check_bounds};
use alloc::string::String;
use alloc::vec::Vec;
use barellama_abi::layout::{CORES_MAX, REQUEST_SLOTS};
use barellama_abi::request::{
    RecordKind, RequestHeader, RequestKind, RequestWriter, SESSION_ANY, Sampling, SlotFull, Speculation, TOP_MAX,
};
use serde::Deserialize;

/// What a JSON argument may have: as long as a line, ids for a long context, and no nesting beyond a list of messages.
pub(super) const LIMITS: Limits = Limits { bytes: crate::editor::LINE_BYTES_MAX, depth: 3, elements: 16_384 };
/// Steps of a score that forces nothing and says nothing.
const STEPS_DEFAULT: u32 = 16;
const STEPS_MAX: u32 = 65_536;
const CHUNK_TOKENS_MAX: u32 = 4096;
const FILLED_TOKENS_MAX: u32 = 1 << 20;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The record that carries a message of this role.
    #[must_use]
    pub const fn record_kind(self) -> RecordKind {
        match self {
            Self::System => RecordKind::System,
            Self::User => RecordKind::User,
            Self::Assistant => RecordKind::Assistant,
        }
    }
}

/// A chat message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Writes messages as records.
///
/// # Errors
/// [`SlotFull`] if they do not fit.
pub fn write_messages(messages: &[Message], writer: &mut RequestWriter<'_>) -> Result<(), SlotFull> {
    messages.iter().try_for_each(|message| writer.record(message.role.record_kind(), message.content.as_bytes()))
}

/// The argument of `/score`. Exactly one of `prompt`, `ids` and `messages` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRequest {
    /// Raw text, tokenized as it is.
    pub prompt: Option<String>,
    /// Token ids of the prompt.
    pub ids: Vec<u32>,
    /// Messages, through the chat template.
    pub messages: Vec<Message>,
    /// Ids that are taken one after the other, whatever the model would choose.
    pub forced: Vec<u32>,
    /// How many steps; 0: one for each forced id, or 16.
    pub steps: u32,
    /// How many of the best (id, logit) pairs per step, at most 64; 5 if it is not given.
    pub top: Option<u32>,
    /// Cores to compute on; 0: all.
    pub cores: u32,
    /// Prompt tokens per chunk; 0: the engine's choice.
    pub chunk: u32,
    /// Which KV cache; any if it is not given.
    pub session: Option<u32>,
    /// For benchmarks: so many positions in front of the prompt get made-up keys and values. The session is empty afterwards.
    pub filled: u32,
}

impl ScoreRequest {
    /// The fixed part of the request. Choices are greedy, whatever is set, and nothing ends it early.
    #[must_use]
    pub fn header(&self, id: u32) -> RequestHeader {
        RequestHeader {
            id,
            kind: RequestKind::Score,
            session: self.session.unwrap_or(SESSION_ANY),
            max_tokens: self.step_count(),
            cores: self.cores,
            chunk_tokens: self.chunk,
            top: self.top.unwrap_or(RequestHeader::default().top),
            ignore_end: true,
            filled_tokens: self.filled,
            speculation: Speculation::Off,
            sampling: Sampling { temperature: 0.0, repeat_penalty: 1.0, ..Sampling::default() },
        }
    }

    /// Writes the records of the request.
    ///
    /// # Errors
    /// [`SlotFull`] if they do not fit.
    pub fn write_records(&self, writer: &mut RequestWriter<'_>) -> Result<(), SlotFull> {
        if let Some(prompt) = &self.prompt {
            writer.record(RecordKind::Prompt, prompt.as_bytes())?;
        }
        if !self.ids.is_empty() {
            writer.ids(RecordKind::TokenIds, &self.ids)?;
        }
        write_messages(&self.messages, writer)?;
        if !self.forced.is_empty() {
            writer.ids(RecordKind::ForcedIds, &self.forced)?;
        }
        Ok(())
    }

    /// How many steps are made.
    #[must_use]
    pub fn step_count(&self) -> u32 {
        match (self.steps, u32::try_from(self.forced.len())) {
            (0, Ok(0) | Err(_)) => STEPS_DEFAULT,
            (0, Ok(forced)) => forced,
            (steps, _) => steps,
        }
    }

    pub(super) fn from_json(json: &str) -> Result<Self, JsonError> {
        check_bounds(json, &LIMITS).map_err(JsonError::Bounds)?;
        let request: Self = serde_json::from_str(json).map_err(JsonError::Syntax)?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), JsonError> {
        let sources = [self.prompt.is_some(), !self.ids.is_empty(), !self.messages.is_empty()];
        if sources.into_iter().filter(|&is_given| is_given).count() != 1 {
            return Err(JsonError::Meaning("give exactly one of \"prompt\", \"ids\" and \"messages\""));
        }
        let ranges = [
            (self.steps <= STEPS_MAX, "\"steps\" is at most 65536"),
            (self.top.is_none_or(|top| top <= TOP_MAX), "\"top\" is at most 64"),
            (self.cores <= CORES_MAX as u32, "\"cores\" is at most 4 (0: all)"),
            (self.chunk <= CHUNK_TOKENS_MAX, "\"chunk\" is at most 4096 (0: the engine's choice)"),
            (self.session.is_none_or(|session| session < SESSIONS_MAX), "\"session\" is at most 15"),
            (self.filled <= FILLED_TOKENS_MAX, "\"filled\" is at most 1048576"),
        ];
        ranges.into_iter().find(|range| !range.0).map_or(Ok(()), |range| Err(JsonError::Meaning(range.1)))
    }
}

const SESSIONS_MAX: u32 = 16;
const _: () = assert!(SESSIONS_MAX as usize >= REQUEST_SLOTS);

/// The JSON argument of `/render`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenderArguments {
    messages: Vec<Message>,
}

pub(super) fn messages_from_json(json: &str) -> Result<Vec<Message>, JsonError> {
    check_bounds(json, &LIMITS).map_err(JsonError::Bounds)?;
    let arguments: RenderArguments = serde_json::from_str(json).map_err(JsonError::Syntax)?;
    Ok(arguments.messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use barellama_abi::request::Request;

    #[test]
    fn a_full_request_becomes_records() {
        let json = r#"{"messages":[{"role":"system","content":"brief"},{"role":"user","content":"1\n2"}],
            "forced":[5,6,7],"top":3,"cores":2,"chunk":8,"session":1}"#;
        let score = ScoreRequest::from_json(json).unwrap();
        let header = score.header(9);
        assert_eq!((header.id, header.kind, header.max_tokens, header.top), (9, RequestKind::Score, 3, 3));
        assert_eq!((header.cores, header.chunk_tokens, header.session, header.ignore_end), (2, 8, 1, true));

        let mut slot = vec![0; 512];
        let mut writer = RequestWriter::new(&mut slot, header).unwrap();
        score.write_records(&mut writer).unwrap();
        let length = writer.length();
        let request = Request::parse(&slot[..length]).unwrap();
        assert_eq!(request.first(RecordKind::System), Some(b"brief".as_slice()));
        assert_eq!(request.first(RecordKind::User), Some(b"1\n2".as_slice()));
        let forced = request.records().find(|record| record.kind == RecordKind::ForcedIds).unwrap();
        assert!(forced.ids().eq([5, 6, 7]));
    }

    #[test]
    fn defaults_are_sixteen_greedy_steps_with_five_candidates() {
        let header = ScoreRequest::from_json(r#"{"ids":[1,2]}"#).unwrap().header(1);
        assert_eq!((header.max_tokens, header.top, header.sampling.temperature.to_bits()), (16, 5, 0));
        assert_eq!(ScoreRequest::from_json(r#"{"prompt":"x","steps":4,"forced":[1]}"#).unwrap().step_count(), 4);
        assert_eq!(ScoreRequest::from_json(r#"{"prompt":"","top":0}"#).unwrap().header(1).top, 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let reason = |json: &str| ScoreRequest::from_json(json).unwrap_err().to_string();
        assert!(reason("{}").contains("exactly one"));
        assert!(reason(r#"{"prompt":"x","ids":[1]}"#).contains("exactly one"));
        assert!(reason(r#"{"prompt":"x","top":65}"#).contains("\"top\""));
        assert!(reason(r#"{"prompt":"x","cores":5}"#).contains("\"cores\""));
        assert!(reason(r#"{"prompt":"x","session":16}"#).contains("\"session\""));
        assert!(reason(r#"{"prompt":"x","filled":1048577}"#).contains("\"filled\""));
        assert!(reason(r#"{"prompt":"x","stepz":1}"#).contains("stepz"));
        assert!(reason(r#"{"ids":[-1]}"#).contains("-1"));
        assert!(reason(r#"{"ids":[4294967296]}"#).contains("4294967296"));
        assert!(reason(r#"{"messages":[{"role":"robot","content":"x"}]}"#).contains("robot"));
        assert!(reason(r#"{"prompt":"x""#).contains("EOF"));
        assert!(reason(&["{\"ids\":[", &"1,".repeat(16_384), "1]}"].concat()).contains("16384"));
        assert!(reason("[[[[1]]]]").contains("nested"));
        assert!(!reason(r#"{"\u001b[2J\n":1}"#).contains(char::is_control));
    }
}
