//! `benchmark`.

use alloc::borrow::Cow;
use alloc::format;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind};
use serde::Deserialize;

use super::Order;
use super::arguments::{BadArguments, deadline_ms, typed, whole};
use super::values::Whole;
use crate::server::Records;

const PROMPT_TOKENS_DEFAULT: u32 = 64;
const GENERATE_TOKENS_DEFAULT: u32 = 32;
const TOKENS_MAX: u32 = 8192;
/// One token in every vocabulary of the llama family.
const WORD: &str = " the";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    prompt_tokens: Option<Whole>,
    generate_tokens: Option<Whole>,
    deadline_ms: Option<Whole>,
}

pub(super) fn order(arguments: &str, nonce: u64) -> Result<Order, BadArguments> {
    let arguments: Arguments = typed(arguments)?;
    let prompt_tokens = whole("prompt_tokens", arguments.prompt_tokens, PROMPT_TOKENS_DEFAULT, TOKENS_MAX)?;
    let generate_tokens = whole("generate_tokens", arguments.generate_tokens, GENERATE_TOKENS_DEFAULT, TOKENS_MAX)?;
    if prompt_tokens < 1 || generate_tokens < 2 {
        return Err(BadArguments::new(
            "Invalid arguments: \"prompt_tokens\" must be at least 1 and \"generate_tokens\" at least 2",
        ));
    }
    let header = RequestHeader {
        kind: RequestKind::Generate,
        max_tokens: generate_tokens,
        ignore_end: true,
        ..RequestHeader::default()
    };
    // The number in front is another one each time: nothing of an earlier prompt can be reused.
    let prompt = format!("{nonce}{}", WORD.repeat(prompt_tokens as usize));
    let mut records = Records::new();
    records.push_text(RecordKind::Prompt, Cow::Owned(prompt));
    Ok(Order::Engine { header, deadline_ms: deadline_ms(arguments.deadline_ms)?, records })
}
