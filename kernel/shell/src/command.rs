//! Lines to commands.
//!
//! A line that starts with `/` is a command, one that starts with `//` a prompt that starts with `/`, anything else a
//! prompt as it stands.

mod parse;
mod score;

pub use parse::{CommandError, JsonError, parse};
pub use score::{Message, Role, ScoreRequest, write_messages};

use crate::nearest::nearest;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<'a> {
    /// The line is empty.
    Nothing,
    /// A message to the model.
    Prompt(&'a str),
    /// The list of commands.
    Help,
    /// What the machine does.
    Status,
    /// The memory map.
    Memory,
    /// Whether anything changed that must not.
    VerifyMemory,
    /// What can be seen of the machine.
    SelfTest,
    /// The traps of hardware, one by one.
    Traps,
    /// The time of a token.
    Bench(BenchSizes),
    /// The model card and the plan of the arena.
    Model,
    /// The models on the card.
    Models,
    /// Load another model.
    Load(&'a str),
    /// All settings.
    Settings,
    /// One setting.
    Setting(&'a str),
    /// Change a setting; the value is not checked yet.
    Set {
        /// Name of the setting.
        key: &'a str,
        /// Its new value.
        value: &'a str,
    },
    /// The system prompt that is set.
    ShowSystem,
    /// A new system prompt; empty: none.
    System(&'a str),
    /// Forget the conversation.
    Reset,
    /// The log.
    Log,
    /// Messages of MCP on the line instead of text.
    Mcp,
    /// Text on the line, as it is.
    Console,
    /// Reset the board.
    Reboot,
    /// Restart the engine with the model in memory.
    Restart,
    /// The token ids of a text.
    Tokens(Cow<'a, str>),
    /// The text of token ids.
    Detokenize(Vec<u32>),
    /// Completion of a text, without a chat template.
    Raw(Cow<'a, str>),
    /// Scores of each step.
    Score(Box<ScoreRequest>),
    /// The rendered chat template.
    Render(RenderSubject<'a>),
}

/// How much `/bench` computes in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchSizes {
    /// Tokens of the prompt, from 1.
    pub prompt_tokens: u32,
    /// Tokens that are generated.
    pub generated_tokens: u32,
}

impl BenchSizes {
    /// The most of each.
    pub const TOKENS_MAX: u32 = 512;
}

impl Default for BenchSizes {
    fn default() -> Self {
        Self { prompt_tokens: 64, generated_tokens: 16 }
    }
}

/// What the chat template is rendered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderSubject<'a> {
    /// The conversation so far.
    Conversation,
    /// The conversation and one more message of the user.
    Text(Cow<'a, str>),
    /// These messages.
    Messages(Vec<Message>),
}

/// What the table of commands knows about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandInfo {
    /// Name without the slash, at most [`NAME_BYTES_MAX`] bytes.
    pub name: &'static str,
    /// Its arguments, for people.
    pub arguments: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Longest name of a command, in bytes.
pub const NAME_BYTES_MAX: usize = 16;

const fn info(name: &'static str, arguments: &'static str, meaning: &'static str) -> CommandInfo {
    CommandInfo { name, arguments, meaning }
}

/// Every command, in the order of the help.
pub const COMMANDS: [CommandInfo; 21] = [
    info("help", "", "this list"),
    info("status", "", "model, engine, speed, temperature, faults"),
    info("mem", "[verify]", "memory map; verify: whether anything changed"),
    info("model", "", "model card and plan of the arena"),
    info("models", "", "models on the card, and which one is loaded"),
    info("load", "NAME | NUMBER", "load another model of the card, without a reboot"),
    info("set", "[KEY [VALUE]]", "show or change settings"),
    info("system", "[TEXT | -]", "show, set or (with -) remove the system prompt"),
    info("reset", "", "forget the conversation"),
    info("selftest", "[traps]", "what is seen of the board, and what fails on it"),
    info("bench", "[PROMPT [GEN]]", "time of a token, with clock and temperature"),
    info("log", "", "what was logged since the start"),
    info("mcp", "", "JSON messages (MCP) instead of text"),
    info("console", "", "text again, after /mcp"),
    info("restart", "", "restart the engine, the model stays in memory"),
    info("reboot", "", "reset the board"),
    info("raw", "TEXT", "continue TEXT without a chat template"),
    info("tokens", "TEXT", "token ids of TEXT, as JSON"),
    info("detokenize", "IDS", "text of token ids"),
    info("render", "[TEXT | JSON]", "the chat template, also of {\"messages\":[..]}"),
    info("score", "JSON", "ids and logits of each step, as JSON lines"),
];

/// Writes the list of commands.
///
/// # Errors
/// Those of `out`.
pub fn write_help(out: &mut dyn Write) -> fmt::Result {
    out.write_str("A line is a message to the model, except:\r\n")?;
    for command in &COMMANDS {
        write!(out, "  /{:<10} {:<14} {}\r\n", command.name, command.arguments, command.meaning)?;
    }
    out.write_str("  //TEXT                     a message that starts with a slash\r\n")?;
    out.write_str("Ctrl-C stops an answer. Up and down recall lines. TEXT in double quotes may hold\r\n")?;
    out.write_str("JSON escapes such as \\n (raw, tokens, render). Score takes {\"prompt\":TEXT or\r\n")?;
    out.write_str("\"ids\":[..] or \"messages\":[{\"role\",\"content\"}], \"forced\":[..], \"steps\":N,\r\n")?;
    out.write_str("\"top\":N, \"cores\":N, \"chunk\":N, \"session\":N}.\r\n")
}

/// What the name of a command that starts with `start` goes on with, as far as it is certain, is appended to `completion`;
/// `true` if the name is then complete and the only one.
pub(crate) fn complete(start: &str, completion: &mut dyn Write) -> bool {
    let mut rests = COMMANDS.iter().filter_map(|command| command.name.strip_prefix(start));
    let Some(first) = rests.next() else { return false };
    let mut shared = first;
    let mut is_only_one = true;
    for rest in rests {
        let length = shared.bytes().zip(rest.bytes()).take_while(|(left, right)| left == right).count();
        shared = shared.get(..length).unwrap_or("");
        is_only_one = false;
    }
    let _ = completion.write_str(shared);
    is_only_one
}

fn find(name: &str) -> Option<&'static CommandInfo> {
    COMMANDS.iter().find(|command| command.name == name)
}

fn nearest_command(name: &str) -> Option<&'static str> {
    nearest(name, COMMANDS.iter().map(|command| command.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn help_fits_the_screen_and_names_every_command() {
        let mut help = String::new();
        write_help(&mut help).unwrap();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for command in &COMMANDS {
            assert!(help.contains(&alloc::format!("/{} ", command.name)));
            assert!(command.name.len() <= NAME_BYTES_MAX);
        }
    }

    #[test]
    fn names_are_completed_as_far_as_they_are_certain() {
        let completed = |start: &str| {
            let mut completion = String::from(start);
            let is_only_one = complete(start, &mut completion);
            (completion, is_only_one)
        };
        assert_eq!(completed("hel"), ("help".into(), true));
        assert_eq!(completed("res"), ("res".into(), false));
        assert_eq!(completed("sy"), ("system".into(), true));
        assert_eq!(completed("s"), ("s".into(), false));
        assert_eq!(completed("q"), ("q".into(), false));
    }
}
