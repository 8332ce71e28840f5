//! The EL0 program: tokenizer, chat template, transformer, sampler, sessions.
//!
//! - [`compute`]: the arithmetic; [`compute::team`] puts all cores on it.
//! - [`kernels`]: products with quantized weights, in vectors.
//! - [`interleave`] and [`prepare`]: from the bytes of a model file to a model that can answer.
//! - [`machine`]: the model at work; [`serve`] takes requests for it, [`scheduler`] runs those that compute together, each a
//!   [`job`] that wants an answer ([`generate`], with drafts by [`speculation`]) or scores ([`score`]).
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
pub mod job;
pub mod kernel_calls;
pub mod kernels;
pub mod machine;
pub mod output;
pub mod prepare;
pub mod prompt;
pub mod request_error;
pub mod sampler;
pub mod scheduler;
pub mod score;
pub mod serve;
pub mod speculation;
pub mod template;
pub mod text_requests;
pub mod text_stream;
pub mod tokenizer;
