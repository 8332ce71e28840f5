//! What a person can set, on the console or in `barellama.txt`.
//!
//! One table holds the name, the range and the meaning of every setting; reading, checking, showing and the help all come
//! from it. The default is greedy choice without a penalty: the same question gives the same answer, on every board and
//! in every test. A set temperature makes answers vary with `seed`.

mod info;
mod value;

pub use info::{Applies, Kind, SettingInfo, all};
pub use value::{SettingError, TemplateFileError};

use barellama_abi::boot_info::KvFormat;
use barellama_abi::request::{
    RecordKind, RequestHeader, RequestKind, RequestWriter, Sampling, SlotFull, Speculation, TEMPLATE_NAMES,
};
use core::fmt::{self, Write};
use heapless::{String, Vec};
use info::Key;

/// Longest system prompt, in bytes.
pub const SYSTEM_BYTES_MAX: usize = 2048;
/// Longest chat template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 8192;
/// Longest path of a file on the card, in bytes.
pub const PATH_BYTES_MAX: usize = 128;
/// Most stop strings.
pub const STOP_STRINGS_MAX: usize = 8;
/// Longest stop string, in bytes.
pub const STOP_BYTES_MAX: usize = 64;

/// The stop strings.
pub type StopStrings = Vec<String<STOP_BYTES_MAX>, STOP_STRINGS_MAX>;

/// Who sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `barellama.txt`, before the model is loaded.
    File,
    /// A person at the console: what applies at boot only is refused.
    Console,
}

