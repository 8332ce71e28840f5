//! From the line to the command, or to the reason why not.

use super::score::messages_from_json;
use super::{BenchSizes, Command, CommandInfo, RenderSubject, ScoreRequest, find, nearest_command};
use crate::harmless::Harmless;
use crate::json::BoundsError;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Most token ids of `/detokenize`.
const IDS_MAX: usize = 16_384;
/// So much of an unknown name is repeated to the person.
const SHOWN_NAME_CHARACTERS: usize = 24;

/// Why a line is not a command.
#[derive(Debug)]
pub enum CommandError<'a> {
    /// There is no command of that name.
    Unknown {
        /// What was typed.
        name: &'a str,
        /// A command that is spelled almost like it.
        nearest: Option<&'static str>,
    },
    /// The command needs an argument.
    MissingArgument(&'static CommandInfo),
    /// The command takes no argument.
    UnexpectedArgument(&'static CommandInfo),
    /// The JSON argument cannot be used.
    Json(&'static CommandInfo, JsonError),
    /// The argument is not a list of token ids.
    BadIds(&'static CommandInfo),
    /// The arguments are not sizes of a bench.
    BadSizes(&'static CommandInfo),
    /// The kernel's heap has no room for the argument.
    OutOfMemory(&'static CommandInfo),
}

/// Why a JSON argument cannot be used.
#[derive(Debug)]
pub enum JsonError {
    /// It is too large; it was not read.
    Bounds(BoundsError),
    /// It is not JSON, or members have wrong names or types.
    Syntax(serde_json::Error),
    /// It makes no sense.
    Meaning(&'static str),
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounds(error) => error.fmt(formatter),
            // It repeats names of members, whatever their escapes stand for.
            Self::Syntax(error) => Harmless(error).fmt(formatter),
            Self::Meaning(reason) => formatter.write_str(reason),
        }
    }
}

impl fmt::Display for CommandError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest } => {
                write!(formatter, "There is no command /{}. ", Shortened(name))?;
                match nearest {
                    Some(nearest) => write!(formatter, "Did you mean /{nearest}?"),
                    None => formatter.write_str("See /help; a message that starts with / is typed as //."),
                }
            }
            Self::MissingArgument(command) => {
                write!(formatter, "Usage: /{} {} ({})", command.name, command.arguments, command.meaning)
            }
            Self::UnexpectedArgument(command) => write!(formatter, "/{} takes no argument.", command.name),
            Self::Json(command, error) => write!(formatter, "/{}: {error}.", command.name),
            Self::BadIds(command) => {
                write!(formatter, "/{} takes up to {IDS_MAX} token ids, as in 1, 2, 3.", command.name)
            }
            Self::BadSizes(command) => {
                write!(
                    formatter,
                    "/{} takes up to {} prompt tokens and tokens to generate.",
                    command.name,
                    BenchSizes::TOKENS_MAX
                )
            }
            Self::OutOfMemory(command) => write!(formatter, "/{}: too large for the kernel's memory.", command.name),
        }
    }
}

struct Shortened<'a>(&'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_NAME_CHARACTERS).and_then(|(at, _)| self.0.get(..at)) {
            Some(start) => write!(formatter, "{start}..."),
            None => formatter.write_str(self.0),
        }
    }
}

/// Says what a line asks for.
///
/// # Errors
/// See [`CommandError`]; it displays as one line for people.
pub fn parse(line: &str) -> Result<Command<'_>, CommandError<'_>> {
    if line.trim().is_empty() {
        return Ok(Command::Nothing);
    }
    let Some(body) = line.strip_prefix('/') else {
        return Ok(Command::Prompt(line));
    };
    if body.starts_with('/') {
        return Ok(Command::Prompt(body));
    }
    let (name, argument) = body.split_once(' ').unwrap_or((body, ""));
    let name = name.trim_end();
    let command = find(name).ok_or_else(|| CommandError::Unknown { name, nearest: nearest_command(name) })?;
    match command.name {
        "set" => Ok(parse_set(argument.trim())),
        "system" => Ok(parse_system(argument.trim())),
        "mem" => parse_word(command, argument, "verify", Command::Memory, Command::VerifyMemory),
        "selftest" => parse_word(command, argument, "traps", Command::SelfTest, Command::Traps),
        "bench" => parse_bench(command, argument),
        "load" => parse_load(command, argument.trim()),
        "tokens" => Ok(Command::Tokens(required_text(command, argument)?)),
        "raw" => Ok(Command::Raw(required_text(command, argument)?)),
        "detokenize" => parse_ids(command, argument),
        "render" => parse_render(command, argument),
        "score" => parse_score(command, argument),
        _ => parse_plain(command, argument),
    }
}

