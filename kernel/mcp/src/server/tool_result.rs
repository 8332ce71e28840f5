//! Results of tools: content for people and models, structured content for programs.

use core::fmt::{self, Write};

use barellama_abi::outcome::Outcome;
use serde::Deserialize;

use super::answer::VERSION;
use super::work::{ModelEntry, SystemStatus};
use crate::json::{Escaping, Quoted};
use crate::revision::Revision;

/// Displays the members of a result that says what went wrong.
pub(super) struct ToolError<'a>(pub &'a str);

impl fmt::Display for ToolError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"isError\":true", Quoted(self.0))
    }
}

/// Displays the members of a good result. All of it is in the content, for clients that know nothing else: the text as it is, and
/// `members` as JSON. Structured content has both.
pub(super) struct ToolResult<'a> {
    pub revision: Revision,
    pub text: Option<&'a str>,
    pub members: &'a dyn fmt::Display,
}

impl fmt::Display for ToolResult<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"content\":[")?;
        if let Some(text) = self.text {
            write!(formatter, "{{\"type\":\"text\",\"text\":{}}},", Quoted(text))?;
        }
        formatter.write_str("{\"type\":\"text\",\"text\":\"")?;
        write!(Escaping(formatter), "{{{}}}", self.members)?;
        formatter.write_str("\"}]")?;
        if self.revision.has_structured_content() {
            formatter.write_str(",\"structuredContent\":{")?;
            if let Some(text) = self.text {
                write!(formatter, "\"text\":{},", Quoted(text))?;
            }
            write!(formatter, "{}}}", self.members)?;
        }
        formatter.write_str(",\"isError\":false")
    }
}

/// What every result about generated tokens is made of.
pub(super) struct Figures {
    pub outcome: Outcome,
    pub is_truncated: bool,
    pub queue_ns: u64,
}

const NS_PER_MS: u64 = 1_000_000;

/// Displays the members of `generate` and `chat` but the text.
pub(super) struct Generation(pub Figures);

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { outcome, is_truncated, queue_ns } = &self.0;
        write!(
            formatter,
            "\"stop_reason\":\"{}\",\"truncated\":{is_truncated},\"prompt_tokens\":{},\"reused_tokens\":{},\
             \"generated_tokens\":{},\"context_used_tokens\":{},\"context_tokens\":{},\"queue_ms\":{},\"prompt_ms\":{},\
             \"decode_ms\":{}",
            outcome.stop_reason.name(),
            outcome.prompt_tokens,
            outcome.reused_tokens,
            outcome.generated_tokens,
            outcome.context_used_tokens,
            outcome.context_tokens,
            queue_ns / NS_PER_MS,
            outcome.prompt_ns / NS_PER_MS,
            outcome.decode_ns / NS_PER_MS
        )?;
        decode_rate(outcome, formatter)
    }
}

/// Displays the members of `benchmark`.
pub(super) struct Benchmark(pub Figures);

impl fmt::Display for Benchmark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { outcome, queue_ns, .. } = &self.0;
        write!(
            formatter,
            "\"stop_reason\":\"{}\",\"prompt_tokens\":{},\"generated_tokens\":{},\"queue_ms\":{},\"prompt_ms\":{},\
             \"decode_ms\":{}",
            outcome.stop_reason.name(),
            outcome.prompt_tokens,
            outcome.generated_tokens,
            queue_ns / NS_PER_MS,
            outcome.prompt_ns / NS_PER_MS,
            outcome.decode_ns / NS_PER_MS
        )?;
        let read_tokens = outcome.prompt_tokens.saturating_sub(outcome.reused_tokens);
        rate("prompt_tokens_per_second", read_tokens, outcome.prompt_ns, formatter)?;
        decode_rate(outcome, formatter)
    }
}

/// The time runs from the first token to the last, so the first does not count.
fn decode_rate(outcome: &Outcome, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    rate("tokens_per_second", outcome.generated_tokens.saturating_sub(1), outcome.decode_ns, formatter)
}

/// A member with tokens per second in hundredths, left out if nothing was measured. The kernel has no floating point unit.
fn rate(name: &str, tokens: u32, duration_ns: u64, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    const HUNDREDTHS_NS: u128 = 100_000_000_000;
    // The engine says both numbers: no product of them may overflow.
    match (u128::from(tokens) * HUNDREDTHS_NS).checked_div(u128::from(duration_ns)) {
        Some(hundredths) if tokens > 0 => {
            write!(formatter, ",\"{name}\":{}.{:02}", hundredths / 100, hundredths % 100)
        }
        _ => Ok(()),
    }
}

/// Displays the members of a text and nothing else.
pub(super) struct Detokenized {
    pub is_truncated: bool,
}

impl fmt::Display for Detokenized {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"truncated\":{}", self.is_truncated)
    }
}

/// Displays the members of `tokenize`.
pub(super) struct Tokens<'a> {
    ids: &'a str,
    is_truncated: bool,
}

impl<'a> Tokens<'a> {
    /// Reads what the engine said: a JSON array of ids, perhaps cut. `None` if it is something else.
    pub fn read(text: &'a str, is_truncated: bool) -> Option<Self> {
        let rest = text.trim().strip_prefix('[')?;
        let ids = match rest.strip_suffix(']') {
            Some(ids) => ids,
            None if is_truncated => rest.rsplit_once(',').map_or("", |(whole, _cut)| whole),
            None => return None,
        };
        let is_good = ids.is_empty() || ids.split(',').all(|id| id.trim().parse::<u32>().is_ok());
        is_good.then_some(Self { ids, is_truncated })
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        self.ids.split(',').filter_map(|id| id.trim().parse().ok())
    }
}

