//! The tensors of a llama-family model, found by name and checked by shape.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::config::ModelConfig;
use crate::error::{ShortName, short_name};
use crate::file::{Gguf, Tensor};
use crate::tensor_type::TensorType;

/// Why the tensors are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorError {
    /// A tensor is missing.
    Missing(ShortName),
    /// A tensor has another shape than the metadata say.
    Shape {
        /// The tensor.
        name: ShortName,
        /// Its first two dimensions.
        found: [usize; 2],
        /// What they should be.
        expected: [usize; 2],
    },
    /// A tensor has a type that cannot be used there.
    Type(ShortName, TensorType),
    /// A tensor that a plain llama does not have: the model would compute something else.
    Unknown(ShortName),
}

impl fmt::Display for TensorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => {
                write!(formatter, "the tensor {name} is missing: the file is no whole model, take another one")
            }
            Self::Shape { name, found: [a, b], expected: [c, d] } => {
                write!(formatter, "the tensor {name} is {a} x {b}; the metadata say {c} x {d}")
            }
            Self::Type(name, kind) => {
                write!(formatter, "the tensor {name} has the type {}, which is not supported", kind.name())
            }
            Self::Unknown(name) => {
                write!(formatter, "the tensor {name} does not belong to a plain llama model: not supported")
            }
        }
    }
}

impl core::error::Error for TensorError {}

/// The tensors of one layer. Matrices are rows of input width.
#[derive(Clone, Copy, Debug)]
pub struct LayerTensors<'a> {
    /// Norm before attention, F32.
    pub attention_norm: Tensor<'a>,
    /// Queries.
    pub query: Tensor<'a>,
    /// Keys.
    pub key: Tensor<'a>,
    /// Values.
    pub value: Tensor<'a>,
    /// From the heads back to the residual stream.
    pub attention_output: Tensor<'a>,
    /// Norm before the feed-forward layer, F32.
    pub feed_forward_norm: Tensor<'a>,
    /// Gate.
    pub gate: Tensor<'a>,
    /// Up.
    pub up: Tensor<'a>,
    /// Down.
    pub down: Tensor<'a>,
}

/// All tensors.
#[derive(Clone, Debug)]
pub struct ModelTensors<'a> {
    /// A row per token.
    pub embedding: Tensor<'a>,
    /// Norm before the head, F32.
    pub output_norm: Tensor<'a>,
    /// The head; the embedding table if the file has none of its own.
    pub output: Tensor<'a>,
    /// Divisors of the rotation frequencies, F32, one per pair.
    pub rope_factors: Option<Tensor<'a>>,
    /// The layers.
    pub layers: Vec<LayerTensors<'a>>,
}

impl<'a> ModelTensors<'a> {
    /// Finds every tensor and checks its shape; refuses tensors that a plain llama does not have.
    ///
    /// # Errors
    /// What is missing, unknown, or of a wrong shape or type.
    pub fn from_gguf(gguf: &Gguf<'a>, config: &ModelConfig) -> Result<Self, TensorError> {
        let mut finder = Finder { gguf, found: 0 };
        let embedding = finder.matrix("token_embd.weight", config.embedding, config.vocabulary)?;
        let output_norm = finder.vector("output_norm.weight", config.embedding)?;
        let output = match gguf.tensor("output.weight") {
            Some(_) => finder.matrix("output.weight", config.embedding, config.vocabulary)?,
            None => embedding,
        };
        let rope_factors = match gguf.tensor("rope_freqs.weight") {
            Some(_) => Some(finder.vector("rope_freqs.weight", config.rope_dimensions / 2)?),
            None => None,
        };
        let layers = (0..config.blocks).map(|block| finder.layer(block, config)).collect::<Result<Vec<_>, _>>()?;
        let tensors = Self { embedding, output_norm, output, rope_factors, layers };
        if finder.found != gguf.tensors().len() {
            tensors.refuse_unknown(gguf)?;
        }
        Ok(tensors)
    }

    fn refuse_unknown(&self, gguf: &Gguf<'a>) -> Result<(), TensorError> {
        let unknown = gguf.tensors().iter().find(|tensor| !self.has(tensor.name));
        unknown.map_or(Ok(()), |tensor| Err(TensorError::Unknown(short_name(tensor.name))))
    }

    fn has(&self, name: &str) -> bool {
        let whole = [Some(&self.embedding), Some(&self.output_norm), Some(&self.output), self.rope_factors.as_ref()];
        let layers = self.layers.iter().flat_map(LayerTensors::all);
        whole.into_iter().flatten().chain(layers).any(|tensor| tensor.name == name)
    }
}

impl<'a> LayerTensors<'a> {
    fn all(&self) -> [&Tensor<'a>; 9] {
        [
            &self.attention_norm,
            &self.query,
            &self.key,
            &self.value,
            &self.attention_output,
            &self.feed_forward_norm,
            &self.gate,
            &self.up,
            &self.down,
        ]
    }
}

struct Finder<'f, 'a> {
    gguf: &'f Gguf<'a>,
    found: usize,
}

impl<'a> Finder<'_, 'a> {
    fn tensor(&mut self, name: &str, columns: usize, rows: usize) -> Result<Tensor<'a>, TensorError> {
        let tensor = *self.gguf.tensor(name).ok_or_else(|| TensorError::Missing(short_name(name)))?;
        let [width, height, depth, more] = tensor.dimensions;
        if [width, height, depth, more] != [columns, rows, 1, 1] {
            let (found, expected) = ([width, tensor.rows()], [columns, rows]);
            return Err(TensorError::Shape { name: short_name(name), found, expected });
        }
        self.found += 1;
        Ok(tensor)
    }

    fn matrix(&mut self, name: &str, columns: usize, rows: usize) -> Result<Tensor<'a>, TensorError> {
        let tensor = self.tensor(name, columns, rows)?;
        match tensor.kind {
            TensorType::Q8_1
            | TensorType::Q8_K
            | TensorType::I8
            | TensorType::I16
            | TensorType::I32
            | TensorType::I64
            | TensorType::F64 => Err(TensorError::Type(short_name(name), tensor.kind)),
            _ => Ok(tensor),
        }
    }

    fn vector(&mut self, name: &str, columns: usize) -> Result<Tensor<'a>, TensorError> {
        let tensor = self.tensor(name, columns, 1)?;
        if tensor.kind == TensorType::F32 { Ok(tensor) } else { Err(TensorError::Type(short_name(name), tensor.kind)) }
    }

    fn layer(&mut self, block: usize, config: &ModelConfig) -> Result<LayerTensors<'a>, TensorError> {
        let name = |part: &str| format!("blk.{block}.{part}.weight");
        let (embedding, feed_forward) = (config.embedding, config.feed_forward);
        Ok(LayerTensors {
            attention_norm: self.vector(&name("attn_norm"), embedding)?,
            query: self.matrix(&name("attn_q"), embedding, config.query_width())?,
            key: self.matrix(&name("attn_k"), embedding, config.kv_width())?,
            value: self.matrix(&name("attn_v"), embedding, config.kv_width())?,
            attention_output: self.matrix(&name("attn_output"), config.query_width(), embedding)?,
            feed_forward_norm: self.vector(&name("ffn_norm"), embedding)?,
            gate: self.matrix(&name("ffn_gate"), embedding, feed_forward)?,
            up: self.matrix(&name("ffn_up"), embedding, feed_forward)?,
            down: self.matrix(&name("ffn_down"), feed_forward, embedding)?,
        })
    }
}
