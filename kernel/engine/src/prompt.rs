//! From the records of a request to the token ids of its prompt.

use alloc::string::String;
use alloc::vec::Vec;

use barellama_abi::request::{RecordKind, Request};

use crate::prepare::Prepared;
use crate::request_error::RequestError;
use crate::template::{self, Message};
use crate::tokenizer::Encode;

/// Key of the model's chat template.
pub const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// The token ids that a request wants continued: its ids, else its raw prompt, else its messages.
///
/// # Errors
/// Why there are none.
pub fn tokens(prepared: &Prepared<'_>, request: &Request<'_>) -> Result<Vec<u32>, RequestError> {
    let tokens = match (ids(prepared, request, RecordKind::TokenIds)?, request.first(RecordKind::Prompt)) {
        (Some(ids), _) => ids,
        (None, Some(prompt)) => {
            prepared.tokenizer.encode(text(prompt)?, Encode { add_special: true, parse_special: true })?
        }
        (None, None) => {
            let rendered = render(prepared, request)?;
            // A template that writes the first token itself must not get a second one.
            let bos = prepared.tokenizer.bos().and_then(|bos| prepared.tokenizer.text(bos)).unwrap_or("");
            let add_special = bos.is_empty() || !rendered.starts_with(bos);
            prepared.tokenizer.encode(&rendered, Encode { add_special, parse_special: true })?
        }
    };
    if tokens.is_empty() { Err(RequestError::NothingToContinue) } else { Ok(tokens) }
}

/// The token ids of a record, checked against the vocabulary; `None` if there is no such record.
///
/// # Errors
/// The id that the model does not know.
pub fn ids(prepared: &Prepared<'_>, request: &Request<'_>, kind: RecordKind) -> Result<Option<Vec<u32>>, RequestError> {
    let Some(bytes) = request.first(kind) else { return Ok(None) };
    let ids: Vec<u32> = barellama_abi::request::ids(bytes).collect();
    let vocabulary = prepared.weights.config.vocabulary;
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(&id) => Err(RequestError::UnknownToken { id, vocabulary }),
        None => Ok(Some(ids)),
    }
}

/// The messages of a request in the words of the chat template.
///
/// # Errors
/// If there are no messages or the template fails.
pub fn render(prepared: &Prepared<'_>, request: &Request<'_>) -> Result<String, RequestError> {
    let mut messages = Vec::new();
    for record in request.records() {
        let role = match record.kind {
            RecordKind::System => "system",
            RecordKind::User => "user",
            RecordKind::Assistant => "assistant",
            _ => continue,
        };
        messages.push(Message { role, content: text(record.bytes)? });
    }
    if messages.is_empty() {
        return Err(RequestError::NothingToContinue);
    }
    let source = match request.first(RecordKind::ChatTemplate).map(text).transpose()? {
        None | Some("auto") => prepared.gguf.string(TEMPLATE_KEY).unwrap_or(template::NONE),
        Some(given) => template::named(given).unwrap_or(given),
    };
    let spelled = |id: Option<u32>| id.and_then(|id| prepared.tokenizer.text(id)).unwrap_or("");
    let (bos, eos) = (spelled(prepared.tokenizer.bos()), spelled(prepared.tokenizer.eos()));
    Ok(template::render(source, &messages, bos, eos, true, prepared.memory)?)
}

/// A record as text.
///
/// # Errors
/// If it is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, RequestError> {
    core::str::from_utf8(bytes).map_err(|_| RequestError::NotText)
}
