//! The table of settings.

use super::value::SettingError;
use super::{PATH_BYTES_MAX, SYSTEM_BYTES_MAX, TEMPLATE_BYTES_MAX};
use crate::nearest::nearest;
use core::fmt;

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// With the next request.
    NextRequest,
    /// When a model is loaded: by `/load`, or at the next boot.
    NextLoad,
    /// At the next boot: it belongs into `barellama.txt`.
    Boot,
}

/// What values a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number from the first to the second.
    Integer(u64, u64),
    /// A number from the first to the second.
    Decimal(f32, f32),
    /// A text of so many bytes.
    Text(usize),
    /// Stop strings, separated by `|`.
    StopStrings,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(least, u64::MAX) => write!(formatter, "{least} or more"),
            Self::Integer(least, most) => write!(formatter, "{least} to {most}"),
            Self::Decimal(least, most) => write!(formatter, "{least} to {most}"),
            Self::Text(bytes) => write!(formatter, "{bytes} bytes"),
            Self::StopStrings => formatter.write_str("a|b|c"),
            Self::Choice(words) => words.iter().enumerate().try_for_each(|(index, word)| {
                let or = if index == 0 { "" } else { "|" };
                write!(formatter, "{or}{word}")
            }),
        }
    }
}

/// What the table knows about a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SettingInfo {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// When a change takes effect.
    pub applies: Applies,
    /// What it does, in at most 31 characters.
    pub meaning: &'static str,
    pub(super) key: Key,
}

/// The settings by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Temperature,
    TopK,
    TopP,
    MinP,
    RepeatPenalty,
    RepeatLast,
    Seed,
    MaxTokens,
    Stop,
    System,
    ChatTemplate,
    Context,
    Sessions,
    Cores,
    Chunk,
    Model,
    Baud,
    StepDeadline,
    RequestDeadline,
    Autorun,
    Speculation,
    KvCache,
}

const fn now(key: Key, name: &'static str, kind: Kind, meaning: &'static str) -> SettingInfo {
    SettingInfo { name, kind, applies: Applies::NextRequest, meaning, key }
}

const fn load(key: Key, name: &'static str, kind: Kind, meaning: &'static str) -> SettingInfo {
    SettingInfo { name, kind, applies: Applies::NextLoad, meaning, key }
}

const fn boot(key: Key, name: &'static str, kind: Kind, meaning: &'static str) -> SettingInfo {
    SettingInfo { name, kind, applies: Applies::Boot, meaning, key }
}

const TOKENS: Kind = Kind::Integer(0, 1 << 20);
const DAY_MS: u64 = 86_400_000;

/// In the order of [`barellama_abi::request::Speculation`].
pub(super) const SPECULATION: [&str; 3] = ["off", "on", "auto"];
/// In the order of [`barellama_abi::boot_info::KvFormat`].
pub(super) const KV_CACHE: [&str; 2] = ["f16", "q8_0"];

static ALL: [SettingInfo; 22] = [
    now(Key::Temperature, "temperature", Kind::Decimal(0.0, 5.0), "0: greedy, higher: more random"),
    now(Key::TopK, "top_k", Kind::Integer(0, 1 << 20), "keep the k best tokens, 0: all"),
    now(Key::TopP, "top_p", Kind::Decimal(0.0, 1.0), "sum of probabilities, 1: all"),
    now(Key::MinP, "min_p", Kind::Decimal(0.0, 1.0), "share of the best's, 0: all"),
    now(Key::RepeatPenalty, "repeat_penalty", Kind::Decimal(0.1, 10.0), "1: none, 1.1: a little"),
    now(Key::RepeatLast, "repeat_last", Kind::Integer(0, 4096), "tokens the penalty looks back"),
    now(Key::Seed, "seed", Kind::Integer(0, u64::MAX), "same seed, same answer"),
    now(Key::MaxTokens, "max_tokens", TOKENS, "longest answer, 0: what fits"),
    now(Key::Stop, "stop", Kind::StopStrings, "texts that end an answer"),
    now(Key::System, "system", Kind::Text(SYSTEM_BYTES_MAX), "system prompt"),
    now(Key::ChatTemplate, "chat_template", Kind::Text(TEMPLATE_BYTES_MAX), "auto, none, a name, Jinja, FILE"),
    now(Key::Cores, "cores", Kind::Integer(0, 4), "cores to compute on, 0: all"),
    now(Key::Chunk, "chunk", Kind::Integer(0, 4096), "prompt tokens at once, 0: auto"),
    now(Key::Speculation, "speculation", Kind::Choice(&SPECULATION), "drafts, same answer sooner"),
    now(Key::StepDeadline, "step_deadline_ms", Kind::Integer(0, DAY_MS), "longest step, 0: auto"),
    now(Key::RequestDeadline, "request_deadline_ms", Kind::Integer(0, DAY_MS), "longest request, 0: none"),
    load(Key::Context, "context", TOKENS, "context length, 0: the model's"),
    load(Key::Sessions, "sessions", Kind::Integer(1, 16), "conversations at once"),
    load(Key::KvCache, "kv_cache", Kind::Choice(&KV_CACHE), "q8_0: about half the memory"),
    boot(Key::Model, "model", Kind::Text(PATH_BYTES_MAX), "file, empty: the first *.gguf"),
    boot(Key::Baud, "baud", Kind::Integer(9600, 4_000_000), "serial line, bit/s"),
    boot(Key::Autorun, "autorun", Kind::Text(PATH_BYTES_MAX), "prompts to run, then halt"),
];

/// Every setting, in the order of the table.
#[must_use]
pub fn all() -> &'static [SettingInfo] {
    &ALL
}

pub(super) fn find(name: &str) -> Result<&'static SettingInfo, SettingError> {
    let unknown = || SettingError::UnknownKey(nearest(name, ALL.iter().map(|info| info.name)));
    ALL.iter().find(|info| info.name == name).ok_or_else(unknown)
}