fn parse_plain<'a>(command: &'static CommandInfo, argument: &str) -> Result<Command<'a>, CommandError<'a>> {
    if !argument.trim().is_empty() {
        return Err(CommandError::UnexpectedArgument(command));
    }
    Ok(match command.name {
        "status" => Command::Status,
        "model" => Command::Model,
        "models" => Command::Models,
        "reset" => Command::Reset,
        "log" => Command::Log,
        "mcp" => Command::Mcp,
        "console" => Command::Console,
        "restart" => Command::Restart,
        "reboot" => Command::Reboot,
        _ => Command::Help,
    })
}

/// `KEY VALUE` or `KEY = VALUE`.
fn parse_set(argument: &str) -> Command<'_> {
    let end = argument.find(|character: char| character.is_whitespace() || character == '=').unwrap_or(argument.len());
    let (key, rest) = argument.split_at(end);
    let rest = rest.trim_start();
    let (value, has_value) = match rest.strip_prefix('=') {
        Some(value) => (value.trim(), true),
        None => (rest, !rest.is_empty()),
    };
    match (key.is_empty(), has_value) {
        (true, false) => Command::Settings,
        (_, false) => Command::Setting(key),
        (_, true) => Command::Set { key, value },
    }
}

fn parse_system(argument: &str) -> Command<'_> {
    match argument {
        "" => Command::ShowSystem,
        "-" => Command::System(""),
        text => Command::System(text),
    }
}

/// One of two commands: without an argument, or with the one word that is known.
fn parse_word<'a>(
    command: &'static CommandInfo,
    argument: &'a str,
    word: &str,
    plain: Command<'a>,
    with_word: Command<'a>,
) -> Result<Command<'a>, CommandError<'a>> {
    match argument.trim() {
        "" => Ok(plain),
        found if found == word => Ok(with_word),
        _ => Err(CommandError::MissingArgument(command)),
    }
}

/// `PROMPT GENERATED`, both or the first or none.
fn parse_bench<'a>(command: &'static CommandInfo, argument: &'a str) -> Result<Command<'a>, CommandError<'a>> {
    let mut sizes = BenchSizes::default();
    let mut words = argument.split_whitespace();
    for (size, least) in [(&mut sizes.prompt_tokens, 1), (&mut sizes.generated_tokens, 0)] {
        let Some(word) = words.next() else { continue };
        let number = word.parse().ok().filter(|number| (least..=BenchSizes::TOKENS_MAX).contains(number));
        *size = number.ok_or(CommandError::BadSizes(command))?;
    }
    match words.next() {
        None => Ok(Command::Bench(sizes)),
        Some(_) => Err(CommandError::BadSizes(command)),
    }
}

/// A name with blanks may stand in quotes.
fn parse_load<'a>(command: &'static CommandInfo, argument: &'a str) -> Result<Command<'a>, CommandError<'a>> {
    let name = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(argument);
    if name.is_empty() { Err(CommandError::MissingArgument(command)) } else { Ok(Command::Load(name)) }
}

fn parse_ids<'a>(command: &'static CommandInfo, argument: &str) -> Result<Command<'a>, CommandError<'a>> {
    let is_separator = |character: char| character.is_whitespace() || matches!(character, ',' | '[' | ']');
    let words = || argument.split(is_separator).filter(|word| !word.is_empty());
    match words().count() {
        0 => return Err(CommandError::MissingArgument(command)),
        1..=IDS_MAX => {}
        _ => return Err(CommandError::BadIds(command)),
    }
    let mut ids = Vec::new();
    ids.try_reserve_exact(words().count()).map_err(|_| CommandError::OutOfMemory(command))?;
    for word in words() {
        ids.push(word.parse().map_err(|_| CommandError::BadIds(command))?);
    }
    Ok(Command::Detokenize(ids))
}

