//! The line behind an answer.

use super::units::{Tenths, per_second};
use barellama_abi::outcome::Outcome;
use core::fmt::{Result, Write};

/// Writes why an answer ended, the token counts and both speeds.
///
/// The prompt's speed counts the tokens that were computed, the reused ones are free. Decoding is timed from the first
/// generated token to the last, so that one token less was computed in that time.
///
/// # Errors
/// Those of `out`.
pub fn answer_statistics(outcome: &Outcome, out: &mut dyn Write) -> Result {
    write!(out, "stop={} · {}", outcome.stop_reason.name(), Tokens(outcome.prompt_tokens, " prompt"))?;
    if outcome.reused_tokens > 0 {
        write!(out, " ({} reused)", outcome.reused_tokens)?;
    }
    let computed = outcome.prompt_tokens.saturating_sub(outcome.reused_tokens);
    write_speed(computed, outcome.prompt_ns, out)?;
    write!(out, " · {}", Tokens(outcome.generated_tokens, ""))?;
    let decoded = outcome.generated_tokens.saturating_sub(1);
    write_speed(decoded, outcome.decode_ns, out)?;
    out.write_str("\r\n")?;
    write_work(decoded, outcome, out)
}

/// What the tokens behind the first one cost, in a row of its own.
fn write_work(tokens: u32, outcome: &Outcome, out: &mut dyn Write) -> Result {
    if tokens == 0 || outcome.decode_passes == 0 {
        return Ok(());
    }
    let millions_per_token = |total: u64| Tenths(total / 100_000 / u64::from(tokens));
    let per_pass = Tenths(u64::from(tokens) * 10 / u64::from(outcome.decode_passes));
    write!(out, "  {per_pass} tokens/pass · {} MB/token", millions_per_token(outcome.decode_bytes))?;
    if outcome.decode_instructions > 0 {
        write!(out, " · {} M instructions/token", millions_per_token(outcome.decode_instructions))?;
    }
    if outcome.drafted_tokens > 0 {
        write!(out, " · {}/{} drafted", outcome.accepted_tokens, outcome.drafted_tokens)?;
    }
    out.write_str("\r\n")
}

fn write_speed(tokens: u32, duration_ns: u64, out: &mut dyn Write) -> Result {
    match per_second(u64::from(tokens), duration_ns) {
        Some(speed) if tokens > 0 => write!(out, " {speed} tok/s"),
        _ => Ok(()),
    }
}

/// A number of tokens of a kind.
struct Tokens(u32, &'static str);

impl core::fmt::Display for Tokens {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> Result {
        write!(formatter, "{}{} token{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;
    use barellama_abi::outcome::StopReason;

    #[test]
    fn statistics_are_one_line() {
        let outcome = Outcome {
            stop_reason: StopReason::EndOfGeneration,
            prompt_tokens: 43,
            reused_tokens: 40,
            generated_tokens: 25,
            prompt_ns: 243_000_000,
            decode_ns: 7_741_000_000,
            ..Outcome::default()
        };
        assert_eq!(
            rows(|out| answer_statistics(&outcome, out)),
            ["stop=end · 43 prompt tokens (40 reused) 12.3 tok/s · 25 tokens 3.1 tok/s"]
        );
        let outcome = Outcome {
            prompt_tokens: 9,
            generated_tokens: 25,
            decode_passes: 16,
            decode_bytes: 1_200_000_000,
            decode_instructions: 2_400_000_000,
            drafted_tokens: 12,
            accepted_tokens: 8,
            ..Outcome::default()
        };
        assert_eq!(
            rows(|out| answer_statistics(&outcome, out)),
            [
                "stop=complete · 9 prompt tokens · 25 tokens",
                "  1.5 tokens/pass · 50.0 MB/token · 100.0 M instructions/token · 8/12 drafted"
            ]
        );
        let outcome = Outcome { prompt_tokens: 1, generated_tokens: 1, ..Outcome::default() };
        assert_eq!(rows(|out| answer_statistics(&outcome, out)), ["stop=complete · 1 prompt token · 1 token"]);
    }
}
