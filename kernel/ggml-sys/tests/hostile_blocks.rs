//! The fuzz target `blocks` without libFuzzer, over its kept inputs and a few thousand made-up ones. `make sanitize-arm` runs it on ggml's
//! C for Arm, compiled with the sanitizers.

#[path = "../../../tests/fuzz/src/targets/blocks.rs"]
mod blocks;
#[path = "../../../tests/fuzz/src/input.rs"]
#[allow(dead_code, reason = "other targets need the rest of it")]
mod input;

use std::fs;

use barellama_gguf::TensorType;

/// For each type so many made-up inputs.
const INPUTS: u64 = 100;

#[test]
fn kept_inputs_keep_the_promises() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/blocks");
    for entry in fs::read_dir(corpus).unwrap() {
        blocks::run(&fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn made_up_inputs_keep_the_promises() {
    let mut state = 1_u64;
    // An xorshift generator: what comes of it is the same everywhere.
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for kind in 0..TensorType::ALL.len() as u64 * INPUTS {
        let length = random() as usize % 2048;
        let mut bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = (kind % TensorType::ALL.len() as u64) as u8;
        }
        blocks::run(&bytes);
    }
}
