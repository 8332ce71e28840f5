//! From text to token ids and back, with the vocabulary of the model file.
//!
//! Two kinds of tokenizers: SentencePiece (Llama 1 and 2, TinyLlama, Mistral) and byte-pair encoding
//! (Llama 3, SmolLM). Both merge neighbours. What the results must be equal to is llama.cpp:
//! which tokens are cut out of a text first, where a space is put in front, which tokens end a generation.
//!
//! The strings stay in the model file; the heap holds four bytes of offset, four to eight bytes of hash table and a byte of
//! attributes per token ([`Tokenizer::heap_bytes`]).
//!
//! Left out, because no llama-family model needs it: the white space that a few other families' special tokens swallow.

mod byte_level;
mod byte_pair;
mod error;
mod index;
mod merge;
mod sentencepiece;
mod special;
mod split;
mod strings;
#[cfg(test)]
mod tests;
mod unicode;
mod vocabulary;

use alloc::string::String;
use alloc::vec::Vec;

use barellama_gguf::Gguf;

use self::byte_level::byte_of_char;
use self::byte_pair::BytePair;
pub use self::error::{EncodeError, TokenizerError};
use self::sentencepiece::{SPACE, SentencePiece};
use self::special::{Fragment, WholeTokens};
use self::vocabulary::{DefaultIds, Vocabulary, attribute, parse_byte};

/// Longest text that [`Tokenizer::encode`] takes, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

const MODEL_KEY: &str = "tokenizer.ggml.model";
const ADD_BOS_KEY: &str = "tokenizer.ggml.add_bos_token";
const ADD_EOS_KEY: &str = "tokenizer.ggml.add_eos_token";
const ADD_SPACE_PREFIX_KEY: &str = "tokenizer.ggml.add_space_prefix";

/// How a text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encode {
    /// Whether the beginning-of-sequence and end-of-sequence tokens are added that the model asks for.
    pub add_special: bool,
    /// Whether control tokens that are written in the text are taken as such. Never for text from outside.
    pub parse_special: bool,
}

/// The tokenizer of a model; borrows the model file.
pub struct Tokenizer<'a> {
    vocabulary: Vocabulary<'a>,
    whole_tokens: WholeTokens,
    algorithm: Algorithm<'a>,
    bos_added: Option<u32>,
    eos_added: Option<u32>,
}

enum Algorithm<'a> {
    SentencePiece { pieces: SentencePiece, add_space_prefix: bool },
    BytePair(BytePair<'a>),
}

impl<'a> Tokenizer<'a> {
    /// Indexes the vocabulary of a model file.
    ///
    /// # Errors
    /// What is missing, out of its limits or contradictory in the file's `tokenizer.ggml` keys.
    pub fn new(gguf: &Gguf<'a>) -> Result<Self, TokenizerError> {
        match gguf.string(MODEL_KEY).ok_or(TokenizerError::Missing(MODEL_KEY))? {
            "llama" => {
                let vocabulary = Vocabulary::new(gguf, DefaultIds { bos: 1, eos: 2 })?;
                let pieces = SentencePiece::new(gguf, &vocabulary)?;
                let add_space_prefix = gguf.bool(ADD_SPACE_PREFIX_KEY).unwrap_or(true);
                Self::assemble(gguf, vocabulary, Algorithm::SentencePiece { pieces, add_space_prefix }, true)
            }
            "gpt2" => {
                let vocabulary = Vocabulary::new(gguf, DefaultIds { bos: 11, eos: 11 })?;
                let pairs = BytePair::new(gguf)?;
                let add_bos = pairs.pre_tokenizer.add_bos;
                Self::assemble(gguf, vocabulary, Algorithm::BytePair(pairs), add_bos)
            }
            name => Err(TokenizerError::UnknownModel(name.chars().take(64).collect::<String>())),
        }
    }

    fn assemble(
        gguf: &Gguf<'_>,
        vocabulary: Vocabulary<'a>,
        algorithm: Algorithm<'a>,
        adds_bos: bool,
    ) -> Result<Self, TokenizerError> {
        let added = |key, default, id: Option<u32>| match gguf.bool(key).unwrap_or(default) {
            true => id.map(Some).ok_or(TokenizerError::NoSuchToken(key)),
            false => Ok(None),
        };
        Ok(Self {
            bos_added: added(ADD_BOS_KEY, adds_bos, vocabulary.bos)?,
            eos_added: added(ADD_EOS_KEY, false, vocabulary.eos)?,
            whole_tokens: WholeTokens::new(&vocabulary)?,
            vocabulary,
            algorithm,
        })
    }

