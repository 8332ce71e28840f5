//! From the bytes of a model file to an answer: interleave, check, tokenize, plan, seal, run.

use barellama_abi::request::{RecordKind, RequestKind};

use crate::engine_bench::{CheckingKernel, make_arena, open_and_serve, request};
use crate::heap;

/// Tables of keys, tensors, tokens and layers, and the requests.
const HEAP_PER_BYTE: usize = 64;
const HEAP_FIXED: usize = 4 << 20;

/// Any bytes as a model file.
pub fn run(data: &[u8]) {
    make_arena();
    let requests = vec![
        request(RequestKind::Score, 1, RecordKind::Prompt, "b a"),
        request(RequestKind::Generate, 2, RecordKind::User, "ab c"),
        request(RequestKind::Tokenize, 0, RecordKind::Prompt, "ab<s>"),
        request(RequestKind::Describe, 0, RecordKind::Prompt, ""),
    ];
    let count = requests.len() as u32;
    let kernel = CheckingKernel::with(requests);
    let (is_accepted, peak) = heap::peak_of(|| open_and_serve(&kernel, data));
    assert_eq!(kernel.finished(), count + u32::from(!is_accepted), "every request is ended once");
    assert!(peak <= HEAP_PER_BYTE * data.len() + HEAP_FIXED, "{peak} bytes of heap for {}", data.len());
}
