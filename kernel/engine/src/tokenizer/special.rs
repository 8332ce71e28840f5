//! Which tokens end a generation, and where special tokens stand in a text: both as llama.cpp has it.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use barellama_gguf::Gguf;

use super::error::{EncodeError, TokenizerError};
use super::index::Hash;
use super::vocabulary::{Vocabulary, attribute};

/// Keys whose tokens end a generation. The file-separating ones are among them because a code model that writes one is done
/// with the file.
const END_KEYS: [(&str, &[&str]); 5] = [
    ("tokenizer.ggml.eot_token_id", &[]),
    ("tokenizer.ggml.eom_token_id", &[]),
    ("tokenizer.ggml.fim_pad_token_id", &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
    ("tokenizer.ggml.fim_rep_token_id", &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]),
    ("tokenizer.ggml.fim_sep_token_id", &["<|file_sep|>"]),
];

/// Texts whose tokens end a generation whatever the file says about them.
const END_TEXTS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Groups of texts of which the first that is a token becomes a control token: the parts of fill-in-the-middle prompts.
const CONTROL_TEXTS: [&[&str]; 3] = [
    &["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>"],
    &["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>"],
    &["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>"],
];

/// Texts whose tokens are always rendered.
const RENDERED_TEXTS: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// Marks the control and end-of-generation tokens of a vocabulary.
pub(super) fn mark(vocabulary: &mut Vocabulary<'_>, gguf: &Gguf<'_>) -> Result<(), TokenizerError> {
    for group in CONTROL_TEXTS {
        if let Some(id) = first_token(vocabulary, group) {
            vocabulary.add_attributes(id, attribute::CONTROL);
        }
    }
    for (key, texts) in END_KEYS {
        if let Some(id) = vocabulary.named_id(gguf, key, None)? {
            vocabulary.add_attributes(id, attribute::END_OF_GENERATION);
        } else if let Some(id) = first_token(vocabulary, texts) {
            vocabulary.add_attributes(id, attribute::END_OF_GENERATION | attribute::CONTROL);
        }
    }
    for text in END_TEXTS {
        if let Some(id) = vocabulary.id_of(text.as_bytes()) {
            vocabulary.add_attributes(id, attribute::END_OF_GENERATION | attribute::CONTROL);
        }
    }
    for text in RENDERED_TEXTS {
        if let Some(id) = vocabulary.id_of(text.as_bytes()) {
            let end = if is_end(vocabulary, text) { attribute::END_OF_GENERATION } else { 0 };
            vocabulary.set_attributes(id, attribute::USER_DEFINED | end);
        }
    }
    if let Some(eos) = vocabulary.eos {
        vocabulary.add_attributes(eos, attribute::END_OF_GENERATION);
    }
    unmark_turn_ends(vocabulary);
    Ok(())
}

/// Formats in which a text of [`END_TEXTS`] is not an end: `<|end|>` between the parts of an answer where `<|return|>` or
/// `<|flush|>` ends it, and `</s>` where `<|tool_response>` shows a format that does not use it.
fn unmark_turn_ends(vocabulary: &mut Vocabulary<'_>) {
    let has_calls = is_end(vocabulary, "<|call|>") || is_end(vocabulary, "<|calls|>");
    if has_calls
        && (is_end(vocabulary, "<|return|>") || is_end(vocabulary, "<|flush|>"))
        && let Some(id) = vocabulary.id_of(b"<|end|>")
    {
        vocabulary.set_attributes(id, attribute::USER_DEFINED);
    }
    if is_end(vocabulary, "<|tool_response>")
        && let Some(id) = vocabulary.id_of(b"</s>")
    {
        vocabulary.set_attributes(id, attribute::NORMAL);
    }
}

fn first_token(vocabulary: &Vocabulary<'_>, texts: &[&str]) -> Option<u32> {
    texts.iter().find_map(|text| vocabulary.id_of(text.as_bytes()))
}

