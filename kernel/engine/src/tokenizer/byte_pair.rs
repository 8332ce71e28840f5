//! Byte-pair encoding: the pair that was merged first in training is merged first.

use alloc::string::String;
use alloc::vec::Vec;

use barellama_gguf::Gguf;

use super::byte_level::char_of_byte;
use super::error::{EncodeError, TokenizerError};
use super::index::{Duplicates, INDEXED_MAX, Index, hash_of};
use super::merge::Merger;
use super::split::PreTokenizer;
use super::strings::{StringLimits, Strings};
use super::vocabulary::{TOKEN_BYTES_MAX, Vocabulary};

const MERGES_KEY: &str = "tokenizer.ggml.merges";
const PRE_KEY: &str = "tokenizer.ggml.pre";

/// Longest merge: two tokens and the space between them.
const MERGE_BYTES_MAX: usize = 2 * TOKEN_BYTES_MAX + 1;

/// The merges, in the order of training, and the way from a pair to its merge.
struct Merges<'a> {
    merges: Strings<'a>,
    index: Index,
    /// Length of the longest, which spares hashing what cannot be one.
    bytes_max: usize,
}

impl<'a> Merges<'a> {
    fn new(gguf: &Gguf<'a>) -> Result<Self, TokenizerError> {
        let array = gguf.strings(MERGES_KEY).ok_or(TokenizerError::Missing(MERGES_KEY))?;
        let merges = Strings::new(array, StringLimits { key: MERGES_KEY, count: INDEXED_MAX, bytes: MERGE_BYTES_MAX })?;
        let mut index = Index::new(merges.len())?;
        let mut bytes_max = 0;
        for (rank, merge) in merges.iter() {
            bytes_max = bytes_max.max(merge.len());
            index
                .insert(hash_of(&[merge]), rank, Duplicates::KeepFirst, |other| merges.get(other) == Some(merge))
                .ok_or(TokenizerError::Crowded(MERGES_KEY))?;
        }
        Ok(Self { merges, index, bytes_max })
    }

    /// The rank of a pair. A merge is spelled with a space between its parts, which no part holds: bytes are spelled as
    /// printable characters.
    fn rank(&self, left: &[u8], right: &[u8]) -> Option<u32> {
        if left.len() + right.len() >= self.bytes_max {
            return None;
        }
        self.index.find(hash_of(&[left, b" ", right]), |rank| {
            self.merges.get(rank).and_then(|merge| merge.strip_prefix(left)).and_then(|rest| rest.strip_prefix(b" "))
                == Some(right)
        })
    }
}

/// Merges and pre-tokenizer.
pub(super) struct BytePair<'a> {
    merges: Merges<'a>,
    pub pre_tokenizer: PreTokenizer,
}

impl<'a> BytePair<'a> {
    pub(super) fn new(gguf: &Gguf<'a>) -> Result<Self, TokenizerError> {
        let name = gguf.string(PRE_KEY).unwrap_or_default();
        let pre_tokenizer = PreTokenizer::named(name)
            .ok_or_else(|| TokenizerError::UnknownPreTokenizer(name.chars().take(64).collect()))?;
        Ok(Self { merges: Merges::new(gguf)?, pre_tokenizer })
    }

    /// Appends the tokens of a text that holds no whole tokens.
    pub(super) fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        ids: &mut Vec<u32>,
    ) -> Result<(), EncodeError> {
        let mut merger = Merger::default();
        let mut spelled = String::new();
        self.pre_tokenizer.split(text, &mut |word: &str| {
            spell(word, &mut spelled)?;
            self.encode_word(vocabulary, &spelled, &mut merger, ids)
        })
    }

    fn encode_word(
        &self,
        vocabulary: &Vocabulary<'_>,
        word: &str,
        merger: &mut Merger,
        ids: &mut Vec<u32>,
    ) -> Result<(), EncodeError> {
        ids.try_reserve(word.len())?;
        if self.pre_tokenizer.ignore_merges
            && let Some(id) = vocabulary.id_of(word.as_bytes())
        {
            ids.push(id);
            return Ok(());
        }
        merger.run(word, |pair, middle| {
            let (left, right) = pair.split_at_checked(middle)?;
            self.merges.rank(left, right)
        })?;
        for piece in merger.pieces(word) {
            match vocabulary.id_of(piece) {
                Some(id) => ids.push(id),
                // As llama.cpp: what is no token is spelled by its bytes as far as they are tokens, and dropped otherwise.
                None => ids.extend(piece.iter().filter_map(|byte| vocabulary.id_of(&[*byte]))),
            }
        }
        Ok(())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.merges.merges.heap_bytes() + self.merges.index.heap_bytes()
    }
}

/// The bytes of a word as the tokens spell them.
fn spell(word: &str, spelled: &mut String) -> Result<(), EncodeError> {
    spelled.clear();
    spelled.try_reserve(word.len().saturating_mul(2))?;
    spelled.extend(word.bytes().map(char_of_byte));
    Ok(())
}