impl fmt::Display for Tokens<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"tokens\":[")?;
        for (index, id) in self.ids().enumerate() {
            write!(formatter, "{}{id}", if index == 0 { "" } else { "," })?;
        }
        write!(formatter, "],\"count\":{},\"truncated\":{}", self.ids().count(), self.is_truncated)
    }
}

/// A line that the engine says per step of a score.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step<'a> {
    step: u32,
    id: u32,
    top: alloc::vec::Vec<(u32, Option<f32>)>,
    crc: &'a str,
}

/// Displays the members of `score`.
pub(super) struct Steps<'a> {
    lines: &'a str,
    figures: Figures,
}

impl<'a> Steps<'a> {
    /// Reads what the engine said: a JSON object per line, the last one perhaps cut. `None` if it is something else.
    pub fn read(text: &'a str, figures: Figures) -> Option<Self> {
        let lines = if figures.is_truncated { text.rsplit_once('\n').map_or("", |(whole, _cut)| whole) } else { text };
        let is_good = |line: &str| serde_json::from_str::<Step<'_>>(line).is_ok();
        lines.lines().all(is_good).then_some(Self { lines, figures })
    }
}

impl fmt::Display for Steps<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"steps\":[")?;
        let steps = self.lines.lines().filter_map(|line| serde_json::from_str::<Step<'_>>(line).ok());
        for (index, step) in steps.enumerate() {
            let before = if index == 0 { "{" } else { ",{" };
            write!(formatter, "{before}\"step\":{},\"id\":{},\"top\":[", step.step, step.id)?;
            for (index, (id, logit)) in step.top.iter().enumerate() {
                write!(formatter, "{}[{id},", if index == 0 { "" } else { "," })?;
                match logit.filter(|logit| logit.is_finite()) {
                    Some(logit) => write!(formatter, "{logit}]")?,
                    None => formatter.write_str("null]")?,
                }
            }
            write!(formatter, "],\"crc\":{}}}", Quoted(step.crc))?;
        }
        let Figures { outcome, is_truncated, queue_ns } = &self.figures;
        write!(
            formatter,
            "],\"stop_reason\":\"{}\",\"truncated\":{is_truncated},\"prompt_tokens\":{},\"generated_tokens\":{},\
             \"queue_ms\":{},\"prompt_ms\":{},\"decode_ms\":{}",
            outcome.stop_reason.name(),
            outcome.prompt_tokens,
            outcome.generated_tokens,
            queue_ns / NS_PER_MS,
            outcome.prompt_ns / NS_PER_MS,
            outcome.decode_ns / NS_PER_MS
        )
    }
}

/// Displays the members of `system_status`.
pub(super) struct Status<'a> {
    pub status: &'a SystemStatus<'a>,
    pub open_calls: usize,
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        write!(
            formatter,
            "\"board\":{},\"version\":{},\"uptime_ms\":{},\"engine\":{},\"model\":",
            Quoted(status.board),
            Quoted(VERSION),
            status.uptime_ns / NS_PER_MS,
            Quoted(status.engine)
        )?;
        match status.model {
            Some(model) => write!(formatter, "{}", Quoted(model))?,
            None => formatter.write_str("null")?,
        }
        for (name, value) in [
            ("arm_clock_hz", status.arm_clock_hz),
            ("core_clock_hz", status.core_clock_hz),
            ("temperature_millidegrees", status.temperature_millidegrees),
            ("throttled_bits", status.throttled_bits),
        ] {
            match value {
                Some(value) => write!(formatter, ",\"{name}\":{value}")?,
                None => write!(formatter, ",\"{name}\":null")?,
            }
        }
        for (name, value) in [
            ("ram_bytes", status.ram_bytes),
            ("model_bytes", status.model_bytes),
            ("arena_bytes", status.arena_bytes),
            ("heap_bytes", status.heap_bytes),
            ("heap_used_bytes", status.heap_used_bytes),
            ("heap_peak_bytes", status.heap_peak_bytes),
            ("faults", status.faults),
            ("restarts", status.restarts),
            ("requests", status.requests),
            ("tokens_served", status.tokens_served),
            ("overruns", status.overruns),
            ("damaged_frames", status.damaged_frames),
        ] {
            write!(formatter, ",\"{name}\":{value}")?;
        }
        write!(formatter, ",\"open_calls\":{}", self.open_calls)
    }
}

/// Most models of a list.
const MODELS_MAX: usize = 64;

/// Displays the members of `models`.
pub(super) struct Models<'a>(pub &'a [ModelEntry<'a>]);

impl fmt::Display for Models<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"models\":[")?;
        for (index, model) in self.0.iter().take(MODELS_MAX).enumerate() {
            let before = if index == 0 { "{" } else { ",{" };
            let (name, bytes) = (Quoted(model.name), model.bytes);
            write!(formatter, "{before}\"name\":{name},\"bytes\":{bytes},\"is_loaded\":{}}}", model.is_loaded)?;
        }
        write!(formatter, "],\"truncated\":{}", self.0.len() > MODELS_MAX)
    }
}

/// Displays the members of `models` after a load.
pub(super) struct Loaded<'a>(pub &'a str);

impl fmt::Display for Loaded<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"models\":[{{\"name\":{},\"is_loaded\":true}}],\"truncated\":false", Quoted(self.0))
    }
}
