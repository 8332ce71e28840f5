//! The tokens of a model: their texts, what each is for, and the way from a text to its token.

use alloc::vec::Vec;

use barellama_gguf::Gguf;

use super::error::TokenizerError;
use super::index::{Duplicates, INDEXED_MAX, Index, hash_of};
use super::special;
use super::strings::{StringLimits, Strings, vec_of};

/// Most tokens of a vocabulary (Llama 3 has 128,256, the largest known about 262,000).
const TOKENS_MAX: usize = 1 << 20;
/// Longest token, in bytes (the longest of Llama 3 has 256: 128 spaces of two bytes each).
pub(super) const TOKEN_BYTES_MAX: usize = 4096;

pub(super) const TOKENS_KEY: &str = "tokenizer.ggml.tokens";
const TYPES_KEY: &str = "tokenizer.ggml.token_type";

/// What a token is for: bits, because llama.cpp makes some tokens control tokens in addition to what the file says.
pub(super) mod attribute {
    pub const UNKNOWN: u8 = 1;
    pub const NORMAL: u8 = 1 << 1;
    pub const CONTROL: u8 = 1 << 2;
    pub const USER_DEFINED: u8 = 1 << 3;
    pub const BYTE: u8 = 1 << 4;
    pub const END_OF_GENERATION: u8 = 1 << 5;
    /// Rendered only on request, and parsed in texts only on request.
    pub const SPECIAL: u8 = CONTROL | UNKNOWN;
    /// Cut out of a text before anything else.
    pub const WHOLE: u8 = SPECIAL | USER_DEFINED;
}

/// The tokens and what is known about each.
pub(super) struct Vocabulary<'a> {
    tokens: Strings<'a>,
    index: Index,
    attributes: Vec<u8>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
}

/// Ids that a kind of vocabulary has when the file does not name them.
#[derive(Clone, Copy)]
pub(super) struct DefaultIds {
    pub bos: u32,
    pub eos: u32,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn new(gguf: &Gguf<'a>, defaults: DefaultIds) -> Result<Self, TokenizerError> {
        let array = gguf.strings(TOKENS_KEY).ok_or(TokenizerError::Missing(TOKENS_KEY))?;
        let limits = StringLimits { key: TOKENS_KEY, count: TOKENS_MAX.min(INDEXED_MAX), bytes: TOKEN_BYTES_MAX };
        let tokens = Strings::new(array, limits)?;
        let index = index_tokens(&tokens)?;
        let attributes = read_attributes(gguf, &tokens)?;
        let mut vocabulary = Self { tokens, index, attributes, bos: None, eos: None };
        vocabulary.bos = vocabulary.named_id(gguf, "tokenizer.ggml.bos_token_id", Some(defaults.bos))?;
        vocabulary.eos = vocabulary.named_id(gguf, "tokenizer.ggml.eos_token_id", Some(defaults.eos))?;
        special::mark(&mut vocabulary, gguf)?;
        Ok(vocabulary)
    }

    /// The id under a key, or the default, if that is a token.
    pub(super) fn named_id(
        &self,
        gguf: &Gguf<'_>,
        key: &'static str,
        default: Option<u32>,
    ) -> Result<Option<u32>, TokenizerError> {
        match gguf.u32(key) {
            Some(id) if (id as usize) < self.len() => Ok(Some(id)),
            Some(id) => Err(TokenizerError::BadId { key, id, tokens: self.len() }),
            None => Ok(default.filter(|id| (*id as usize) < self.len())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn text(&self, id: u32) -> Option<&'a [u8]> {
        self.tokens.get(id)
    }

    /// The token with that text.
    pub(super) fn id_of(&self, text: &[u8]) -> Option<u32> {
        self.id_with_hash(hash_of(&[text]), text)
    }

    /// The same if its hash is known.
    pub(super) fn id_with_hash(&self, hash: u64, text: &[u8]) -> Option<u32> {
        self.index.find(hash, |id| self.tokens.get(id) == Some(text))
    }

    pub(super) fn has(&self, id: u32, attributes: u8) -> bool {
        self.attributes.get(id as usize).is_some_and(|own| own & attributes != 0)
    }

    pub(super) fn add_attributes(&mut self, id: u32, attributes: u8) {
        if let Some(own) = self.attributes.get_mut(id as usize) {
            *own |= attributes;
        }
    }

    pub(super) fn set_attributes(&mut self, id: u32, attributes: u8) {
        if let Some(own) = self.attributes.get_mut(id as usize) {
            *own = attributes;
        }
    }

    /// The tokens that have one of the attributes.
    pub(super) fn with_attributes(&self, attributes: u8) -> impl Iterator<Item = (u32, &'a [u8])> {
        let with = (0u32..).zip(&self.attributes).filter(move |(_, own)| **own & attributes != 0);
        with.filter_map(|(id, _)| Some((id, self.text(id)?)))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.tokens.heap_bytes() + self.index.heap_bytes() + self.attributes.capacity()
    }
}

/// The byte that a token spells as `<0xHH>`.
pub(super) fn parse_byte(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let [high, low] = <[u8; 2]>::try_from(digits).ok()?.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

fn index_tokens(tokens: &Strings<'_>) -> Result<Index, TokenizerError> {
    let mut index = Index::new(tokens.len())?;
    for (id, text) in tokens.iter().filter(|(_, text)| !text.is_empty()) {
        index
            .insert(hash_of(&[text]), id, Duplicates::KeepLast, |other| tokens.get(other) == Some(text))
            .ok_or(TokenizerError::Crowded(TOKENS_KEY))?;
    }
    Ok(index)
}

fn read_attributes(gguf: &Gguf<'_>, tokens: &Strings<'_>) -> Result<Vec<u8>, TokenizerError> {
    let count = tokens.len();
    let mut attributes = vec_of(count)?;
    match gguf.i32s(TYPES_KEY) {
        Some(types) if types.len() < count => {
            return Err(TokenizerError::TooShort { key: TYPES_KEY, count: types.len(), tokens: count });
        }
        Some(types) => attributes.extend(types.take(count).map(attribute_of_type)),
        None if gguf.get(TYPES_KEY).is_some() => return Err(TokenizerError::Missing(TYPES_KEY)),
        None => attributes.resize(count, attribute::NORMAL),
    }
    let mut bytes = (0u32..).zip(&attributes).filter(|(_, own)| **own == attribute::BYTE);
    match bytes.find(|(id, _)| tokens.get(*id).and_then(parse_byte).is_none()) {
        Some((id, _)) => Err(TokenizerError::BadByteToken(id)),
        None => Ok(attributes),
    }
}

/// Numbers of `llama_token_type` in llama.h. Unused (5) and undefined (0) tokens have no text of their own.
fn attribute_of_type(kind: i32) -> u8 {
    match kind {
        1 => attribute::NORMAL,
        2 => attribute::UNKNOWN,
        3 => attribute::CONTROL,
        4 => attribute::USER_DEFINED,
        6 => attribute::BYTE,
        _ => 0,
    }
}
