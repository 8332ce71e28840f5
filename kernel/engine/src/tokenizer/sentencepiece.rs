//! SentencePiece as llama models have it: the pair whose token has the best score is merged first.

use alloc::string::String;
use alloc::vec::Vec;

use barellama_gguf::Gguf;

use super::error::{EncodeError, TokenizerError};
use super::merge::Merger;
use super::strings::vec_of;
use super::vocabulary::Vocabulary;

const SCORES_KEY: &str = "tokenizer.ggml.scores";

/// How a space is spelled in the tokens: U+2581.
pub(super) const SPACE: char = '▁';

/// Byte for which the vocabulary has no token.
const NO_TOKEN: u32 = u32::MAX;

/// Scores and byte tokens.
pub(super) struct SentencePiece {
    /// Rank of each token in merging: the better its score, the lower.
    ranks: Vec<u32>,
    /// Token of each byte value, or [`NO_TOKEN`].
    byte_tokens: Vec<u32>,
}

impl SentencePiece {
    pub(super) fn new(gguf: &Gguf<'_>, vocabulary: &Vocabulary<'_>) -> Result<Self, TokenizerError> {
        let scores = gguf.f32s(SCORES_KEY).ok_or(TokenizerError::Missing(SCORES_KEY))?;
        let count = vocabulary.len();
        if scores.len() < count {
            return Err(TokenizerError::TooShort { key: SCORES_KEY, count: scores.len(), tokens: count });
        }
        let mut ranks = vec_of(count)?;
        for (id, score) in (0u32..).zip(scores).take(count) {
            ranks.push(rank_of_score(score).ok_or(TokenizerError::BadScore(id))?);
        }
        Ok(Self { ranks, byte_tokens: byte_tokens(vocabulary)? })
    }

    /// Appends the tokens of a text that holds no whole tokens; `is_prefixed` puts a space in front.
    pub(super) fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        is_prefixed: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), EncodeError> {
        let spelled = spell(text, is_prefixed)?;
        let mut merger = Merger::default();
        merger.run(&spelled, |pair, _| self.ranks.get(vocabulary.id_of(pair)? as usize).copied())?;
        for piece in merger.pieces(&spelled) {
            ids.try_reserve(piece.len())?;
            match vocabulary.id_of(piece) {
                Some(id) => ids.push(id),
                None => self.encode_bytes(piece, ids)?,
            }
        }
        Ok(())
    }

    fn encode_bytes(&self, piece: &[u8], ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        for byte in piece {
            let id = self.byte_tokens.get(usize::from(*byte)).filter(|id| **id != NO_TOKEN);
            ids.push(*id.ok_or(EncodeError::NoByteToken(*byte))?);
        }
        Ok(())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.ranks.capacity() + self.byte_tokens.capacity()) * size_of::<u32>()
    }
}

/// The text with its spaces as the tokens spell them.
fn spell(text: &str, is_prefixed: bool) -> Result<String, EncodeError> {
    let spaces = text.bytes().filter(|byte| *byte == b' ').count() + usize::from(is_prefixed);
    let mut spelled = String::new();
    spelled.try_reserve_exact(text.len() + spaces * SPACE.len_utf8())?;
    if is_prefixed {
        spelled.push(SPACE);
    }
    spelled.extend(text.chars().map(|character| if character == ' ' { SPACE } else { character }));
    Ok(spelled)
}

/// Orders scores from best to worst; `None` for what is not a number.
fn rank_of_score(score: f32) -> Option<u32> {
    // Adding zero makes -0.0 and 0.0, which are equal, the same.
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    (!score.is_nan()).then_some(!ascending)
}

/// The token of each byte: `<0xHH>`, or the byte itself.
fn byte_tokens(vocabulary: &Vocabulary<'_>) -> Result<Vec<u32>, TokenizerError> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut tokens = vec_of(256)?;
    for byte in 0u8..=255 {
        let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
        let id = vocabulary.id_of(&[b'<', b'0', b'x', high, low, b'>']).or_else(|| vocabulary.id_of(&[byte]));
        tokens.push(id.unwrap_or(NO_TOKEN));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_scores_have_lower_ranks() {
        let scores = [f32::INFINITY, 1e9, 1.0, 0.0, -1.0, -2.5, -1e9, f32::NEG_INFINITY];
        let ranks: Vec<u32> = scores.into_iter().filter_map(rank_of_score).collect();
        assert_eq!(ranks.len(), scores.len());
        assert!(ranks.is_sorted_by(|first, second| first < second));
        assert_eq!(rank_of_score(-0.0), rank_of_score(0.0));
        assert_eq!(rank_of_score(f32::NAN), None);
    }
}
