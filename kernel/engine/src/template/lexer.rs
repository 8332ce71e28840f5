//! From the source of a template to tokens, with the white space around tags taken away as Jinja does with `trim_blocks` and
//! `lstrip_blocks`, which is how chat templates are rendered everywhere.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Problem, TemplateError};
use super::memory::Memory;
use super::value::is_space;

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub line: u32,
    pub kind: TokenKind<'s>,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind<'s> {
    /// What is rendered as it stands.
    Text(&'s str),
    /// `{%`
    BlockBegin,
    /// `{{`
    OutputBegin,
    /// `%}` or `}}`
    TagEnd,
    Name(&'s str),
    /// What stands between the quotes, escapes and all.
    String(&'s str),
    Integer(i64),
    Float(f64),
    Operator(&'static str),
    End,
}

const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// The tokens of a template whose line ends are all `\n`.
pub(super) fn tokens(source: &str, memory: Memory) -> Result<Vec<Token<'_>>, TemplateError> {
    // Jinja drops one line end at the end of the source.
    let source = source.strip_suffix('\n').unwrap_or(source);
    let mut lexer = Lexer { source, at: 0, line: 1, is_line_start: true, tokens: Vec::new(), memory };
    while lexer.at < source.len() {
        lexer.segment()?;
    }
    lexer.push(TokenKind::End)?;
    Ok(lexer.tokens)
}

/// The three kinds of tags.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Block,
    Output,
    Comment,
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether what was read last ends a line: white space before the next block tag is then indentation.
    is_line_start: bool,
    tokens: Vec<Token<'s>>,
    memory: Memory,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind<'s>) -> Result<(), TemplateError> {
        let line = self.line;
        self.memory.push(&mut self.tokens, Token { line, kind }).map_err(|problem| TemplateError { line, problem })
    }

    /// Goes on by some bytes, which are given back.
    fn advance(&mut self, length: usize) -> &'s str {
        let passed = self.rest().get(..length).unwrap_or_default();
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.at += length;
        passed
    }

    fn syntax(&self, what: String) -> TemplateError {
        TemplateError { line: self.line, problem: Problem::Syntax(what) }
    }

    /// Text up to the next tag, and that tag.
    fn segment(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some((length, tag)) = find_tag(rest) else {
            self.push(TokenKind::Text(rest))?;
            self.advance(rest.len());
            return Ok(());
        };
        let (text, tag_text) = rest.split_at(length);
        let sign = tag_text.as_bytes().get(2).copied().filter(|sign| matches!(sign, b'-' | b'+'));
        let text = match sign {
            Some(b'-') => text.trim_end_matches(is_space),
            None if tag != Tag::Output => without_indentation(text, self.is_line_start),
            _ => text,
        };
        if !text.is_empty() {
            self.push(TokenKind::Text(text))?;
        }
        self.advance(length + 2 + usize::from(sign.is_some()));
        match tag {
            Tag::Comment => self.comment(),
            Tag::Block | Tag::Output => self.code(tag),
        }
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let Some(length) = self.rest().find("#}") else {
            return Err(self.syntax(String::from("a comment has no end")));
        };
        let sign = self.rest().as_bytes().get(..length).and_then(|comment| comment.last().copied());
        self.advance(length + 2);
        self.after_tag(Tag::Comment, sign);
        Ok(())
    }

    fn code(&mut self, tag: Tag) -> Result<(), TemplateError> {
        let end = if tag == Tag::Block { "%}" } else { "}}" };
        self.push(if tag == Tag::Block { TokenKind::BlockBegin } else { TokenKind::OutputBegin })?;
        let mut open_brackets = 0usize;
        loop {
            let blank = self.rest().len() - self.rest().trim_start_matches(is_space).len();
            self.advance(blank);
            let sign = self.rest().as_bytes().first().copied().filter(|sign| matches!(sign, b'-' | b'+'));
            let signed = self.rest().get(usize::from(sign.is_some())..).unwrap_or_default();
            // `+` keeps the line end behind a block; there is no such sign for outputs.
            let is_end = signed.starts_with(end) && !(tag == Tag::Output && sign == Some(b'+'));
            if is_end && open_brackets == 0 {
                self.push(TokenKind::TagEnd)?;
                self.advance(usize::from(sign.is_some()) + end.len());
                self.after_tag(tag, sign);
                return Ok(());
            }
            match self.code_token()? {
                TokenKind::Operator("(" | "[" | "{") => open_brackets += 1,
                TokenKind::Operator(")" | "]" | "}") => open_brackets = open_brackets.saturating_sub(1),
                TokenKind::Name("raw") if self.is_first_in_tag() => {
                    let problem = Problem::Unsupported(String::from("the tag \"raw\""));
                    return Err(TemplateError { line: self.line, problem });
                }
                _ => {}
            }
        }
    }

    fn is_first_in_tag(&self) -> bool {
        self.tokens.iter().rev().nth(1).is_some_and(|before| before.kind == TokenKind::BlockBegin)
    }

    fn code_token(&mut self) -> Result<TokenKind<'s>, TemplateError> {
        let rest = self.rest();
        let (kind, length) = match rest.bytes().next() {
            None => return Err(self.syntax(String::from("a tag has no end"))),
            Some(quote @ (b'\'' | b'"')) => {
                let Some(length) = string_length(rest, quote) else {
                    return Err(self.syntax(String::from("a string has no end")));
                };
                (TokenKind::String(rest.get(1..length - 1).unwrap_or_default()), length)
            }
            Some(b'0'..=b'9') => {
                number(rest).ok_or_else(|| self.syntax(String::from("a number is too large or malformed")))?
            }
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                let length = rest.bytes().position(|byte| !is_in_name(byte)).unwrap_or(rest.len());
                (TokenKind::Name(rest.get(..length).unwrap_or_default()), length)
            }
            Some(_) => match OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
                Some(operator) => (TokenKind::Operator(operator), operator.len()),
                None => {
                    let character = rest.chars().next().unwrap_or_default();
                    return Err(self.syntax(format!("{character:?} has no meaning in a tag")));
                }
            },
        };
        self.push(kind)?;
        self.advance(length);
        Ok(kind)
    }

    /// Takes away the white space behind a tag that its closing sign, or the kind of tag, asks for.
    fn after_tag(&mut self, tag: Tag, sign: Option<u8>) {
        let rest = self.rest();
        let length = match (sign, tag) {
            (Some(b'-'), _) => rest.len() - rest.trim_start_matches(is_space).len(),
            (Some(b'+'), _) | (_, Tag::Output) => 0,
            _ => usize::from(rest.starts_with('\n')),
        };
        self.is_line_start = self.advance(length).ends_with('\n');
    }
}