fn is_end(vocabulary: &Vocabulary<'_>, text: &str) -> bool {
    vocabulary.id_of(text.as_bytes()).is_some_and(|id| vocabulary.has(id, attribute::END_OF_GENERATION))
}

/// A part of a text: a token that stands there as a whole, or what is to be tokenized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Token(u32),
    Text(Range<usize>),
}

/// Longest token, in bytes, that is cut out of a text as a whole (the longest known have about 60): it bounds the work for a byte of text.
pub(super) const WHOLE_BYTES_MAX: usize = 256;

/// Finds whole tokens in texts.
pub(super) struct WholeTokens {
    /// Which lengths in bytes there are: the longest token wins wherever it stands.
    lengths: [bool; WHOLE_BYTES_MAX + 1],
    longest: usize,
    /// A bit per byte value that is the first of such a token.
    first_bytes: [u64; 4],
}

/// A token that may stand at a place. The greatest is the longest, of equally long ones the leftmost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Match {
    length: u16,
    start: Reverse<u32>,
    id: u32,
}

impl WholeTokens {
    pub(super) fn new(vocabulary: &Vocabulary<'_>) -> Result<Self, TokenizerError> {
        let mut whole = Self { lengths: [false; WHOLE_BYTES_MAX + 1], longest: 0, first_bytes: [0; 4] };
        for (id, text) in vocabulary.with_attributes(attribute::WHOLE) {
            let Some(first) = text.first() else { continue };
            let too_long = TokenizerError::WholeTokenTooLong { id, bytes: text.len() };
            *whole.lengths.get_mut(text.len()).ok_or(too_long)? = true;
            whole.longest = whole.longest.max(text.len());
            whole.first_bytes[usize::from(first / 64)] |= 1u64 << (first % 64);
        }
        Ok(whole)
    }

    /// Cuts a text at the whole tokens in it; control tokens are left in the text unless `parse_special`.
    ///
    /// Where tokens overlap the longest one stands, of equally long ones the first: llama.cpp cuts the text once for each token, the
    /// longest token first. Here each place is looked at once for all lengths, and again only if what it had found was not free.
    pub(super) fn cut(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        parse_special: bool,
    ) -> Result<Vec<Fragment>, EncodeError> {
        let attributes = if parse_special { attribute::WHOLE } else { attribute::USER_DEFINED };
        let is_wanted =
            |id: u32| vocabulary.has(id, attributes) && (parse_special || !vocabulary.has(id, attribute::SPECIAL));
        let bytes = text.as_bytes();
        let find = |start: usize, most: usize| self.longest_at(vocabulary, bytes, start, most, &is_wanted);
        let mut found = Vec::new();
        for start in 0..bytes.len() {
            if let Some(candidate) = find(start, self.longest) {
                found.try_reserve(1)?;
                found.push(candidate);
            }
        }
        fragments_of(text.len(), &place(bytes.len(), found, find)?)
    }

    /// The longest wanted token of at most `most` bytes that stands at `start`.
    fn longest_at(
        &self,
        vocabulary: &Vocabulary<'_>,
        bytes: &[u8],
        start: usize,
        most: usize,
        is_wanted: &impl Fn(u32) -> bool,
    ) -> Option<Match> {
        let rest = bytes.get(start..)?;
        let rest = rest.get(..most).unwrap_or(rest);
        if !self.may_start(*rest.first()?) {
            return None;
        }
        let mut hash = Hash::new();
        let mut longest = None;
        for (index, byte) in rest.iter().enumerate() {
            hash.add(*byte);
            let length = index + 1;
            if self.lengths.get(length).is_some_and(|is_used| *is_used)
                && let Some(id) = vocabulary.id_with_hash(hash.value(), &rest[..length]).filter(|id| is_wanted(*id))
            {
                longest = Some(Match { length: length as u16, start: Reverse(u32::try_from(start).ok()?), id });
            }
        }
        longest
    }

