//! Model files of random weights, of any shape and type.
//!
//! They have the sizes, types and vocabularies of real files, so they prove that a model loads, fits and runs, how fast it
//! is and that two ways to compute it agree. They cannot prove quality: what they generate means nothing.
#![forbid(unsafe_code)]

mod blocks;
mod file;
mod mix;
mod model;
mod shape;
mod vocabulary;

pub use blocks::{WEIGHT_DEVIATION, random_blocks};
pub use file::{GgufWriter, KeyValue, TensorEntry};
pub use mix::Mix;
pub use model::Model;
pub use shape::Shape;
pub use vocabulary::{Vocabulary, VocabularyError};
