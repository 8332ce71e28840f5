//! Pre-tokenizers: how a text is cut into words before byte pairs are merged.
//!
//! The rules are regular expressions in the models' `tokenizer.json`; here they are code, which needs no compiled automaton and
//! no backtracking. Each function takes the rest of a segment and says how long its first piece is. Origin of the rules
//! and of the names: llama.cpp, `llama-vocab.cpp` and `unicode.cpp`.

use super::unicode::{Class, class_of};

/// One way of cutting a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3 { digits: usize },
    /// `\p{N}`, apart from what is around it.
    EachNumber,
    /// `\p{N}+`, apart from what is around it.
    Numbers,
    /// `[0-9][0-9][0-9]`, apart from what is around it.
    ThreeDigits,
    /// `[\p{P}\$\+<=>\^~\|]+`, apart from what is around it.
    Punctuation,
}

/// The rules of a model, each applied to the pieces of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PreTokenizer {
    rules: &'static [Rule],
    /// Whether a word that is a token is taken as it is.
    pub ignore_merges: bool,
    /// Whether a text begins with the BOS token unless the file says otherwise.
    pub add_bos: bool,
}

impl PreTokenizer {
    /// The pre-tokenizer of that name in `tokenizer.ggml.pre`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let rules: &[Rule] = match name {
            "" | "default" => &[Rule::Punctuation, Rule::Gpt2, Rule::Numbers, Rule::ThreeDigits],
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "dbrx" | "smaug-bpe" => &[Rule::Llama3 { digits: 3 }],
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" => &[Rule::Llama3 { digits: 1 }],
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
                &[Rule::EachNumber, Rule::Gpt2]
            }
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" => &[Rule::Gpt2],
            _ => return None,
        };
        let is_llama3 = matches!(name, "llama3" | "llama-v3" | "llama-bpe" | "falcon3");
        Some(Self { rules, ignore_merges: is_llama3, add_bos: is_llama3 })
    }

    /// Calls `emit` with each word of a text, in order, until it fails.
    pub(super) fn split<'t, E>(&self, text: &'t str, emit: &mut impl FnMut(&'t str) -> Result<(), E>) -> Result<(), E> {
        split(self.rules, text, emit)
    }
}

fn split<'t, E>(rules: &[Rule], text: &'t str, emit: &mut impl FnMut(&'t str) -> Result<(), E>) -> Result<(), E> {
    let Some((rule, rest)) = rules.split_first() else { return emit(text) };
    let mut text = text;
    while !text.is_empty() {
        let Some((piece, after)) = text.split_at_checked(rule.first_piece(text)).filter(|(piece, _)| !piece.is_empty())
        else {
            return split(rest, text, emit);
        };
        split(rest, piece, emit)?;
        text = after;
    }
    Ok(())
}

impl Rule {
    /// Length in bytes of the first piece of a text that is not empty.
    fn first_piece(self, text: &str) -> usize {
        match self {
            Self::Gpt2 => gpt2_piece(text),
            Self::Llama3 { digits } => llama3_piece(text, digits),
            Self::EachNumber => {
                let first = text.chars().next().filter(|first| is_number(*first));
                first.map_or_else(|| run(text, |other| !is_number(other)), char::len_utf8)
            }
            Self::Numbers => alternating_run(text, is_number),
            Self::Punctuation => alternating_run(text, |other| {
                class_of(other) == Class::Punctuation || matches!(other, '$' | '+' | '<' | '=' | '>' | '^' | '~' | '|')
            }),
            Self::ThreeDigits => {
                let first = text.as_bytes().windows(3).position(|window| window.iter().all(u8::is_ascii_digit));
                match first {
                    Some(0) => 3,
                    Some(start) => start,
                    None => text.len(),
                }
            }
        }
    }
}

fn gpt2_piece(text: &str) -> usize {
    if let Some(length) = contraction(text, |letter| letter) {
        return length;
    }
    let word = text.strip_prefix(' ').unwrap_or(text);
    let space = text.len() - word.len();
    match word.chars().next().map(class_of) {
        Some(Class::Letter) => space + run(word, is_letter),
        Some(Class::Number) => space + run(word, is_number),
        Some(Class::Punctuation | Class::Other) => space + run(word, is_symbol),
        Some(Class::Space) | None => white_space(text),
    }
}

fn llama3_piece(text: &str, digits: usize) -> usize {
    if let Some(length) = contraction(text, |letter| letter.to_ascii_lowercase()) {
        return length;
    }
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return 0 };
    let after_first = characters.as_str();
    if is_number(first) {
        return text.chars().take(digits).take_while(|other| is_number(*other)).map(char::len_utf8).sum();
    }
    if first != '\r' && first != '\n' && (is_letter(first) || after_first.starts_with(is_letter)) {
        return first.len_utf8() + run(after_first, is_letter);
    }
    let word = text.strip_prefix(' ').unwrap_or(text);
    if word.starts_with(is_symbol) {
        let symbols = text.len() - word.len() + run(word, is_symbol);
        return symbols + run(text.get(symbols..).unwrap_or_default(), is_line_end);
    }
    let spaces = text.get(..run(text, char::is_whitespace)).unwrap_or_default();
    match spaces.rfind(is_line_end) {
        Some(last) => last + 1,
        None => white_space(text),
    }
}

/// Length of an English contraction (`'s`, `'re`, …) at the start.
fn contraction(text: &str, fold: impl Fn(char) -> char) -> Option<usize> {
    let mut letters = text.strip_prefix('\'')?.chars().map(fold);
    match (letters.next()?, letters.next()) {
        ('s' | 't' | 'm' | 'd', _) => Some(2),
        ('r' | 'v', Some('e')) | ('l', Some('l')) => Some(3),
        _ => None,
    }
}

/// `\s+(?!\S)|\s+`: white space up to the end, or all of it but the last character, which goes to the next word. A single
/// character is never left behind.
fn white_space(text: &str) -> usize {
    let length = run(text, char::is_whitespace);
    let spaces = text.get(..length).unwrap_or_default();
    match spaces.char_indices().next_back() {
        Some((last, _)) if last > 0 && length < text.len() => last,
        Some(_) => length,
        // Not white space: cannot happen, but a piece must not be empty.
        None => text.chars().next().map_or(0, char::len_utf8),
    }
}

/// Length of the run of characters that are all in a class, or all not.
fn alternating_run(text: &str, is_in_class: impl Fn(char) -> bool) -> usize {
    let first = text.chars().next().is_some_and(&is_in_class);
    run(text, |other| is_in_class(other) == first)
}

/// Length in bytes of the characters at the start that are in a class.
fn run(text: &str, is_in_class: impl Fn(char) -> bool) -> usize {
    text.find(|other| !is_in_class(other)).unwrap_or(text.len())
}

fn is_letter(character: char) -> bool {
    class_of(character) == Class::Letter
}

fn is_number(character: char) -> bool {
    class_of(character) == Class::Number
}

fn is_symbol(character: char) -> bool {
    matches!(class_of(character), Class::Punctuation | Class::Other)
}

const fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n')
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