    fn may_start(&self, byte: u8) -> bool {
        self.first_bytes[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }
}

/// Which of the tokens that were found stand, by their places. One that reaches into another gives way to the next shorter one at its
/// place, which `find` finds.
fn place(
    bytes: usize,
    found: Vec<Match>,
    find: impl Fn(usize, usize) -> Option<Match>,
) -> Result<Vec<Match>, EncodeError> {
    let mut is_taken: Vec<bool> = Vec::new();
    is_taken.try_reserve(bytes)?;
    is_taken.resize(bytes, false);
    let mut placed = Vec::new();
    let mut candidates = BinaryHeap::from(found);
    while let Some(candidate) = candidates.pop() {
        let start = candidate.start.0 as usize;
        let places = &mut is_taken[start..start + usize::from(candidate.length)];
        match places.iter().position(|is_taken| *is_taken) {
            None => {
                places.fill(true);
                placed.try_reserve(1)?;
                placed.push(candidate);
            }
            Some(0) => {}
            // There is room: one was taken out.
            Some(free) => candidates.extend(find(start, free)),
        }
    }
    placed.sort_unstable_by_key(|one| one.start.0);
    Ok(placed)
}

/// The tokens and the texts between them.
fn fragments_of(bytes: usize, placed: &[Match]) -> Result<Vec<Fragment>, EncodeError> {
    let mut fragments = Vec::new();
    fragments.try_reserve(2 * placed.len() + 1)?;
    let mut rest = 0;
    for one in placed {
        let start = one.start.0 as usize;
        if rest < start {
            fragments.push(Fragment::Text(rest..start));
        }
        fragments.push(Fragment::Token(one.id));
        rest = start + usize::from(one.length);
    }
    if rest < bytes {
        fragments.push(Fragment::Text(rest..bytes));
    }
    Ok(fragments)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As llama.cpp does it: once through the text for each length, the longest first. Of lengths that are no more than `longest`.
    fn cut_length_by_length(bytes: usize, longest: usize, find: impl Fn(usize, usize) -> Option<u32>) -> Vec<Fragment> {
        let mut fragments = alloc::vec![Fragment::Text(0..bytes)];
        for length in (1..=longest).rev() {
            let mut cut = Vec::new();
            for fragment in fragments {
                let Fragment::Text(Range { start: mut rest, end }) = fragment else {
                    cut.push(fragment);
                    continue;
                };
                let mut at = rest;
                while at + length <= end {
                    let Some(id) = find(at, length) else {
                        at += 1;
                        continue;
                    };
                    if rest < at {
                        cut.push(Fragment::Text(rest..at));
                    }
                    cut.push(Fragment::Token(id));
                    at += length;
                    rest = at;
                }
                if rest < end {
                    cut.push(Fragment::Text(rest..end));
                }
            }
            fragments = cut;
        }
        fragments
    }

    #[test]
    fn the_cuts_are_those_that_are_made_length_by_length() {
        use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
        let mut random = rand_pcg::Pcg32::seed_from_u64(7);
        for _ in 0..2000 {
            let mut word = |most: u32| -> Vec<u8> {
                let length = 1 + random.next_u32() % most;
                (0..length).map(|_| b'a' + (random.next_u32() % 2) as u8).collect()
            };
            let tokens: Vec<Vec<u8>> = (0..5).map(|_| word(6)).collect();
            let text = word(30);
            let id_at = |start: usize, length: usize| {
                let bytes = text.get(start..start + length)?;
                tokens.iter().position(|token| token == bytes).map(|id| id as u32)
            };
            let longest = |start: usize, most: usize| {
                let (length, id) = (1..=most).rev().find_map(|length| Some((length, id_at(start, length)?)))?;
                Some(Match { length: length as u16, start: Reverse(start as u32), id })
            };
            let found = (0..text.len()).filter_map(|start| longest(start, 6)).collect();
            let fragments = fragments_of(text.len(), &place(text.len(), found, longest).unwrap()).unwrap();
            assert_eq!(fragments, cut_length_by_length(text.len(), 6, id_at), "{tokens:?} in {text:?}");
        }
    }
}
