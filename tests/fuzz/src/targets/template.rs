//! The chat template: its source and the messages.

use barellama_engine::template::{Memory, Message, OUTPUT_BYTES_MAX, SOURCE_BYTES_MAX, render};

use crate::heap;
use crate::input::Input;

const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];
/// About what the engine keeps for requests.
const HEAP_BYTES: usize = 3 << 20;

fn left() -> usize {
    HEAP_BYTES.saturating_sub(heap::used())
}

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
    let render = || render(&source, &messages, "<s>", "</s>", add_generation_prompt, Memory::new(left));
    let (rendered, peak) = heap::peak_of(render);
    assert!(peak <= HEAP_BYTES, "{peak} bytes of heap: more than was left");
    match rendered {
        Ok(text) => {
            assert!(text.len() <= OUTPUT_BYTES_MAX && source.len() <= SOURCE_BYTES_MAX);
            let (again, _) = heap::peak_of(render);
            assert_eq!(again.as_deref(), Ok(text.as_str()), "rendering has no memory");
        }
        Err(error) => assert!(error.line >= 1 && error.line as usize <= source.len() + 1),
    }
}
