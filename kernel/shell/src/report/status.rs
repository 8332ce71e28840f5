//! What `/status` shows.

use super::units::{Duration, MemorySize, Tenths, mebibytes};
use core::fmt::{Result, Write};

/// Facts about the model.
#[derive(Clone, Copy, Debug)]
pub struct ModelFacts<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// Size of the file.
    pub file_bytes: u64,
    /// Size of the arena.
    pub arena_bytes: u64,
    /// Tokens that the KV cache of the console holds.
    pub context_used_tokens: u32,
    /// Tokens that it can hold; 0: not known yet.
    pub context_tokens: u32,
}

/// Facts of the status. Counters run since the kernel started.
#[derive(Clone, Copy, Debug)]
pub struct StatusFacts<'a> {
    /// Name of the board.
    pub board: &'a str,
    /// Time since the kernel started.
    pub uptime_ns: u64,
    /// Cores that compute.
    pub cores: usize,
    /// Their rate, if the firmware tells.
    pub arm_hz: Option<u32>,
    /// Temperature of the SoC in thousandths of a degree Celsius.
    pub temperature_millidegrees: Option<u32>,
    /// The firmware's GET_THROTTLED bits.
    pub throttled: Option<u32>,
    /// The model, if there is one.
    pub model: Option<ModelFacts<'a>>,
    /// State of the engine, one or a few words.
    pub engine: &'a str,
    /// Messages of the console's conversation.
    pub messages: usize,
    /// Requests that ended.
    pub requests: u64,
    /// Tokens that were generated.
    pub generated_tokens: u64,
    /// Faults of the engine.
    pub faults: u64,
    /// Restarts of the engine.
    pub restarts: u64,
    /// Times that received bytes were lost.
    pub receive_overruns: u64,
    /// Received bytes that were dropped for line errors.
    pub damaged_bytes: u64,
    /// The kernel's heap: bytes in use.
    pub heap_used_bytes: u64,
    /// The kernel's heap: most bytes that were ever in use.
    pub heap_peak_bytes: u64,
    /// The kernel's heap: all of it.
    pub heap_bytes: u64,
    /// Longest stretch with interrupts masked, if it was measured.
    pub longest_masked_ns: Option<u64>,
}

/// Writes the status.
///
/// # Errors
/// Those of `out`.
pub fn status(facts: &StatusFacts<'_>, out: &mut dyn Write) -> Result {
    write!(out, "board        {}, up {}\r\n", facts.board, Duration(facts.uptime_ns))?;
    write_processor(facts, out)?;
    write_model(facts.model.as_ref(), out)?;
    write!(out, "engine       {}; {} faults, {} restarts\r\n", facts.engine, facts.faults, facts.restarts)?;
    write!(out, "work         {} requests, {} tokens generated", facts.requests, facts.generated_tokens)?;
    write!(out, ", {} messages in the conversation\r\n", facts.messages)?;
    write!(out, "serial line  {} overruns, {} damaged bytes\r\n", facts.receive_overruns, facts.damaged_bytes)?;
    write!(out, "kernel heap  {} of {}", MemorySize(facts.heap_used_bytes), MemorySize(facts.heap_bytes))?;
    write!(out, ", {} at most\r\n", MemorySize(facts.heap_peak_bytes))?;
    match facts.longest_masked_ns {
        Some(masked_ns) => write!(out, "interrupts   masked for {} us at most\r\n", masked_ns.div_ceil(1000)),
        None => Ok(()),
    }
}

fn write_processor(facts: &StatusFacts<'_>, out: &mut dyn Write) -> Result {
    write!(out, "processor    {} cores", facts.cores)?;
    if let Some(hz) = facts.arm_hz {
        write!(out, ", {} MHz", hz / 1_000_000)?;
    }
    if let Some(millidegrees) = facts.temperature_millidegrees {
        write!(out, ", {} °C", Tenths(u64::from(millidegrees / 100)))?;
    }
    if let Some(bits) = facts.throttled {
        throttling(bits, out)?;
    }
    out.write_str("\r\n")
}

