//! The EL0 program: tokenizer, chat template, transformer, sampler, sessions.
//!
//! - [`compute`]: the arithmetic; [`compute::team`] puts all cores on it.
//! - [`kernels`]: products with quantized weights, in vectors.
//! - [`interleave`] and [`prepare`]: from the bytes of a model file to a model that can answer.
//! - [`machine`]: the model at work; [`serve`] takes requests for it, [`generate`] and [`score`] answer them.
//! - [`tokenizer`], [`template`], [`sampler`], [`text_stream`]: between text and tokens.
//! - [`kernel_calls`]: the system calls, as a trait.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod compute;
pub mod describe;
pub mod descriptor;
pub mod generate;
pub mod interleave;
pub mod kernel_calls;
pub mod kernels;
pub mod machine;
pub mod output;
pub mod prepare;
pub mod prompt;
pub mod request_error;
pub mod sampler;
pub mod score;
pub mod serve;
pub mod template;
pub mod text_requests;
pub mod text_stream;
pub mod tokenizer;
