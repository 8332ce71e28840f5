//! How the engine says that a request ended.

use crate::wire::{Reader, Writer};

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum StopReason {
    /// Done: the request asked for no generation, or all of it was made.
    #[default]
    Complete = 0,
    /// The model made an end-of-generation token.
    EndOfGeneration = 1,
    /// A stop string appeared.
    StopString = 2,
    /// `max_tokens` were made.
    MaxTokens = 3,
    /// The context is full.
    ContextFull = 4,
    /// The kernel asked to stop (a person's Ctrl-C, a client's cancel).
    Cancelled = 5,
    /// The request's deadline passed.
    Deadline = 6,
    /// The request was refused or failed; the text was emitted as [`crate::syscall::EmitKind::Error`].
    Error = 7,
    /// Set by the kernel only: the engine faulted or was stopped.
    Fault = 8,
}

impl StopReason {
    /// The reason of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Complete,
            1 => Self::EndOfGeneration,
            2 => Self::StopString,
            3 => Self::MaxTokens,
            4 => Self::ContextFull,
            5 => Self::Cancelled,
            6 => Self::Deadline,
            7 => Self::Error,
            8 => Self::Fault,
            _ => return None,
        })
    }

    /// The name in JSON and on the console.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::EndOfGeneration => "end",
            Self::StopString => "stop",
            Self::MaxTokens => "max_tokens",
            Self::ContextFull => "context_full",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::Error => "error",
            Self::Fault => "fault",
        }
    }
}

/// The end of a request, with its counts and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens of the prompt, reused ones included.
    pub prompt_tokens: u32,
    /// Prompt tokens whose KV entries were still there.
    pub reused_tokens: u32,
    /// Generated tokens.
    pub generated_tokens: u32,
    /// Tokens that the KV cache of the session now holds.
    pub context_used_tokens: u32,
    /// Tokens that the KV cache of the session can hold.
    pub context_tokens: u32,
    /// Time for the prompt, tokenization included, in nanoseconds.
    pub prompt_ns: u64,
    /// Time from the first to the last generated token, in nanoseconds.
    pub decode_ns: u64,
    /// Passes over the weights that gave the tokens behind the first one.
    pub decode_passes: u32,
    /// Tokens that were computed ahead of the choice.
    pub drafted_tokens: u32,
    /// Those of them that were chosen.
    pub accepted_tokens: u32,
    /// Bytes of weights, keys and values read in these passes; of a pass that several requests shared, an equal share.
    pub decode_bytes: u64,
    /// Instructions that the engine executed for these tokens on all cores, shared likewise; 0: the core does not count them.
    pub decode_instructions: u64,
}

impl Outcome {
    /// Size of the encoded form, in bytes.
    pub const BYTES: usize = 72;

    /// The encoded form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.stop_reason as u32);
        writer.u32(self.prompt_tokens);
        writer.u32(self.reused_tokens);
        writer.u32(self.generated_tokens);
        writer.u32(self.context_used_tokens);
        writer.u32(self.context_tokens);
        writer.u64(self.prompt_ns);
        writer.u64(self.decode_ns);
        writer.u64(self.decode_bytes);
        writer.u64(self.decode_instructions);
        writer.u32(self.decode_passes);
        writer.u32(self.drafted_tokens);
        writer.u32(self.accepted_tokens);
        bytes
    }

    /// The inverse of [`Self::to_bytes`]; `None` if the stop reason is unknown or the last four bytes, which are spare, are not 0.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let outcome = Self {
            stop_reason: StopReason::from_number(reader.u32())?,
            prompt_tokens: reader.u32(),
            reused_tokens: reader.u32(),
            generated_tokens: reader.u32(),
            context_used_tokens: reader.u32(),
            context_tokens: reader.u32(),
            prompt_ns: reader.u64(),
            decode_ns: reader.u64(),
            decode_bytes: reader.u64(),
            decode_instructions: reader.u64(),
            decode_passes: reader.u32(),
            drafted_tokens: reader.u32(),
            accepted_tokens: reader.u32(),
        };
        (reader.u32() == 0).then_some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips() {
        let outcome = Outcome {
            stop_reason: StopReason::MaxTokens,
            prompt_tokens: 43,
            reused_tokens: 40,
            generated_tokens: 64,
            context_used_tokens: 107,
            context_tokens: 2048,
            prompt_ns: 1 << 40,
            decode_ns: 7,
            decode_passes: 30,
            drafted_tokens: 50,
            accepted_tokens: 33,
            decode_bytes: 1 << 35,
            decode_instructions: 1 << 36,
        };
        assert_eq!(Outcome::from_bytes(&outcome.to_bytes()), Some(outcome));
        assert_eq!(Outcome::from_bytes(&[0xFF; Outcome::BYTES]), None);
    }
}
