//! Requests that need the tokenizer or the tables only.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use barellama_abi::request::{RecordKind, Request};
use barellama_abi::syscall::EmitKind;

use crate::kernel_calls::Kernel;
use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt;
use crate::request_error::RequestError;
use crate::tokenizer::Encode;

/// Emits the ids of the raw prompt as one line, a JSON array.
///
/// # Errors
/// Why the text cannot be tokenized.
pub fn tokenize(
    kernel: &dyn Kernel,
    prepared: &Prepared<'_>,
    id: u32,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let text = prompt::text(request.first(RecordKind::Prompt).ok_or(RequestError::NothingToContinue)?)?;
    let ids = prepared.tokenizer.encode(text, Encode { add_special: true, parse_special: true })?;
    let mut output = Output::new(kernel, id, EmitKind::Json);
    for (index, id) in ids.iter().enumerate() {
        // Writing to an output cannot fail.
        let _ = write!(output, "{}{id}", if index == 0 { "[" } else { "," });
    }
    output.line(format_args!("{}]", if ids.is_empty() { "[" } else { "" }));
    Ok(())
}

/// Emits the text of token ids, special tokens written out, broken characters replaced.
///
/// # Errors
/// If there are no ids or the model does not know one.
pub fn detokenize(
    kernel: &dyn Kernel,
    prepared: &Prepared<'_>,
    id: u32,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let ids = prompt::ids(prepared, request, RecordKind::TokenIds)?.ok_or(RequestError::NothingToContinue)?;
    let mut bytes = Vec::new();
    for id in ids {
        prepared.tokenizer.piece(id, true, &mut bytes);
    }
    Output::new(kernel, id, EmitKind::Text).say(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// Emits the messages in the words of the chat template.
///
/// # Errors
/// If there are no messages or the template fails.
pub fn render(
    kernel: &dyn Kernel,
    prepared: &Prepared<'_>,
    id: u32,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let text = prompt::render(prepared, request)?;
    Output::new(kernel, id, EmitKind::Text).say(&text);
    Ok(())
}
