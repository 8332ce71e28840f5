//! The EL0 program: tokenizer, chat template, transformer, sampler, sessions.
#![no_std]
