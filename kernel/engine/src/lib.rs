//! The EL0 program: tokenizer, chat template, transformer, sampler, sessions.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod tokenizer;