fn find_tag(text: &str) -> Option<(usize, Tag)> {
    text.as_bytes().windows(2).enumerate().find_map(|(at, pair)| match pair {
        b"{%" => Some((at, Tag::Block)),
        b"{{" => Some((at, Tag::Output)),
        b"{#" => Some((at, Tag::Comment)),
        _ => None,
    })
}

/// The text without the white space at its end if nothing else stands before it in its line.
fn without_indentation(text: &str, is_line_start: bool) -> &str {
    let line = text.rfind('\n').map_or(0, |end| end + 1);
    let (before, indentation) = text.split_at(line);
    let begins_line = line > 0 || is_line_start;
    if begins_line && indentation.chars().all(is_space) { before } else { text }
}

/// Length of the string at the start, with both quotes.
fn string_length(text: &str, quote: u8) -> Option<usize> {
    let mut is_escaped = true;
    for (at, byte) in text.bytes().enumerate() {
        if byte == quote && !is_escaped {
            return Some(at + 1);
        }
        // The opening quote counts as escaped, so that it does not close itself.
        is_escaped = byte == b'\\' && !is_escaped;
    }
    None
}

/// The number at the start and its length.
fn number(text: &str) -> Option<(TokenKind<'static>, usize)> {
    let digits = |text: &str| text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    let fraction = text.get(whole..)?.strip_prefix('.').map_or(0, digits);
    if fraction == 0 {
        return Some((TokenKind::Integer(text.get(..whole)?.parse().ok()?), whole));
    }
    let length = whole + 1 + fraction;
    Some((TokenKind::Float(text.get(..length)?.parse().ok()?), length))
}
