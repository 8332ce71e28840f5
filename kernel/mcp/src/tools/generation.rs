//! `generate` and `chat`.

use alloc::borrow::Cow;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind, Sampling};
use serde::Deserialize;

use super::Order;
use super::arguments::{BadArguments, deadline_ms, decimal, typed, whole};
use super::values::{AtMost, WHOLE_MAX, Whole};
use crate::server::Records;

const MAX_TOKENS_DEFAULT: u32 = 256;
const MAX_TOKENS_MAX: u32 = 65_536;
const TEMPERATURE_MAX: f32 = 10.0;
const TOP_K_MAX: u32 = 1_000_000;
const REPEAT_PENALTY_MAX: f32 = 10.0;
const STOP_TEXTS_MAX: usize = 8;
const STOP_CHARACTERS_MAX: usize = 64;
const MESSAGES_MAX: usize = 256;

/// Who speaks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    System,
    User,
    Assistant,
}

/// A chat message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message<'a> {
    role: Role,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// A conversation.
pub(super) type Messages<'a> = AtMost<Message<'a>, MESSAGES_MAX>;

/// The arguments of both tools.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments<'a> {
    #[serde(borrow)]
    prompt: Option<Text<'a>>,
    #[serde(borrow)]
    messages: Option<Messages<'a>>,
    max_tokens: Option<Whole>,
    temperature: Option<f32>,
    top_k: Option<Whole>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repeat_penalty: Option<f32>,
    seed: Option<Whole>,
    #[serde(borrow, default)]
    stop: AtMost<Text<'a>, STOP_TEXTS_MAX>,
    deadline_ms: Option<Whole>,
}

/// A string that is borrowed if it has no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

pub(super) fn generate(arguments: &str) -> Result<Order, BadArguments> {
    let mut arguments: Arguments<'_> = typed(arguments)?;
    if arguments.messages.is_some() {
        return Err(BadArguments::new("Invalid arguments: \"messages\" belongs to the tool chat"));
    }
    let prompt =
        arguments.prompt.take().ok_or_else(|| BadArguments::new("Invalid arguments: \"prompt\" is missing"))?;
    let mut records = Records::new();
    records.push_text(RecordKind::Prompt, prompt.0);
    arguments.order(records)
}

pub(super) fn chat(arguments: &str) -> Result<Order, BadArguments> {
    let mut arguments: Arguments<'_> = typed(arguments)?;
    if arguments.prompt.is_some() {
        return Err(BadArguments::new("Invalid arguments: \"prompt\" belongs to the tool generate"));
    }
    let messages =
        arguments.messages.take().ok_or_else(|| BadArguments::new("Invalid arguments: \"messages\" is missing"))?;
    let mut records = Records::new();
    push_messages(messages, &mut records)?;
    arguments.order(records)
}

/// Adds messages as records.
pub(super) fn push_messages(messages: Messages<'_>, records: &mut Records) -> Result<(), BadArguments> {
    if messages.0.is_empty() {
        return Err(BadArguments::new("Invalid arguments: \"messages\" is empty"));
    }
    for message in messages.0 {
        let kind = match message.role {
            Role::System => RecordKind::System,
            Role::User => RecordKind::User,
            Role::Assistant => RecordKind::Assistant,
        };
        records.push_text(kind, message.content);
    }
    Ok(())
}

impl Arguments<'_> {
    fn order(self, mut records: Records) -> Result<Order, BadArguments> {
        let header = RequestHeader {
            kind: RequestKind::Generate,
            max_tokens: whole("max_tokens", self.max_tokens, MAX_TOKENS_DEFAULT, MAX_TOKENS_MAX)?,
            sampling: self.sampling()?,
            ..RequestHeader::default()
        };
        let deadline_ms = deadline_ms(self.deadline_ms)?;
        let is_good = |stop: &Text<'_>| (1..=STOP_CHARACTERS_MAX).contains(&stop.0.chars().count());
        if !self.stop.0.iter().all(is_good) {
            return Err(BadArguments::new(format_args!(
                "Invalid arguments: \"stop\" must be texts of 1 to {STOP_CHARACTERS_MAX} characters"
            )));
        }
        for stop in self.stop.0 {
            records.push_text(RecordKind::Stop, stop.0);
        }
        Ok(Order::Engine { header, deadline_ms, records })
    }

    fn sampling(&self) -> Result<Sampling, BadArguments> {
        let default = Sampling::default();
        let seed = self.seed.map_or(default.seed, |seed| seed.0);
        if seed > WHOLE_MAX {
            return Err(BadArguments::new(format_args!("Invalid arguments: \"seed\" must be at most {WHOLE_MAX}")));
        }
        let repeat_penalty =
            decimal("repeat_penalty", self.repeat_penalty, default.repeat_penalty, REPEAT_PENALTY_MAX)?;
        if repeat_penalty == 0.0 {
            return Err(BadArguments::new("Invalid arguments: \"repeat_penalty\" must be more than 0"));
        }
        Ok(Sampling {
            temperature: decimal("temperature", self.temperature, default.temperature, TEMPERATURE_MAX)?,
            top_k: whole("top_k", self.top_k, default.top_k, TOP_K_MAX)?,
            top_p: decimal("top_p", self.top_p, default.top_p, 1.0)?,
            min_p: decimal("min_p", self.min_p, default.min_p, 1.0)?,
            repeat_penalty,
            repeat_last: default.repeat_last,
            seed,
        })
    }
}