/// Bits 0 to 3 are now, 16 to 19 since boot (documentation of `vcgencmd get_throttled`).
const THROTTLING: [&str; 4] = ["under-voltage", "capped", "throttled", "soft limit"];

/// Behind other words: what throttles, each behind a comma.
pub(super) fn throttling(bits: u32, out: &mut dyn Write) -> Result {
    let mut is_any = false;
    for (bit, name) in THROTTLING.iter().enumerate() {
        let when = match (bits >> bit & 1, bits >> (bit + 16) & 1) {
            (1, _) => "",
            (_, 1) => " earlier",
            _ => continue,
        };
        write!(out, ", {name}{when}")?;
        is_any = true;
    }
    if is_any { Ok(()) } else { out.write_str(", not throttled") }
}

/// In a table: "none", or the first thing that throttles or did, and all bits.
pub(super) fn throttling_brief(bits: u32, out: &mut dyn Write) -> Result {
    let first = THROTTLING.iter().enumerate().find(|(bit, _)| bits >> bit & 0x1_0001 != 0);
    match first {
        Some((_, name)) => write!(out, "{name} ({bits:#x})"),
        None => out.write_str("none"),
    }
}

fn write_model(model: Option<&ModelFacts<'_>>, out: &mut dyn Write) -> Result {
    let Some(model) = model else {
        return out.write_str("model        none\r\n");
    };
    write!(out, "model        {}\r\n", model.name)?;
    write!(
        out,
        "memory       model {} MiB, arena {} MiB\r\n",
        mebibytes(model.file_bytes),
        mebibytes(model.arena_bytes)
    )?;
    if model.context_tokens == 0 {
        return Ok(());
    }
    write!(out, "context      {} of {} tokens used\r\n", model.context_used_tokens, model.context_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const FACTS: StatusFacts<'_> = StatusFacts {
        board: "Raspberry Pi 4 Model B",
        uptime_ns: 125_000_000_000,
        cores: 4,
        arm_hz: Some(1_500_000_000),
        temperature_millidegrees: Some(48_312),
        throttled: Some(0x5_0001),
        model: Some(ModelFacts {
            name: "smollm2.gguf",
            file_bytes: 98_362_432,
            arena_bytes: 256 << 20,
            context_used_tokens: 68,
            context_tokens: 2048,
        }),
        engine: "ready",
        messages: 2,
        requests: 1,
        generated_tokens: 25,
        faults: 0,
        restarts: 0,
        receive_overruns: 0,
        damaged_bytes: 0,
        heap_used_bytes: 12 << 10,
        heap_peak_bytes: 200 << 10,
        heap_bytes: 1 << 20,
        longest_masked_ns: Some(7_300),
    };

    #[test]
    fn status_is_a_table() {
        assert_eq!(
            rows(|out| status(&FACTS, out)),
            [
                "board        Raspberry Pi 4 Model B, up 2 min 5 s",
                "processor    4 cores, 1500 MHz, 48.3 °C, under-voltage, throttled earlier",
                "model        smollm2.gguf",
                "memory       model 93.8 MiB, arena 256.0 MiB",
                "context      68 of 2048 tokens used",
                "engine       ready; 0 faults, 0 restarts",
                "work         1 requests, 25 tokens generated, 2 messages in the conversation",
                "serial line  0 overruns, 0 damaged bytes",
                "kernel heap  12 KiB of 1.0 MiB, 200 KiB at most",
                "interrupts   masked for 8 us at most",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let facts = StatusFacts {
            arm_hz: None,
            temperature_millidegrees: None,
            throttled: Some(0),
            model: None,
            longest_masked_ns: None,
            ..FACTS
        };
        let rows = rows(|out| status(&facts, out));
        assert_eq!((rows[1].as_str(), rows[2].as_str()), ("processor    4 cores, not throttled", "model        none"));
        assert_eq!(rows.len(), 7);
    }
}
