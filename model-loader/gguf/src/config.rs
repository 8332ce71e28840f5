//! The model's shape, as the metadata of a llama-family file tell it.

use alloc::string::String;
use core::fmt;

use crate::error::{ShortName, short_name};
use crate::file::Gguf;
use crate::value::Value;

/// Most layers.
const BLOCKS_MAX: usize = 1024;
/// Widest residual stream.
const EMBEDDING_MAX: usize = 65_536;
/// Widest feed-forward layer.
const FEED_FORWARD_MAX: usize = 1 << 18;
/// Most attention heads.
const HEADS_MAX: usize = 1024;
/// Widest head.
const HEAD_MAX: usize = 1024;
/// Most tokens of a vocabulary.
const VOCABULARY_MAX: usize = 1 << 20;
/// Longest context.
const CONTEXT_MAX: usize = 1 << 24;
/// By how much positions are divided.
const ROPE_FACTOR: &str = "llama.rope.scaling.factor";

/// The shape of a llama-family transformer. All widths are counts of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// `general.name`, or empty.
    pub name: String,
    /// Number of layers.
    pub blocks: usize,
    /// Width of the residual stream.
    pub embedding: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key-value heads; divides [`Self::heads`].
    pub kv_heads: usize,
    /// Width of a head, the same for queries, keys and values.
    pub head: usize,
    /// How many elements of a head are rotated; even.
    pub rope_dimensions: usize,
    /// Base of the rotation frequencies.
    pub rope_base: f32,
    /// Positions are multiplied by it (linear scaling); 1.0: none.
    pub rope_scale: f32,
    /// Added to the mean square inside the RMS norms.
    pub norm_epsilon: f32,
    /// Tokens that the model was trained for.
    pub context: usize,
    /// Size of the vocabulary.
    pub vocabulary: usize,
}

