//! Methods of strings and mappings, as Python has them.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::Values;
use super::error::Problem;
use super::machine::Machine;
use super::value::{LoopState, Mapping, Value, get, is_space};

/// The parameters of a method that has not any number of them.
fn parameters(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "cycle" => return None,
        "get" => &["key", "default"],
        "strip" | "lstrip" | "rstrip" => &["chars"],
        "replace" => &["old", "new", "count"],
        "removeprefix" | "startswith" | "endswith" => &["prefix"],
        "removesuffix" => &["suffix"],
        "join" => &["iterable"],
        "split" | "rsplit" => &["sep", "maxsplit"],
        "find" | "count" => &["sub"],
        _ => &[],
    })
}

/// Calls a method.
pub(super) fn call(
    machine: &mut Machine<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &Values<'_>,
) -> Result<Value, Problem> {
    let found = match value {
        Value::String(text) => string_method(machine, text, name, arguments)?,
        Value::Mapping(mapping) => mapping_method(machine, mapping, name, arguments)?,
        Value::Loop(state) if name == "cycle" => cycle(state, arguments),
        _ => None,
    };
    let found = found.ok_or_else(|| Problem::Unsupported(format!("the method \"{name}\" of {}", value.kind())))?;
    if let Some(parameters) = parameters(name) {
        arguments.allow(name, parameters)?;
    }
    Ok(found)
}

fn mapping_method(
    machine: &mut Machine<'_, '_>,
    mapping: &Mapping,
    name: &str,
    arguments: &Values<'_>,
) -> Result<Option<Value>, Problem> {
    let mut items = Vec::new();
    match name {
        "get" => {
            let found = get(&mapping.entries, &arguments.required(0, "key")?).cloned();
            return Ok(Some(found.or_else(|| arguments.get(1, "default").cloned()).unwrap_or(Value::None)));
        }
        "keys" | "values" if machine.memory.expect(mapping.entries.len() * size_of::<Value>()).is_err() => {
            return Err(Problem::OutOfMemory);
        }
        "keys" => items.extend(mapping.entries.iter().map(|(key, _)| Value::String(Rc::clone(key)))),
        "values" => items.extend(mapping.entries.iter().map(|(_, value)| value.clone())),
        "items" => {
            for (key, value) in &mapping.entries {
                items.push(machine.list(Vec::from([Value::String(Rc::clone(key)), value.clone()]))?);
            }
        }
        _ => return Ok(None),
    }
    machine.list(items).map(Some)
}

fn cycle(state: &LoopState, arguments: &Values<'_>) -> Option<Value> {
    let position = state.index0.checked_rem(arguments.positional.len())?;
    arguments.positional.get(position).cloned()
}

