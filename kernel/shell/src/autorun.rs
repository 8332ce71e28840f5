//! Prompts from a file, answers as JSON lines.

use crate::json::{JsonString, write_outcome};
use barellama_abi::outcome::Outcome;
use core::fmt::{self, Write};

/// Most bytes of a file of prompts.
pub const BYTES_MAX: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The line is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

/// The prompts of a file with their line numbers, from 1: one a line; blank lines and lines that start with `#` are
/// skipped. A prompt may be a command.
pub fn prompts(file: &[u8]) -> impl Iterator<Item = (u32, Result<&str, NotUtf8>)> {
    let lines = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file).split(|&byte| byte == b'\n');
    (1..).zip(lines).filter_map(|(number, line)| match core::str::from_utf8(line).map(str::trim) {
        Ok(line) if line.is_empty() || line.starts_with('#') => None,
        Ok(line) => Some((number, Ok(line))),
        Err(_) => Some((number, Err(NotUtf8))),
    })
}

/// The answer to a prompt.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// What was generated.
    pub text: &'a str,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Why it failed, if it did.
    pub error: Option<&'a str>,
}

/// Writes an answer as one JSON object on a line of its own.
///
/// # Errors
/// Those of `out`.
pub fn write_answer(answer: &Answer<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{\"prompt\":{},\"text\":{},", JsonString(answer.prompt), JsonString(answer.text))?;
    write_outcome(answer.outcome, out)?;
    if let Some(error) = answer.error {
        write!(out, ",\"error\":{}", JsonString(error))?;
    }
    out.write_str("}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use barellama_abi::outcome::StopReason;

    #[test]
    fn prompts_are_numbered_and_comments_skipped() {
        let file = b"\xEF\xBB\xBFone\r\n\r\n# two\n  three  \n\xFF\n/reset";
        let found: Vec<_> = prompts(file).collect();
        assert_eq!(found, [(1, Ok("one")), (4, Ok("three")), (5, Err(NotUtf8)), (6, Ok("/reset"))]);
        assert_eq!(prompts(b"").count(), 0);
    }

    #[test]
    fn answers_are_one_line_of_json() {
        let outcome = Outcome {
            stop_reason: StopReason::EndOfGeneration,
            prompt_tokens: 43,
            reused_tokens: 40,
            generated_tokens: 25,
            context_used_tokens: 68,
            context_tokens: 2048,
            prompt_ns: 1_000,
            decode_ns: 2_000,
            ..Outcome::default()
        };
        let answer = Answer { prompt: "\"hi\"", text: "a\r\nb\u{1b}", outcome: &outcome, error: Some("x\ny") };
        let mut line = String::new();
        write_answer(&answer, &mut line).unwrap();
        assert!(line.ends_with("}\r\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["prompt"], "\"hi\"");
        assert_eq!(value["text"], "a\r\nb\u{1b}");
        assert_eq!(value["stop"], "end");
        assert_eq!((value["prompt_tokens"].as_u64(), value["decode_ns"].as_u64()), (Some(43), Some(2000)));
        assert_eq!(value["error"], "x\ny");
    }
}