/// All settings, with about 20 KiB of text: keep it in a static. [`Settings::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Most tokens of an answer; 0: as many as the context holds.
    pub max_tokens: u32,
    /// Texts that end an answer.
    pub stop: StopStrings,
    /// The system prompt; empty: none.
    pub system: String<SYSTEM_BYTES_MAX>,
    /// Chat template: one of [`TEMPLATE_NAMES`], Jinja, or a file on the card; empty: the model's own.
    pub chat_template: String<TEMPLATE_BYTES_MAX>,
    /// What is in the file that [`Self::chat_template`] names; whoever can read files sets it.
    template_text: String<TEMPLATE_BYTES_MAX>,
    /// Context length in tokens; 0: the model's own, as far as it fits.
    pub context: u32,
    /// KV caches to plan for.
    pub sessions: u32,
    /// Cores to compute on; 0: all.
    pub cores: u32,
    /// Prompt tokens per chunk; 0: the engine's choice.
    pub chunk: u32,
    /// The model file on the card; empty: the first `*.gguf`.
    pub model: String<PATH_BYTES_MAX>,
    /// Bit rate of the serial line.
    pub baud: u32,
    /// Longest step of the engine, in ms; 0: by the measured speed.
    pub step_deadline_ms: u32,
    /// Longest request, in ms; 0: no limit.
    pub request_deadline_ms: u32,
    /// Whether tokens are drafted.
    pub speculation: Speculation,
    /// What keys and values are kept as.
    pub kv_cache: KvFormat,
    /// File of prompts to run after the start; empty: none.
    pub autorun: String<PATH_BYTES_MAX>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sampling: Sampling::DEFAULT,
            max_tokens: 512,
            stop: Vec::new(),
            system: String::new(),
            chat_template: String::new(),
            template_text: String::new(),
            context: 0,
            sessions: 1,
            cores: 0,
            chunk: 0,
            model: String::new(),
            baud: 115_200,
            step_deadline_ms: 0,
            request_deadline_ms: 0,
            speculation: Speculation::Auto,
            kv_cache: KvFormat::F16,
            autorun: String::new(),
        }
    }

    /// Sets one setting from its text form. A text may be in double quotes, with the escapes `\n`, `\t`, `\"`, `\\`; stop
    /// strings are separated by `|` (`\|` in quotes is a bar).
    ///
    /// # Errors
    /// See [`SettingError`]; nothing changes then.
    pub fn set(&mut self, key: &str, value: &str, source: Source) -> Result<&'static SettingInfo, SettingError> {
        let info = info::find(key)?;
        if source == Source::Console && info.applies == Applies::Boot {
            return Err(SettingError::OnlyAtBoot(info));
        }
        self.store(info, value)?;
        Ok(info)
    }

    fn store(&mut self, info: &'static SettingInfo, value: &str) -> Result<(), SettingError> {
        match info.key {
            Key::Temperature => self.sampling.temperature = value::decimal(info, value)?,
            Key::TopK => self.sampling.top_k = value::integer(info, value)?,
            Key::TopP => self.sampling.top_p = value::decimal(info, value)?,
            Key::MinP => self.sampling.min_p = value::decimal(info, value)?,
            Key::RepeatPenalty => self.sampling.repeat_penalty = value::decimal(info, value)?,
            Key::RepeatLast => self.sampling.repeat_last = value::integer(info, value)?,
            Key::Seed => self.sampling.seed = value::integer(info, value)?,
            Key::MaxTokens => self.max_tokens = value::integer(info, value)?,
            Key::Stop => self.stop = value::stop_strings(info, value)?,
            Key::System => value::text(info, value, &mut self.system)?,
            Key::ChatTemplate => {
                value::text(info, value, &mut self.chat_template)?;
                self.template_text.clear();
            }
            Key::Context => self.context = value::integer(info, value)?,
            Key::Sessions => self.sessions = value::integer(info, value)?,
            Key::Cores => self.cores = value::integer(info, value)?,
            Key::Chunk => self.chunk = value::integer(info, value)?,
            Key::Model => value::text(info, value, &mut self.model)?,
            Key::Baud => self.baud = value::integer(info, value)?,
            Key::StepDeadline => self.step_deadline_ms = value::integer(info, value)?,
            Key::RequestDeadline => self.request_deadline_ms = value::integer(info, value)?,
            Key::Autorun => value::text(info, value, &mut self.autorun)?,
            Key::Speculation => {
                self.speculation = Speculation::from_number(value::choice(info, value)?).unwrap_or_default();
            }
            Key::KvCache => self.kv_cache = KvFormat::from_number(value::choice(info, value)?).unwrap_or_default(),
        }
        Ok(())
    }

    /// Writes the value of a setting in a form that [`Self::set`] reads.
    ///
    /// # Errors
    /// [`SettingError::UnknownKey`]. Errors of `out` are ignored.
    pub fn write_value(&self, key: &str, out: &mut dyn Write) -> Result<(), SettingError> {
        let info = info::find(key)?;
        let _ = self.write(info, out);
        Ok(())
    }

    pub(crate) fn write(&self, info: &SettingInfo, out: &mut dyn Write) -> fmt::Result {
        match info.key {
            Key::Temperature => write!(out, "{}", self.sampling.temperature),
            Key::TopK => write!(out, "{}", self.sampling.top_k),
            Key::TopP => write!(out, "{}", self.sampling.top_p),
            Key::MinP => write!(out, "{}", self.sampling.min_p),
            Key::RepeatPenalty => write!(out, "{}", self.sampling.repeat_penalty),
            Key::RepeatLast => write!(out, "{}", self.sampling.repeat_last),
            Key::Seed => write!(out, "{}", self.sampling.seed),
            Key::MaxTokens => write!(out, "{}", self.max_tokens),
            Key::Stop => value::write_stop_strings(&self.stop, out),
            Key::System => value::write_text(&self.system, out),
            Key::ChatTemplate => value::write_text(&self.chat_template, out),
            Key::Context => write!(out, "{}", self.context),
            Key::Sessions => write!(out, "{}", self.sessions),
            Key::Cores => write!(out, "{}", self.cores),
            Key::Chunk => write!(out, "{}", self.chunk),
            Key::Model => value::write_text(&self.model, out),
            Key::Baud => write!(out, "{}", self.baud),
            Key::StepDeadline => write!(out, "{}", self.step_deadline_ms),
            Key::RequestDeadline => write!(out, "{}", self.request_deadline_ms),
            Key::Autorun => value::write_text(&self.autorun, out),
            Key::Speculation => out.write_str(info::SPECULATION[self.speculation as usize]),
            Key::KvCache => out.write_str(info::KV_CACHE[self.kv_cache as usize]),
        }
    }

    /// The fixed part of a request with these settings, for any session.
    #[must_use]
    pub fn request_header(&self, id: u32, kind: RequestKind) -> RequestHeader {
        RequestHeader {
            id,
            kind,
            max_tokens: self.max_tokens,
            cores: self.cores,
            chunk_tokens: self.chunk,
            speculation: self.speculation,
            sampling: self.sampling,
            ..RequestHeader::default()
        }
    }

    /// Writes the stop strings and the chat template, if one is set.
    ///
    /// # Errors
    /// [`SlotFull`] if they do not fit.
    pub fn write_records(&self, writer: &mut RequestWriter<'_>) -> Result<(), SlotFull> {
        self.stop.iter().try_for_each(|stop| writer.record(RecordKind::Stop, stop.as_bytes()))?;
        let template = if self.template_file().is_some() { &self.template_text } else { &self.chat_template };
        if template.is_empty() {
            return Ok(());
        }
        writer.record(RecordKind::ChatTemplate, template.as_bytes())
    }

    /// The file on the card that holds the chat template, if the setting is neither a known name nor Jinja.
    #[must_use]
    pub fn template_file(&self) -> Option<&str> {
        let value = self.chat_template.as_str();
        let is_file = !value.is_empty() && !value.contains(['{', '\n']) && !TEMPLATE_NAMES.contains(&value);
        is_file.then_some(value)
    }

    /// Sets what is in that file.
    ///
    /// # Errors
    /// [`TemplateFileError`]; the model's own template is used then.
    pub fn set_template_text(&mut self, bytes: &[u8]) -> Result<(), TemplateFileError> {
        self.template_text.clear();
        let stored = match core::str::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Err(TemplateFileError::Empty),
            Ok(text) => self.template_text.push_str(text).map_err(|_| TemplateFileError::TooLong),
            Err(_) => Err(TemplateFileError::NotUtf8),
        };
        if stored.is_err() {
            self.forget_template();
        }
        stored
    }

    /// Back to the model's own chat template.
    pub fn forget_template(&mut self) {
        self.chat_template.clear();
        self.template_text.clear();
    }
}

#[cfg(test)]
mod tests;
