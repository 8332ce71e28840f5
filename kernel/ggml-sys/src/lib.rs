//! ggml's arithmetic kernels, compiled freestanding, behind a safe interface.
//!
//! A weight type is multiplied with activations that were quantized to one of three block formats ([`ActivationType`]).
//! Plain types (F32, F16, BF16) have no kernel here; they are the engine's own.
//!
//! Source: ggml as shipped by the crate `llama-cpp-sys-2` 0.1.161 (`ggml-quants.c`, `ggml-cpu/quants.c`,
//! `ggml-cpu/arch/arm/quants.c`).
#![no_std]

mod bindings;
mod kernel;
mod runtime;

pub use barellama_gguf::TensorType;
pub use kernel::{ActivationType, WeightKernel};
pub use runtime::block_of;