fn parse_render<'a>(command: &'static CommandInfo, argument: &'a str) -> Result<Command<'a>, CommandError<'a>> {
    let trimmed = argument.trim();
    let subject = if trimmed.is_empty() {
        RenderSubject::Conversation
    } else if trimmed.starts_with('{') {
        RenderSubject::Messages(messages_from_json(trimmed).map_err(|error| CommandError::Json(command, error))?)
    } else {
        RenderSubject::Text(text(argument))
    };
    Ok(Command::Render(subject))
}

fn parse_score<'a>(command: &'static CommandInfo, argument: &'a str) -> Result<Command<'a>, CommandError<'a>> {
    if argument.trim().is_empty() {
        return Err(CommandError::MissingArgument(command));
    }
    let request = ScoreRequest::from_json(argument).map_err(|error| CommandError::Json(command, error))?;
    Ok(Command::Score(Box::new(request)))
}

fn required_text<'a>(command: &'static CommandInfo, argument: &'a str) -> Result<Cow<'a, str>, CommandError<'a>> {
    if argument.is_empty() { Err(CommandError::MissingArgument(command)) } else { Ok(text(argument)) }
}

/// The text as it stands; or, if it is a JSON string, the string's value: a console line cannot hold a line break.
fn text(argument: &str) -> Cow<'_, str> {
    if !argument.starts_with('"') {
        return Cow::Borrowed(argument);
    }
    serde_json::from_str::<String>(argument).map_or(Cow::Borrowed(argument), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Message, Role};
    use crate::test_random::Random;
    use alloc::string::ToString;
    use alloc::vec;

    fn error(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn prompts_stay_as_they_are() {
        assert_eq!(parse(" What? ").unwrap(), Command::Prompt(" What? "));
        assert_eq!(parse("//etc/passwd").unwrap(), Command::Prompt("/etc/passwd"));
        assert_eq!(parse("{\"a\":1}").unwrap(), Command::Prompt("{\"a\":1}"));
        assert_eq!(parse("   ").unwrap(), Command::Nothing);
    }

    #[test]
    fn plain_commands_take_no_argument() {
        for (line, command) in [
            ("/help", Command::Help),
            ("/status ", Command::Status),
            ("/mem", Command::Memory),
            ("/model", Command::Model),
            ("/models", Command::Models),
            ("/reset", Command::Reset),
            ("/log", Command::Log),
            ("/mcp ", Command::Mcp),
            ("/console", Command::Console),
            ("/restart", Command::Restart),
            ("/reboot", Command::Reboot),
        ] {
            assert_eq!(parse(line).unwrap(), command);
        }
        assert_eq!(error("/reboot now"), "/reboot takes no argument.");
        assert_eq!(error("/mcp now"), "/mcp takes no argument.");
    }

    #[test]
    fn every_command_of_the_table_is_known_to_the_parser() {
        for command in &crate::command::COMMANDS {
            let line = alloc::format!("/{}", command.name);
            let is_help = matches!(parse(&line), Ok(Command::Help));
            assert_eq!(is_help, command.name == "help", "{line}");
        }
    }

    #[test]
    fn set_shows_or_changes() {
        assert_eq!(parse("/set").unwrap(), Command::Settings);
        assert_eq!(parse("/set seed ").unwrap(), Command::Setting("seed"));
        let set = |key, value| Command::Set { key, value };
        assert_eq!(parse("/set seed 5").unwrap(), set("seed", "5"));
        assert_eq!(parse("/set stop = \"a b\"").unwrap(), set("stop", "\"a b\""));
        assert_eq!(parse("/set system=").unwrap(), set("system", ""));
    }

    #[test]
    fn system_shows_sets_and_clears() {
        assert_eq!(parse("/system").unwrap(), Command::ShowSystem);
        assert_eq!(parse("/system Be brief.").unwrap(), Command::System("Be brief."));
        assert_eq!(parse("/system -").unwrap(), Command::System(""));
    }

    #[test]
    fn some_commands_know_one_word() {
        assert_eq!(parse("/mem verify ").unwrap(), Command::VerifyMemory);
        assert_eq!(parse("/selftest").unwrap(), Command::SelfTest);
        assert_eq!(parse("/selftest traps").unwrap(), Command::Traps);
        assert!(error("/mem verfy").starts_with("Usage: /mem [verify]"));
    }

    #[test]
    fn bench_takes_two_sizes() {
        let bench = |prompt_tokens, generated_tokens| Command::Bench(BenchSizes { prompt_tokens, generated_tokens });
        assert_eq!(parse("/bench").unwrap(), bench(64, 16));
        assert_eq!(parse("/bench 8").unwrap(), bench(8, 16));
        assert_eq!(parse("/bench 512 0").unwrap(), bench(512, 0));
        for line in ["/bench 0", "/bench 513", "/bench 8 8 8", "/bench eight", "/bench -1"] {
            assert_eq!(error(line), "/bench takes up to 512 prompt tokens and tokens to generate.");
        }
    }

    #[test]
    fn load_takes_a_name_with_blanks_or_a_number() {
        assert_eq!(parse("/load  2 ").unwrap(), Command::Load("2"));
        assert_eq!(parse("/load my model.gguf").unwrap(), Command::Load("my model.gguf"));
        assert_eq!(parse("/load \"my model.gguf\"").unwrap(), Command::Load("my model.gguf"));
        assert!(error("/load").starts_with("Usage: /load NAME"));
    }

    #[test]
    fn texts_are_exact_or_json_strings() {
        assert_eq!(parse("/tokens  a ").unwrap(), Command::Tokens(" a ".into()));
        assert_eq!(parse(r#"/raw "a\nb""#).unwrap(), Command::Raw("a\nb".into()));
        assert_eq!(parse(r#"/raw "a" and "b""#).unwrap(), Command::Raw(r#""a" and "b""#.into()));
        assert_eq!(error("/tokens"), "Usage: /tokens TEXT (token ids of TEXT, as JSON)");
    }

    #[test]
    fn ids_are_read_in_any_list_form() {
        assert_eq!(parse("/detokenize 1 2,3").unwrap(), Command::Detokenize(vec![1, 2, 3]));
        assert_eq!(parse("/detokenize [1, 2]").unwrap(), Command::Detokenize(vec![1, 2]));
        assert!(error("/detokenize 1 x").contains("token ids"));
        assert!(error(&["/detokenize ", &"1 ".repeat(20_000)].concat()).contains("16384"));
    }

    #[test]
    fn render_takes_text_messages_or_nothing() {
        assert_eq!(parse("/render").unwrap(), Command::Render(RenderSubject::Conversation));
        assert_eq!(parse("/render Hi").unwrap(), Command::Render(RenderSubject::Text("Hi".into())));
        let messages = vec![Message { role: Role::User, content: "Hi".into() }];
        let line = r#"/render {"messages":[{"role":"user","content":"Hi"}]}"#;
        assert_eq!(parse(line).unwrap(), Command::Render(RenderSubject::Messages(messages)));
        assert!(error("/render {").starts_with("/render: "));
    }

    #[test]
    fn score_is_typed() {
        let Command::Score(score) = parse(r#"/score {"prompt":"a","steps":2}"#).unwrap() else { panic!() };
        assert_eq!((score.prompt.as_deref(), score.steps), (Some("a"), 2));
        assert!(error("/score").starts_with("Usage: /score JSON"));
    }

    #[test]
    fn unknown_commands_name_the_nearest() {
        assert_eq!(error("/hlep"), "There is no command /hlep. Did you mean /help?");
        assert_eq!(error("/STATUS"), "There is no command /STATUS. Did you mean /status?");
        assert!(error("/usr/bin/env does what?").contains("typed as //"));
        assert!(error(&["/", &"ü".repeat(3000)].concat()).len() < 200);
    }

    #[test]
    fn random_lines_never_panic() {
        let words = [
            "/", "/set", "/score", "/render", "{", "}", "\"", ":", "[", ",", "ids", " ", "\\", "1", "ü", "/tokens",
            "\\u", "d8",
        ];
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            let line: String = (0..random.below(14)).map(|_| random.pick(&words)).collect();
            if let Err(error) = parse(&line) {
                let text = error.to_string();
                assert!(!text.is_empty() && !text.contains('\n'));
            }
        }
    }
}
