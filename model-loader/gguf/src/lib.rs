//! GGUF reader, model configuration and arena plan.
//!
//! Nothing here trusts the file: every count and length is checked against a limit and against the size of the file before
//! memory is reserved for it, and every error names the check, the key or tensor, and the offset. The only memory reserved
//! is one index entry per key and per tensor; strings, arrays and tensor data stay where they lie.
//!
//! Source of the format: the GGUF specification of ggml (`docs/gguf.md`), versions 2 and 3.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod cursor;
mod error;
mod file;
mod model;
mod plan;
mod tensor_type;
mod value;

pub use config::{ConfigError, ModelConfig};
pub use error::{Check, GgufError, ShortName};
pub use file::{Gguf, METADATA_MAX, NAME_BYTES_MAX, TENSORS_MAX, Tensor};
pub use model::{LayerTensors, ModelTensors, TensorError};
pub use plan::{Area, ArenaPlan, PlanError, PlanRequest};
pub use tensor_type::TensorType;
pub use value::{Array, StringArray, Value, ValueType};