fn string_method(
    machine: &mut Machine<'_, '_>,
    text: &str,
    name: &str,
    arguments: &Values<'_>,
) -> Result<Option<Value>, Problem> {
    // Reading it, and writing each letter in another case that may be three times as long.
    machine.charge(text.len().saturating_mul(4))?;
    let result = match name {
        "strip" => String::from(stripped(text, arguments, true, true)?),
        "lstrip" => String::from(stripped(text, arguments, true, false)?),
        "rstrip" => String::from(stripped(text, arguments, false, true)?),
        "upper" => text.chars().flat_map(char::to_uppercase).collect(),
        "lower" => text.to_lowercase(),
        "title" => title(text),
        "capitalize" => {
            let mut letters = text.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters.flat_map(char::to_lowercase)).collect()
        }
        "replace" => replaced(machine, text, arguments)?,
        "removeprefix" => {
            let prefix = arguments.required(0, "prefix")?;
            String::from(text.strip_prefix(&*prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let suffix = arguments.required(0, "suffix")?;
            String::from(text.strip_suffix(&*suffix).unwrap_or(text))
        }
        "join" => {
            let items = arguments.get(0, "iterable").cloned().unwrap_or(Value::Undefined);
            let separator = Values { positional: Vec::from([Value::string(text)]), named: Vec::new() };
            return super::filters::apply(machine, "join", &items, &separator).map(Some);
        }
        "split" | "rsplit" | "splitlines" => return split(machine, text, name, arguments).map(Some),
        _ => return question(text, name, arguments),
    };
    machine.text(result).map(Some)
}

/// Methods that do not give a string.
fn question(text: &str, name: &str, arguments: &Values<'_>) -> Result<Option<Value>, Problem> {
    let all = |is_wanted: fn(char) -> bool| Some(Value::Boolean(!text.is_empty() && text.chars().all(is_wanted)));
    Ok(match name {
        "startswith" => Some(Value::Boolean(any_affix(arguments, |affix| text.starts_with(affix))?)),
        "endswith" => Some(Value::Boolean(any_affix(arguments, |affix| text.ends_with(affix))?)),
        "find" => {
            let found = text.find(&*arguments.required(0, "sub")?);
            let characters = found.and_then(|at| text.get(..at)).map(|before| before.chars().count());
            Some(Value::Integer(characters.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)))
        }
        "count" => {
            let count = text.matches(&*arguments.required(0, "sub")?).count();
            Some(Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
        }
        "isdigit" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(is_space),
        "isupper" => Some(Value::Boolean(text.contains(char::is_uppercase) && !text.contains(char::is_lowercase))),
        "islower" => Some(Value::Boolean(text.contains(char::is_lowercase) && !text.contains(char::is_uppercase))),
        _ => None,
    })
}

/// Whether one of the strings that are given, alone or as a list, is an affix.
fn any_affix(arguments: &Values<'_>, is_affix: impl Fn(&str) -> bool) -> Result<bool, Problem> {
    if let Some(Value::List(list)) = arguments.get(0, "prefix") {
        return Ok(list.items.iter().any(|item| matches!(item, Value::String(affix) if is_affix(affix))));
    }
    Ok(is_affix(&arguments.required(0, "prefix")?))
}

fn stripped<'t>(text: &'t str, arguments: &Values<'_>, start: bool, end: bool) -> Result<&'t str, Problem> {
    let characters = arguments.string(0, "chars")?;
    let is_stripped = |character: char| match &characters {
        Some(characters) => characters.contains(character),
        None => is_space(character),
    };
    let text = if start { text.trim_start_matches(is_stripped) } else { text };
    Ok(if end { text.trim_end_matches(is_stripped) } else { text })
}

/// Each word with a capital at the start, the rest small.
fn title(text: &str) -> String {
    let mut titled = String::new();
    let mut is_in_word = false;
    for letter in text.chars() {
        if is_in_word {
            titled.extend(letter.to_lowercase());
        } else {
            titled.extend(letter.to_uppercase());
        }
        is_in_word = letter.is_lowercase() || letter.is_uppercase();
    }
    titled
}

fn replaced(machine: &mut Machine<'_, '_>, text: &str, arguments: &Values<'_>) -> Result<String, Problem> {
    let (old, new) = (arguments.required(0, "old")?, arguments.required(1, "new")?);
    let limit = arguments.integer(2, "count")?.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    // Charged before the memory is taken: a long replacement of something frequent.
    let count = text.matches(&*old).count().min(limit);
    machine.charge(new.len().saturating_mul(count))?;
    Ok(text.replacen(&*old, &new, limit))
}

fn split(machine: &mut Machine<'_, '_>, text: &str, name: &str, arguments: &Values<'_>) -> Result<Value, Problem> {
    let separator = if name == "splitlines" { None } else { arguments.string(0, "sep")? };
    let limit = arguments.integer(1, "maxsplit")?.and_then(|limit| usize::try_from(limit).ok());
    // A value and a string on the heap for each part.
    let parts = match separator.as_deref() {
        Some("") => 0,
        Some(separator) => text.matches(separator).count(),
        None => text.chars().filter(|character| is_space(*character)).count(),
    };
    machine.charge(parts.saturating_add(1).saturating_mul(3 * size_of::<Value>()).saturating_add(text.len()))?;
    let mut parts: Vec<&str> = match (name, separator.as_deref()) {
        (_, Some("")) => return Err(Problem::Invalid(String::from("the separator of a split is empty"))),
        ("splitlines", _) => text.lines().collect(),
        ("split", None) => split_words(text, limit.unwrap_or(usize::MAX)),
        ("split", Some(separator)) => {
            text.splitn(limit.map_or(usize::MAX, |it| it.saturating_add(1)), separator).collect()
        }
        (_, Some(separator)) => text.rsplitn(limit.map_or(usize::MAX, |it| it.saturating_add(1)), separator).collect(),
        (_, None) => return Err(Problem::Unsupported(String::from("rsplit without a separator"))),
    };
    if name == "rsplit" {
        parts.reverse();
    }
    machine.list(parts.into_iter().map(Value::string).collect())
}

/// The words between white space, at most `limit` of them and then the rest.
fn split_words(text: &str, limit: usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if words.len() == limit {
            words.push(rest);
            break;
        }
        let (word, after) = rest.split_at(rest.find(is_space).unwrap_or(rest.len()));
        words.push(word);
        rest = after.trim_start_matches(is_space);
    }
    words
}
