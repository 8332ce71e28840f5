//! Which tokens end a generation, and where special tokens stand in a text: both as llama.cpp has it.

use alloc::vec::Vec;
use core::ops::Range;

use barellama_gguf::Gguf;

use super::error::{EncodeError, TokenizerError};
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

/// Finds whole tokens in texts.
pub(super) struct WholeTokens {
    /// Lengths in bytes, the longest first: the longest token wins wherever it stands.
    lengths: Vec<usize>,
    /// A bit per byte value that is the first of such a token.
    first_bytes: [u64; 4],
}

impl WholeTokens {
    pub(super) fn new(vocabulary: &Vocabulary<'_>) -> Result<Self, TokenizerError> {
        let mut seen = super::strings::vec_of(super::vocabulary::TOKEN_BYTES_MAX + 1)?;
        seen.resize(super::vocabulary::TOKEN_BYTES_MAX + 1, false);
        let mut first_bytes = [0; 4];
        for text in vocabulary.texts_with(attribute::WHOLE) {
            let (Some(first), Some(seen)) = (text.first(), seen.get_mut(text.len())) else { continue };
            *seen = true;
            first_bytes[usize::from(first / 64)] |= 1u64 << (first % 64);
        }
        let lengths = seen.iter().enumerate().filter(|(_, seen)| **seen).map(|(length, _)| length).rev().collect();
        Ok(Self { lengths, first_bytes })
    }

    /// Cuts a text at the whole tokens in it; control tokens are left in the text unless `parse_special`.
    pub(super) fn cut(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        parse_special: bool,
    ) -> Result<Vec<Fragment>, EncodeError> {
        let mut fragments = Vec::new();
        push(&mut fragments, Fragment::Text(0..text.len()))?;
        let attributes = if parse_special { attribute::WHOLE } else { attribute::USER_DEFINED };
        let is_wanted =
            |id: &u32| vocabulary.has(*id, attributes) && (parse_special || !vocabulary.has(*id, attribute::SPECIAL));
        for length in &self.lengths {
            let token_at = |start: usize| {
                let bytes = text.as_bytes().get(start..start.checked_add(*length)?)?;
                self.may_start(*bytes.first()?).then(|| vocabulary.id_of(bytes)).flatten().filter(is_wanted)
            };
            fragments = cut_at(fragments, *length, token_at)?;
        }
        Ok(fragments)
    }

    fn may_start(&self, byte: u8) -> bool {
        self.first_bytes[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.lengths.capacity() * size_of::<usize>()
    }
}

/// Cuts the texts among the fragments at each token of one length, from left to right.
fn cut_at(
    fragments: Vec<Fragment>,
    length: usize,
    token_at: impl Fn(usize) -> Option<u32>,
) -> Result<Vec<Fragment>, EncodeError> {
    let mut cut = Vec::new();
    for fragment in fragments {
        let Fragment::Text(text) = fragment else {
            push(&mut cut, fragment)?;
            continue;
        };
        let (mut rest, mut at) = (text.start, text.start);
        while at.saturating_add(length) <= text.end {
            let Some(id) = token_at(at) else {
                at += 1;
                continue;
            };
            push_text(&mut cut, rest..at)?;
            push(&mut cut, Fragment::Token(id))?;
            at += length;
            rest = at;
        }
        push_text(&mut cut, rest..text.end)?;
    }
    Ok(cut)
}

fn push_text(fragments: &mut Vec<Fragment>, text: Range<usize>) -> Result<(), EncodeError> {
    if text.is_empty() { Ok(()) } else { push(fragments, Fragment::Text(text)) }
}

fn push(fragments: &mut Vec<Fragment>, fragment: Fragment) -> Result<(), EncodeError> {
    fragments.try_reserve(1)?;
    fragments.push(fragment);
    Ok(())
}
