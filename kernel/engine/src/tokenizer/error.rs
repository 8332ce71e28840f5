//! What can be wrong with a vocabulary, or with a text to encode.

use alloc::string::String;
use core::fmt;

/// Why a vocabulary cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerError {
    /// The key is missing or its value has another type.
    Missing(&'static str),
    /// The kind of tokenizer (`tokenizer.ggml.model`) is not `llama` or `gpt2`.
    UnknownModel(String),
    /// The pre-tokenizer (`tokenizer.ggml.pre`) has no rules here.
    UnknownPreTokenizer(String),
    /// The array has fewer elements than there are tokens.
    TooShort {
        /// The array.
        key: &'static str,
        /// Its number of elements.
        count: usize,
        /// The number of tokens.
        tokens: usize,
    },
    /// The array has no elements or more than the limit.
    Count {
        /// The array.
        key: &'static str,
        /// Its number of elements.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A string is longer than the limit, or cannot be read.
    TooLong {
        /// The array.
        key: &'static str,
        /// Which of its strings.
        index: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A token id is not below the number of tokens.
    BadId {
        /// The key.
        key: &'static str,
        /// Its value.
        id: u32,
        /// The number of tokens.
        tokens: usize,
    },
    /// The model asks for a token at the beginning or end of each text, but names none.
    NoSuchToken(&'static str),
    /// The score of a token is not a number.
    BadScore(u32),
    /// A byte token is not spelled `<0xHH>`.
    BadByteToken(u32),
    /// A token that is cut out of texts as a whole (a control token, one that a user defined) is too long for that.
    WholeTokenTooLong {
        /// Which.
        id: u32,
        /// Its length in bytes.
        bytes: usize,
    },
    /// Far too many strings fall on the same place in the hash table: the file was made to be slow.
    Crowded(&'static str),
    /// No memory for the index.
    OutOfMemory {
        /// What was asked for, in bytes.
        bytes: usize,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(formatter, "the model file has no usable {key}; convert the model again"),
            Self::UnknownModel(name) => {
                write!(formatter, "the tokenizer \"{name}\" is not supported (\"llama\" and \"gpt2\" are)")
            }
            Self::UnknownPreTokenizer(name) => {
                write!(
                    formatter,
                    "the pre-tokenizer \"{name}\" is not supported: those of Llama 3, SmolLM, GPT-2, Qwen 2 and StarCoder are"
                )
            }
            Self::TooShort { key, count, tokens } => {
                write!(formatter, "{key} has {count} elements for {tokens} tokens")
            }
            Self::Count { key, count, limit } => {
                write!(formatter, "{key} has {count} elements; 1 to {limit} can be used")
            }
            Self::TooLong { key, index, limit } => {
                write!(formatter, "string {index} of {key} is longer than {limit} bytes")
            }
            Self::BadId { key, id, tokens } => write!(formatter, "{key} is {id}, but there are only {tokens} tokens"),
            Self::NoSuchToken(key) => write!(formatter, "{key} is set, but the model has no such token"),
            Self::BadScore(id) => write!(formatter, "the score of token {id} is not a number"),
            Self::BadByteToken(id) => write!(formatter, "token {id} is a byte, but is not spelled <0xHH>"),
            Self::WholeTokenTooLong { id, bytes } => write!(
                formatter,
                "token {id}, a control or user-defined token, has {bytes} bytes (at most {})",
                super::special::WHOLE_BYTES_MAX
            ),
            Self::Crowded(key) => write!(formatter, "the strings of {key} collide; the model file was tampered with"),
            Self::OutOfMemory { bytes } => write!(formatter, "no memory for the vocabulary ({bytes} bytes)"),
        }
    }
}

impl core::error::Error for TokenizerError {}

/// Why a text cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The text is longer than [`super::TEXT_BYTES_MAX`].
    TextTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The vocabulary has no token for a byte of the text.
    NoByteToken(u8),
    /// No memory for the work.
    OutOfMemory,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextTooLong { bytes } => {
                write!(formatter, "a text of {bytes} bytes is too long (at most {} bytes)", super::TEXT_BYTES_MAX)
            }
            Self::NoByteToken(byte) => write!(formatter, "the vocabulary has no token for the byte {byte:#04x}"),
            Self::OutOfMemory => write!(formatter, "no memory to tokenize a text of that length"),
        }
    }
}

impl core::error::Error for EncodeError {}

impl From<alloc::collections::TryReserveError> for EncodeError {
    fn from(_: alloc::collections::TryReserveError) -> Self {
        Self::OutOfMemory
    }
}
