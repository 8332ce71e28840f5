//! The EL0 program: tokenizer, chat template, transformer, sampler, sessions.
#![no_std]

extern crate alloc;

pub mod compute;
pub mod kernel_calls;