/// Why the metadata are refused.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigError {
    /// The file holds something else than a model, e.g. an adapter: what `general.type` says.
    NotAModel(ShortName),
    /// The architecture is not `llama`.
    Architecture(ShortName),
    /// A key is missing or of the wrong type.
    Missing(ShortName),
    /// A tensor that the shape is read from is missing.
    MissingTensor(ShortName),
    /// A value is outside its limits.
    OutOfRange {
        /// The key.
        key: ShortName,
        /// Its value.
        value: u64,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// A float is not a positive number.
    NotPositive(ShortName),
    /// The values contradict each other.
    Contradiction(&'static str),
    /// A feature that is not supported, by the key and the value that ask for it.
    Unsupported(ShortName, ShortName),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAModel(kind) => {
                write!(
                    formatter,
                    "the file holds no model, but what GGUF calls '{kind}' (general.type): take the file of the model itself"
                )
            }
            Self::Architecture(name) => {
                write!(
                    formatter,
                    "the architecture '{name}' is not supported: take a model of the llama architecture, e.g. Llama 2 or 3, \
                     TinyLlama, SmolLM2"
                )
            }
            Self::Missing(key) => {
                write!(formatter, "the key {key} is missing or of the wrong type: convert the model again")
            }
            Self::MissingTensor(name) => {
                write!(formatter, "the tensor {name} is missing: the file is no whole model, take another one")
            }
            Self::OutOfRange { key, value, least, most } => {
                write!(formatter, "{key} is {value}; {least} to {most} are supported")
            }
            Self::NotPositive(key) => write!(formatter, "{key} is not a positive number"),
            Self::Contradiction(what) => write!(formatter, "the metadata contradict each other: {what}"),
            Self::Unsupported(key, value) => {
                write!(formatter, "{key}: {value} is not supported, take a model without it")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

impl ModelConfig {
    /// Reads and checks the metadata of a llama-family model.
    ///
    /// # Errors
    /// What is missing, out of range, contradictory or unsupported.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, ConfigError> {
        refuse_other_kinds(gguf)?;
        let architecture = gguf.string("general.architecture").ok_or_else(|| missing("general.architecture"))?;
        if architecture != "llama" {
            return Err(ConfigError::Architecture(short_name(architecture)));
        }
        refuse_experts(gguf)?;
        let embedding = required(gguf, "llama.embedding_length", EMBEDDING_MAX)?;
        let heads = required(gguf, "llama.attention.head_count", HEADS_MAX)?;
        let head = head_width(gguf, embedding, heads)?;
        let config = Self {
            name: String::from(gguf.string("general.name").unwrap_or("")),
            blocks: required(gguf, "llama.block_count", BLOCKS_MAX)?,
            embedding,
            feed_forward: required(gguf, "llama.feed_forward_length", FEED_FORWARD_MAX)?,
            heads,
            kv_heads: optional(gguf, "llama.attention.head_count_kv", HEADS_MAX)?.unwrap_or(heads),
            head,
            rope_dimensions: optional(gguf, "llama.rope.dimension_count", HEAD_MAX)?.unwrap_or(head),
            rope_base: positive(gguf, "llama.rope.freq_base")?.unwrap_or(10_000.0),
            rope_scale: rope_scale(gguf)?,
            norm_epsilon: positive(gguf, "llama.attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| missing("llama.attention.layer_norm_rms_epsilon"))?,
            context: required(gguf, "llama.context_length", CONTEXT_MAX)?,
            vocabulary: vocabulary(gguf)?,
        };
        config.check()?;
        Ok(config)
    }

    /// Width of all query heads together.
    #[must_use]
    pub const fn query_width(&self) -> usize {
        self.heads * self.head
    }

    /// Width of all key heads (or value heads) together.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head
    }

    /// Elements that the KV cache of all layers takes for one token.
    #[must_use]
    pub const fn kv_elements_per_token(&self) -> usize {
        self.blocks * 2 * self.kv_width()
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(ConfigError::Contradiction("the number of heads is not a multiple of the key-value heads"));
        }
        if !self.rope_dimensions.is_multiple_of(2) || self.rope_dimensions > self.head {
            return Err(ConfigError::Contradiction("the rotated part of a head is odd or wider than the head"));
        }
        Ok(())
    }
}

fn missing(key: &str) -> ConfigError {
    ConfigError::Missing(short_name(key))
}

/// An integer from 1 to `most`, if the key is there. An array (one value per layer) must hold equal values.
fn optional(gguf: &Gguf<'_>, key: &str, most: usize) -> Result<Option<usize>, ConfigError> {
    let value = match gguf.get(key) {
        None => return Ok(None),
        Some(Value::Array(array)) => {
            let mut values = array.iter().map(|value| value.as_u32());
            let first = values.next().flatten().ok_or_else(|| missing(key))?;
            if values.any(|value| value != Some(first)) {
                return Err(ConfigError::Unsupported(short_name(key), short_name("different values per layer")));
            }
            first
        }
        Some(value) => value.as_u32().ok_or_else(|| missing(key))?,
    };
    if value == 0 || value as usize > most {
        let (value, most) = (u64::from(value), most as u64);
        return Err(ConfigError::OutOfRange { key: short_name(key), value, least: 1, most });
    }
    Ok(Some(value as usize))
}

fn required(gguf: &Gguf<'_>, key: &str, most: usize) -> Result<usize, ConfigError> {
    optional(gguf, key, most)?.ok_or_else(|| missing(key))
}

/// A positive finite float, if the key is there.
fn positive(gguf: &Gguf<'_>, key: &str) -> Result<Option<f32>, ConfigError> {
    if gguf.get(key).is_none() {
        return Ok(None);
    }
    let value = gguf.f32(key).ok_or_else(|| missing(key))?;
    if value > 0.0 && value.is_finite() { Ok(Some(value)) } else { Err(ConfigError::NotPositive(short_name(key))) }
}

/// Adapters (LoRA), vocabularies, projectors of images and importance matrices are GGUF files too, and may be of the llama architecture.
fn refuse_other_kinds(gguf: &Gguf<'_>) -> Result<(), ConfigError> {
    match gguf.string("general.type") {
        None | Some("model") => Ok(()),
        Some(kind) => Err(ConfigError::NotAModel(short_name(kind))),
    }
}

fn refuse_experts(gguf: &Gguf<'_>) -> Result<(), ConfigError> {
    let key = "llama.expert_count";
    match gguf.u32(key) {
        None | Some(0) => Ok(()),
        Some(_) => Err(ConfigError::Unsupported(short_name(key), short_name("mixture of experts"))),
    }
}

/// Width of a head: the metadata's, else the embedding shared among the heads.
fn head_width(gguf: &Gguf<'_>, embedding: usize, heads: usize) -> Result<usize, ConfigError> {
    let key = optional(gguf, "llama.attention.key_length", HEAD_MAX)?;
    let value = optional(gguf, "llama.attention.value_length", HEAD_MAX)?;
    if key.is_none() && !embedding.is_multiple_of(heads) {
        return Err(ConfigError::Contradiction("the embedding is not a multiple of the heads"));
    }
    let head = key.unwrap_or(embedding / heads);
    if value.unwrap_or(head) != head {
        return Err(ConfigError::Contradiction("keys and values have different widths, which is not supported"));
    }
    if head == 0 || head > HEAD_MAX {
        return Err(ConfigError::Contradiction("a head is empty or too wide"));
    }
    Ok(head)
}

/// The factor for positions: none or linear scaling; the file's per-frequency factors are a tensor.
fn rope_scale(gguf: &Gguf<'_>) -> Result<f32, ConfigError> {
    let kind = "llama.rope.scaling.type";
    match gguf.string(kind) {
        None | Some("none" | "linear") => {}
        Some(other) => return Err(ConfigError::Unsupported(short_name(kind), short_name(other))),
    }
    let key = if gguf.get(ROPE_FACTOR).is_some() { ROPE_FACTOR } else { "llama.rope.scale_linear" };
    let scale = match gguf.get(key).map(|_| gguf.f32(key)) {
        Some(None) => return Err(missing(key)),
        // As llama.cpp reads a file that has the key and means no scaling.
        None | Some(Some(0.0)) => 1.0,
        Some(Some(factor)) => 1.0 / factor,
    };
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(ConfigError::NotPositive(short_name(key)));
    }
    Ok(if gguf.string(kind) == Some("none") { 1.0 } else { scale })
}

/// Size of the vocabulary: the width of the embedding table; the metadata must not contradict it.
fn vocabulary(gguf: &Gguf<'_>) -> Result<usize, ConfigError> {
    let name = "token_embd.weight";
    let table = gguf.tensor(name).ok_or_else(|| ConfigError::MissingTensor(short_name(name)))?;
    let rows = table.rows();
    if rows > VOCABULARY_MAX {
        let (value, most) = (rows as u64, VOCABULARY_MAX as u64);
        return Err(ConfigError::OutOfRange { key: short_name(name), value, least: 1, most });
    }
    let named = optional(gguf, "llama.vocab_size", VOCABULARY_MAX)?;
    if named.is_some_and(|named| named != rows) {
        return Err(ConfigError::Contradiction("llama.vocab_size is not the number of rows of token_embd.weight"));
    }
    let tokens = gguf.strings("tokenizer.ggml.tokens").map(|tokens| tokens.len());
    if tokens.is_some_and(|tokens| tokens != rows) {
        return Err(ConfigError::Contradiction("the number of tokens is not the number of rows of token_embd.weight"));
    }
    Ok(rows)
}
