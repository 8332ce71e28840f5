//! The chat template: its source and the messages.

use barellama_engine::template::{Message, OUTPUT_BYTES_MAX, SOURCE_BYTES_MAX, WORK_MAX, render};

use crate::heap;
use crate::input::Input;

const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];
/// The tree of a source: a node for every few characters.
const HEAP_PER_SOURCE_BYTE: usize = 400;

/// The source, then messages: a byte for the role, the text.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let source = input.text();
    let add_generation_prompt = input.byte() & 1 != 0;
    let mut messages = Vec::new();
    while !input.is_empty() && messages.len() < 8 {
        messages.push((ROLES[usize::from(input.byte()) % ROLES.len()], input.text()));
    }
    let messages: Vec<Message<'_>> = messages.iter().map(|(role, content)| Message { role, content }).collect();
    let (rendered, peak) = heap::peak_of(|| render(&source, &messages, "<s>", "</s>", add_generation_prompt));
    assert!(peak <= 2 * WORK_MAX + HEAP_PER_SOURCE_BYTE * source.len(), "{peak} bytes of heap");
    match rendered {
        Ok(text) => {
            assert!(text.len() <= OUTPUT_BYTES_MAX && source.len() <= SOURCE_BYTES_MAX);
            let again = render(&source, &messages, "<s>", "</s>", add_generation_prompt);
            assert_eq!(again.as_deref(), Ok(text.as_str()), "rendering has no memory");
        }
        Err(error) => assert!(error.line >= 1 && error.line as usize <= source.len() + 1),
    }
}
