//! The text forms of values.

use super::info::{Kind, SettingInfo};
use super::{STOP_BYTES_MAX, STOP_STRINGS_MAX, StopStrings, TEMPLATE_BYTES_MAX};
use core::fmt::{self, Write};
use heapless::String;

/// Why a setting was not changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingError {
    /// There is no such setting; holds one that is spelled almost like it.
    UnknownKey(Option<&'static str>),
    /// The value is no number of the right kind.
    NotANumber(&'static SettingInfo),
    /// The number is out of range.
    OutOfRange(&'static SettingInfo),
    /// The text is too long.
    TooLong(&'static SettingInfo),
    /// There are too many stop strings, or one is too long.
    StopStrings,
    /// A quoted text does not end, goes on behind its end, or has an unknown escape.
    BadQuotes(&'static SettingInfo),
    /// It applies at boot only.
    OnlyAtBoot(&'static SettingInfo),
}

impl fmt::Display for SettingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(Some(nearest)) => write!(formatter, "there is no such setting; did you mean {nearest}?"),
            Self::UnknownKey(None) => formatter.write_str("there is no such setting; /set lists them"),
            Self::NotANumber(info) => write!(formatter, "{} is a number, {}", info.name, info.kind),
            Self::OutOfRange(info) => write!(formatter, "{} must be {}", info.name, info.kind),
            Self::TooLong(info) => write!(formatter, "{} is at most {} long", info.name, info.kind),
            Self::StopStrings => {
                write!(formatter, "stop is at most {STOP_STRINGS_MAX} texts of {STOP_BYTES_MAX} bytes, separated by |")
            }
            Self::BadQuotes(info) => {
                write!(formatter, "{}: a quoted text ends with \" and has only \\n \\t \\\" \\\\ \\|", info.name)
            }
            Self::OnlyAtBoot(info) if info.name == "model" => {
                formatter.write_str("model applies at boot only: set it in barellama.txt; /load changes the model now")
            }
            Self::OnlyAtBoot(info) => {
                write!(formatter, "{} applies at boot only: set it in barellama.txt", info.name)
            }
        }
    }
}

/// Why a file is no chat template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateFileError {
    /// There is nothing in it.
    Empty,
    /// It is longer than [`TEMPLATE_BYTES_MAX`].
    TooLong,
    /// It is no text.
    NotUtf8,
}

impl fmt::Display for TemplateFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("the file is empty"),
            Self::TooLong => write!(formatter, "the file is longer than {TEMPLATE_BYTES_MAX} bytes"),
            Self::NotUtf8 => formatter.write_str("the file is not UTF-8"),
        }
    }
}

pub(super) fn integer<T: TryFrom<u64>>(info: &'static SettingInfo, value: &str) -> Result<T, SettingError> {
    let number = value.parse::<u64>().map_err(|error| match error.kind() {
        core::num::IntErrorKind::PosOverflow => SettingError::OutOfRange(info),
        _ => SettingError::NotANumber(info),
    })?;
    let is_in_range = matches!(info.kind, Kind::Integer(least, most) if (least..=most).contains(&number));
    T::try_from(number).ok().filter(|_| is_in_range).ok_or(SettingError::OutOfRange(info))
}

/// Index of the word in the choice.
pub(super) fn choice(info: &'static SettingInfo, value: &str) -> Result<u32, SettingError> {
    let Kind::Choice(words) = info.kind else { return Err(SettingError::OutOfRange(info)) };
    (0..).zip(words).find(|(_, word)| **word == value).map(|(index, _)| index).ok_or(SettingError::OutOfRange(info))
}

pub(super) fn decimal(info: &'static SettingInfo, value: &str) -> Result<f32, SettingError> {
    let number = value.parse::<f32>().map_err(|_| SettingError::NotANumber(info))?;
    // Not a number and the infinities are in no range.
    let is_in_range = matches!(info.kind, Kind::Decimal(least, most) if (least..=most).contains(&number));
    // Adding zero makes -0 a plain 0.
    if is_in_range { Ok(number + 0.0) } else { Err(SettingError::OutOfRange(info)) }
}

pub(super) fn text<const N: usize>(
    info: &'static SettingInfo,
    value: &str,
    destination: &mut String<N>,
) -> Result<(), SettingError> {
    // Twice, so that a bad value leaves the old one: first to count, then to copy.
    let length = characters(info, value).try_fold(0, |length, item| Ok(length + item?.character.len_utf8()))?;
    if length > N {
        return Err(SettingError::TooLong(info));
    }
    destination.clear();
    for item in characters(info, value) {
        destination.push(item?.character).map_err(|_| SettingError::TooLong(info))?;
    }
    Ok(())
}

pub(super) fn stop_strings(info: &'static SettingInfo, value: &str) -> Result<StopStrings, SettingError> {
    let mut stops = StopStrings::new();
    let mut stop = String::new();
    for item in characters(info, value) {
        let item = item?;
        if item.character == '|' && !item.is_escaped {
            push_stop(&mut stops, &stop)?;
            stop.clear();
        } else {
            stop.push(item.character).map_err(|_| SettingError::StopStrings)?;
        }
    }
    push_stop(&mut stops, &stop)?;
    Ok(stops)
}

fn push_stop(stops: &mut StopStrings, stop: &String<STOP_BYTES_MAX>) -> Result<(), SettingError> {
    // An empty stop string would end every answer.
    if stop.is_empty() { Ok(()) } else { stops.push(stop.clone()).map_err(|_| SettingError::StopStrings) }
}

/// A character of a value.
struct Item {
    character: char,
    is_escaped: bool,
}

/// The characters of a value, its quotes and escapes taken away.
fn characters<'v>(
    info: &'static SettingInfo,
    value: &'v str,
) -> impl Iterator<Item = Result<Item, SettingError>> + use<'v> {
    let bad = move || SettingError::BadQuotes(info);
    let is_quoted = value.starts_with('"');
    let mut rest = value.chars();
    if is_quoted {
        rest.next();
    }
    let mut has_ended = false;
    core::iter::from_fn(move || {
        let character = match rest.next() {
            Some(character) if !has_ended => character,
            None if is_quoted && !has_ended => {
                has_ended = true;
                return Some(Err(bad()));
            }
            _ => return None,
        };
        match character {
            '"' if is_quoted => {
                has_ended = true;
                if rest.as_str().is_empty() { None } else { Some(Err(bad())) }
            }
            '\\' if is_quoted => Some(unescaped(rest.next()).ok_or_else(bad)),
            character => Some(Ok(Item { character, is_escaped: false })),
        }
    })
}

fn unescaped(character: Option<char>) -> Option<Item> {
    let character = match character? {
        'n' => '\n',
        't' => '\t',
        same @ ('"' | '\\' | '|') => same,
        _ => return None,
    };
    Some(Item { character, is_escaped: true })
}

pub(super) fn write_text(text: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    write_escaped(text, "", out)?;
    out.write_char('"')
}

pub(super) fn write_stop_strings(stops: &StopStrings, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    for (index, stop) in stops.iter().enumerate() {
        if index > 0 {
            out.write_char('|')?;
        }
        write_escaped(stop, "|", out)?;
    }
    out.write_char('"')
}

fn write_escaped(text: &str, also_escaped: &str, out: &mut dyn Write) -> fmt::Result {
    text.chars().try_for_each(|character| match character {
        '\n' => out.write_str("\\n"),
        '\t' => out.write_str("\\t"),
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        other if also_escaped.contains(other) => write!(out, "\\{other}"),
        other => out.write_char(other),
    })
}
