//! Chat templates: the subset of Jinja in which models say how a conversation becomes a prompt.
//!
//! A template comes with the model file and is as little trusted as the rest of it. [`render`] parses it into a tree
//! and walks the tree; source, output, nesting and work are bounded, and what is not supported is named
//! in the error. The environment is that of the `transformers` library, for which templates are written: `trim_blocks` and
//! `lstrip_blocks` are set, `break` and `continue` exist, `tojson` writes plain JSON, `tools` and `documents` are none. There
//! is no clock, so `strftime_now` is undefined; templates that ask whether it is defined fall back to a fixed date.
//!
//! Supported: output, `if`, `for` (with `else`, conditions and `loop`), `set` (also of attributes of a `namespace`, and as a
//! block), `macro`, `break`, `continue`, `generation`; all operators but `**`; slices; the filters, tests and methods in
//! `filters.rs`, `predicates.rs` and `methods.rs`. Tuples are lists, and print as such.

mod arguments;
mod builtin;
mod error;
mod evaluate;
mod expressions;
mod filters;
mod json;
mod lexer;
mod machine;
mod memory;
mod methods;
mod operations;
mod parser;
mod predicates;
mod statements;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

pub use self::builtin::{NONE, named};
pub use self::error::{Problem, TemplateError};
use self::machine::Machine;
pub use self::memory::Memory;
use self::parser::parse;
use self::value::Value;

/// Longest template, in bytes (the longest that are in use have about 20,000).
pub const SOURCE_BYTES_MAX: usize = 64 << 10;
/// Longest result, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Most work of a rendering, in units of about a byte read or written; it bounds time and memory.
pub const WORK_MAX: usize = 16 << 20;

/// Heap of a message besides its content, in bytes: the mapping and its keys.
const MESSAGE_BYTES: usize = 512;

/// A message of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub role: &'a str,
    /// Its text.
    pub content: &'a str,
}

/// Renders a conversation with a template. `bos` and `eos` are the texts of the beginning-of-sequence and end-of-sequence
/// tokens, empty if there are none; `add_generation_prompt` asks for the beginning of the assistant's answer at the end. No more heap is
/// taken than `memory` has.
///
/// # Errors
/// With the line: a template that is malformed, too large, or uses what is not supported; an operation that does not fit its
/// values; the message with which the template refuses these messages.
pub fn render(
    source: &str,
    messages: &[Message<'_>],
    bos: &str,
    eos: &str,
    add_generation_prompt: bool,
    memory: Memory,
) -> Result<String, TemplateError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(TemplateError { line: 1, problem: Problem::SourceTooLong });
    }
    let at_start = |problem| TemplateError { line: 1, problem };
    let message_bytes = messages.iter().map(|message| message.content.len().saturating_add(MESSAGE_BYTES)).sum();
    memory.expect(3 * source.len()).and_then(|()| memory.expect(message_bytes)).map_err(at_start)?;
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let messages = message_list(messages).map_err(at_start)?;
    let template = parse(&source, memory)?;
    let variables = Vec::from([
        ("messages", messages),
        ("bos_token", Value::string(bos)),
        ("eos_token", Value::string(eos)),
        ("add_generation_prompt", Value::Boolean(add_generation_prompt)),
        ("tools", Value::None),
        ("documents", Value::None),
    ]);
    let mut machine = Machine::new(&template, variables, memory);
    match machine.run(&template.body) {
        Ok(_) => Ok(machine.output),
        Err(problem) => Err(TemplateError { line: machine.line, problem }),
    }
}

fn message_list(messages: &[Message<'_>]) -> Result<Value, Problem> {
    let mut items = Vec::new();
    for message in messages {
        let entry = |key: &str, text: &str| (Rc::from(key), Value::string(text));
        items.push(Value::mapping(Vec::from([entry("role", message.role), entry("content", message.content)]))?);
    }
    Ok(Value::list(items)?)
}
