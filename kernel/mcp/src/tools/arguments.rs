//! Arguments of a call to an order for the kernel.

use alloc::string::String;
use core::fmt;

use serde::Deserialize;

use super::values::Whole;
use super::{Order, Tool, benchmark, generation, models, score, text};
use crate::rpc_error::short_string;

/// Why arguments are refused, a sentence for whoever called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadArguments(pub String);

impl BadArguments {
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(short_string(reason))
    }
}

/// Reads the arguments of a tool. `nonce` makes prompts that must not be the same twice differ.
pub(crate) fn read(tool: Tool, arguments: &str, nonce: u64) -> Result<Order, BadArguments> {
    match tool {
        Tool::Generate => generation::generate(arguments),
        Tool::Chat => generation::chat(arguments),
        Tool::Tokenize => text::tokenize(arguments),
        Tool::Detokenize => text::detokenize(arguments),
        Tool::Score => score::order(arguments),
        Tool::Benchmark => benchmark::order(arguments, nonce),
        Tool::SystemStatus => none(arguments),
        Tool::Models => models::order(arguments),
    }
}

/// Reads typed arguments; what serde finds wrong is said without its position, which means nothing to a caller.
pub(super) fn typed<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, BadArguments> {
    serde_json::from_str(arguments).map_err(|error| {
        let text = short_string(error);
        let reason = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
        BadArguments::new(format_args!("Invalid arguments: {reason}"))
    })
}

fn none(arguments: &str) -> Result<Order, BadArguments> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct None {}
    typed::<None>(arguments).map(|None {}| Order::Status)
}

/// A number that must be in a range, or its default if it is not given.
pub(super) fn whole(name: &str, value: Option<Whole>, default: u32, most: u32) -> Result<u32, BadArguments> {
    match value.map(|value| u32::try_from(value.0)) {
        None => Ok(default),
        Some(Ok(value)) if value <= most => Ok(value),
        Some(_) => Err(BadArguments::new(format_args!("Invalid arguments: \"{name}\" must be at most {most}"))),
    }
}

/// A decimal number that must be between 0 and `most`.
pub(super) fn decimal(name: &str, value: Option<f32>, default: f32, most: f32) -> Result<f32, BadArguments> {
    let value = value.unwrap_or(default);
    if (0.0..=most).contains(&value) {
        return Ok(value);
    }
    Err(BadArguments::new(format_args!("Invalid arguments: \"{name}\" must be between 0 and {most}")))
}

/// Deadline of calls that do not say one: clients give up after 60 s unless they are told otherwise.
const DEADLINE_MS_DEFAULT: u32 = 55_000;
const DEADLINE_MS_MAX: u32 = 86_400_000;

/// The time that a call may take; `None`: any.
pub(super) fn deadline_ms(value: Option<Whole>) -> Result<Option<u32>, BadArguments> {
    let deadline_ms = whole("deadline_ms", value, DEADLINE_MS_DEFAULT, DEADLINE_MS_MAX)?;
    Ok((deadline_ms > 0).then_some(deadline_ms))
}

#[cfg(test)]
mod tests;
