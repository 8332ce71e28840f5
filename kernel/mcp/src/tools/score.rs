//! `score`.

use alloc::vec::Vec;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind, Sampling, TOP_MAX};
use serde::Deserialize;

use super::Order;
use super::arguments::{BadArguments, deadline_ms, typed, whole};
use super::generation::{Messages, Text, push_messages};
use super::values::Whole;
use crate::server::Records;

/// Steps of a score that forces nothing and says nothing.
const STEPS_DEFAULT: u32 = 16;
const STEPS_MAX: u32 = 65_536;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments<'a> {
    #[serde(borrow)]
    prompt: Option<Text<'a>>,
    tokens: Option<Vec<u32>>,
    #[serde(borrow)]
    messages: Option<Messages<'a>>,
    #[serde(default)]
    forced: Vec<u32>,
    steps: Option<Whole>,
    top: Option<Whole>,
    deadline_ms: Option<Whole>,
}

pub(super) fn order(arguments: &str) -> Result<Order, BadArguments> {
    let arguments: Arguments<'_> = typed(arguments)?;
    let default = RequestHeader::default();
    let steps = whole("steps", arguments.steps, 0, STEPS_MAX)?;
    let header = RequestHeader {
        kind: RequestKind::Score,
        max_tokens: match (steps, u32::try_from(arguments.forced.len())) {
            (0, Ok(0) | Err(_)) => STEPS_DEFAULT,
            (0, Ok(forced)) => forced,
            (steps, _) => steps,
        },
        top: whole("top", arguments.top, default.top, TOP_MAX)?,
        ignore_end: true,
        sampling: Sampling { temperature: 0.0, repeat_penalty: 1.0, ..Sampling::default() },
        ..default
    };
    let deadline_ms = deadline_ms(arguments.deadline_ms)?;
    let mut records = Records::new();
    match (arguments.prompt, arguments.tokens, arguments.messages) {
        (Some(prompt), None, None) => records.push_text(RecordKind::Prompt, prompt.0),
        (None, Some(tokens), None) => records.push_ids(RecordKind::TokenIds, &tokens),
        (None, None, Some(messages)) => push_messages(messages, &mut records)?,
        _ => {
            return Err(BadArguments::new(
                "Invalid arguments: give exactly one of \"prompt\", \"tokens\" and \"messages\"",
            ));
        }
    }
    if !arguments.forced.is_empty() {
        records.push_ids(RecordKind::ForcedIds, &arguments.forced);
    }
    Ok(Order::Engine { header, deadline_ms, records })
}