    /// The token ids of a text.
    ///
    /// Time: O(n log n) in the length of the text. Memory: at most 100 bytes per byte of the text while it runs.
    ///
    /// # Errors
    /// If the text is too long, has bytes that the vocabulary cannot express, or memory runs out.
    pub fn encode(&self, text: &str, options: Encode) -> Result<Vec<u32>, EncodeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(EncodeError::TextTooLong { bytes: text.len() });
        }
        let mut ids = Vec::new();
        ids.try_reserve(2)?;
        ids.extend(self.bos_added.filter(|_| options.add_special));
        let mut is_after_special = true;
        for fragment in self.whole_tokens.cut(&self.vocabulary, text, options.parse_special)? {
            match fragment {
                Fragment::Token(id) => {
                    ids.try_reserve(1)?;
                    ids.push(id);
                    is_after_special = true;
                }
                Fragment::Text(range) => {
                    self.encode_text(text.get(range).unwrap_or_default(), is_after_special, &mut ids)?;
                    is_after_special = false;
                }
            }
        }
        ids.try_reserve(1)?;
        ids.extend(self.eos_added.filter(|_| options.add_special));
        Ok(ids)
    }

    fn encode_text(&self, text: &str, is_after_special: bool, ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        match &self.algorithm {
            _ if text.is_empty() => Ok(()),
            Algorithm::SentencePiece { pieces, add_space_prefix } => {
                pieces.encode(&self.vocabulary, text, *add_space_prefix && is_after_special, ids)
            }
            Algorithm::BytePair(pairs) => pairs.encode(&self.vocabulary, text, ids),
        }
    }

    /// Appends what a token stands for: bytes, because a character may be spread over several tokens. Special tokens stand
    /// for nothing unless `render_special`, unknown ids for nothing.
    pub fn piece(&self, id: u32, render_special: bool, bytes: &mut Vec<u8>) {
        let Some(text) = self.vocabulary.text(id) else { return };
        if self.is_special(id) && !render_special {
            return;
        }
        if self.vocabulary.has(id, attribute::WHOLE) {
            bytes.extend_from_slice(text);
        } else if self.vocabulary.has(id, attribute::BYTE) {
            bytes.extend(parse_byte(text));
        } else if self.vocabulary.has(id, attribute::NORMAL) {
            self.decode(text, bytes);
        }
    }

    fn decode(&self, text: &[u8], bytes: &mut Vec<u8>) {
        let mut utf8 = [0; 4];
        for character in core::str::from_utf8(text).unwrap_or_default().chars() {
            match (&self.algorithm, byte_of_char(character)) {
                (Algorithm::BytePair(_), Some(byte)) => bytes.push(byte),
                (Algorithm::SentencePiece { .. }, _) if character == SPACE => bytes.push(b' '),
                _ => bytes.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes()),
            }
        }
    }

    /// The text of a token as the vocabulary spells it, for example of [`Self::bos`] in a chat template.
    #[must_use]
    pub fn text(&self, id: u32) -> Option<&'a str> {
        core::str::from_utf8(self.vocabulary.text(id)?).ok()
    }

    /// Whether a token ends the answer: the end of the sequence, of the turn or of the message.
    #[must_use]
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.vocabulary.has(id, attribute::END_OF_GENERATION)
    }

    /// Whether a token is a control token (or the unknown token), which is not shown.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.has(id, attribute::SPECIAL)
    }

    /// The token at the beginning of a sequence.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos
    }

    /// The token at the end of a sequence.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.vocabulary.eos
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// Whether there are no tokens, which [`Self::new`] refuses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the tokenizer holds, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let algorithm = match &self.algorithm {
            Algorithm::SentencePiece { pieces, .. } => pieces.heap_bytes(),
            Algorithm::BytePair(pairs) => pairs.heap_bytes(),
        };
        self.vocabulary.heap_bytes() + algorithm
    }
}
