//! Filters: `value | name(arguments)`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::Values;
use super::error::Problem;
use super::machine::{Machine, invalid};
use super::value::{Value, is_space};
use super::{json, methods, operations, predicates};

/// Most spaces of indentation.
const INDENT_MAX: i64 = 64;

/// The parameters of a filter that has not any number of them.
fn parameters(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "map" | "select" | "reject" | "selectattr" | "rejectattr" => return None,
        "trim" => &["chars"],
        "replace" => &["old", "new", "count"],
        "default" | "d" => &["default_value", "boolean"],
        "join" => &["d", "attribute"],
        "tojson" => &["indent"],
        "int" => &["default"],
        "indent" => &["width", "first", "blank"],
        _ => &[],
    })
}

/// Applies a filter.
pub(super) fn apply(
    machine: &mut Machine<'_, '_>,
    name: &str,
    value: &Value,
    arguments: &Values<'_>,
) -> Result<Value, Problem> {
    if let Some(parameters) = parameters(name) {
        arguments.allow(name, parameters)?;
    }
    match name {
        "length" | "count" => match value.length() {
            Some(length) => Ok(Value::Integer(i64::try_from(length).unwrap_or(i64::MAX))),
            None => invalid(name, value),
        },
        "trim" => {
            let text = machine.printed(value)?;
            machine.charge(text.len())?;
            match arguments.string(0, "chars")? {
                Some(characters) => machine.text(String::from(text.trim_matches(|it| characters.contains(it)))),
                None => machine.text(String::from(text.trim_matches(is_space))),
            }
        }
        "upper" | "lower" | "capitalize" | "replace" => {
            let text = machine.printed(value)?;
            methods::call(machine, &Value::String(text), name, arguments)
        }
        "title" => {
            let text = machine.printed(value)?;
            machine.charge(text.len())?;
            machine.text(title(&text))
        }
        "string" | "safe" => machine.printed(value).map(Value::String),
        "default" | "d" => {
            let is_missing = matches!(value, Value::Undefined);
            let replaces_false = arguments.get(1, "boolean").is_some_and(Value::is_true) && !value.is_true();
            if !is_missing && !replaces_false {
                return Ok(value.clone());
            }
            Ok(arguments.get(0, "default_value").cloned().unwrap_or_else(|| Value::string("")))
        }
        "join" => join(machine, value, arguments),
        "tojson" => to_json(machine, value, arguments),
        "first" => Ok(machine.items(value, name)?.into_iter().next().unwrap_or(Value::Undefined)),
        "last" => Ok(machine.items(value, name)?.pop().unwrap_or(Value::Undefined)),
        "list" => {
            let items = machine.items(value, name)?;
            machine.list(items)
        }
        "reverse" => reverse(machine, value),
        "items" => match value {
            Value::Undefined => machine.list(Vec::new()),
            _ => methods::call(machine, value, name, arguments),
        },
        "unique" => unique(machine, value),
        "map" => map(machine, value, arguments),
        "select" | "reject" | "selectattr" | "rejectattr" => select(machine, name, value, arguments),
        "int" => Ok(Value::Integer(to_integer(value, arguments.integer(0, "default")?.unwrap_or(0)))),
        "abs" => match value {
            Value::Float(number) => Ok(Value::Float(number.abs())),
            _ => match value.as_integer().and_then(i64::checked_abs) {
                Some(number) => Ok(Value::Integer(number)),
                None => invalid(name, value),
            },
        },
        "indent" => indent(machine, value, arguments),
        _ => Err(Problem::Unsupported(format!("the filter \"{name}\""))),
    }
}

/// Each word with a capital at the start; unlike in Python's method of that name, an apostrophe does not end a word.
fn title(text: &str) -> String {
    let mut titled = String::new();
    let mut is_start = true;
    for letter in text.chars() {
        if is_start {
            titled.extend(letter.to_uppercase());
        } else {
            titled.extend(letter.to_lowercase());
        }
        is_start = is_space(letter) || matches!(letter, '-' | '(' | '{' | '[' | '<');
    }
    titled
}

fn join(machine: &mut Machine<'_, '_>, value: &Value, arguments: &Values<'_>) -> Result<Value, Problem> {
    let separator = arguments.string(0, "d")?.unwrap_or_default();
    let attribute = arguments.string(1, "attribute")?;
    let mut joined = String::new();
    for (index, item) in machine.items(value, "join")?.iter().enumerate() {
        let text = match &attribute {
            Some(attribute) => machine.printed(&operations::attribute(item, attribute)?)?,
            None => machine.printed(item)?,
        };
        machine.charge(separator.len().saturating_add(text.len()))?;
        machine.memory.append(&mut joined, if index == 0 { "" } else { &separator })?;
        machine.memory.append(&mut joined, &text)?;
    }
    machine.text(joined)
}

fn to_json(machine: &mut Machine<'_, '_>, value: &Value, arguments: &Values<'_>) -> Result<Value, Problem> {
    let width = arguments.integer(0, "indent")?;
    let indent = width.and_then(|width| usize::try_from(width.clamp(0, INDENT_MAX)).ok());
    // An escape makes six bytes of one; each value may be indented at the deepest level.
    let levels = usize::from(super::value::VALUE_DEPTH_MAX) + 1;
    machine.charge(value.bytes().saturating_mul(6 + indent.unwrap_or(0) * levels / size_of::<Value>() * 2))?;
    let mut text = String::new();
    match json::write(value, indent, &mut text) {
        Some(()) => machine.text(text),
        None => invalid("tojson", value),
    }
}

fn reverse(machine: &mut Machine<'_, '_>, value: &Value) -> Result<Value, Problem> {
    if let Value::String(text) = value {
        machine.charge(text.len().saturating_mul(2))?;
        return machine.text(text.chars().rev().collect());
    }
    let mut items = machine.items(value, "reverse")?;
    items.reverse();
    machine.list(items)
}

fn unique(machine: &mut Machine<'_, '_>, value: &Value) -> Result<Value, Problem> {
    let mut kept: Vec<Value> = Vec::new();
    for item in machine.items(value, "unique")? {
        let work = kept.iter().map(Value::bytes).fold(item.bytes(), usize::saturating_add);
        machine.charge(work)?;
        if !kept.iter().any(|other| other.equals(&item)) {
            machine.memory.push(&mut kept, item)?;
        }
    }
    machine.list(kept)
}

/// `map(attribute='name', default=…)` or `map('filter', arguments…)`
fn map(machine: &mut Machine<'_, '_>, value: &Value, arguments: &Values<'_>) -> Result<Value, Problem> {
    let attribute = if arguments.positional.is_empty() { arguments.string(0, "attribute")? } else { None };
    let mut mapped = Vec::new();
    for item in machine.items(value, "map")? {
        machine.charge(size_of::<Value>())?;
        let item = match &attribute {
            Some(attribute) => match (operations::attribute(&item, attribute)?, arguments.get(1, "default")) {
                (Value::Undefined, Some(default)) => default.clone(),
                (found, _) => found,
            },
            None => {
                let name = arguments.required(0, "name")?;
                machine.nested(|machine| apply(machine, &name, &item, &arguments.after(1)))?
            }
        };
        machine.memory.push(&mut mapped, item)?;
    }
    machine.list(mapped)
}

/// `select('test', …)` and its relatives: the items, or those with an attribute, for which a test holds or not.
fn select(machine: &mut Machine<'_, '_>, name: &str, value: &Value, arguments: &Values<'_>) -> Result<Value, Problem> {
    let attribute = if name.ends_with("attr") { Some(arguments.required(0, "attribute")?) } else { None };
    let arguments = arguments.after(usize::from(attribute.is_some()));
    let test = arguments.string(0, "test")?;
    let test_arguments = arguments.after(1);
    let wanted = name.starts_with("select");
    let mut selected = Vec::new();
    for item in machine.items(value, name)? {
        let tested = match &attribute {
            Some(attribute) => operations::attribute(&item, attribute)?,
            None => item.clone(),
        };
        machine.charge(size_of::<Value>())?;
        let holds = match &test {
            Some(test) => predicates::holds(machine, test, &tested, &test_arguments)?,
            None => tested.is_true(),
        };
        if holds == wanted {
            machine.memory.push(&mut selected, item)?;
        }
    }
    machine.list(selected)
}

fn to_integer(value: &Value, default: i64) -> i64 {
    match value {
        Value::Float(number) => *number as i64,
        Value::String(text) => text.trim_matches(is_space).parse().unwrap_or(default),
        _ => value.as_integer().unwrap_or(default),
    }
}

fn indent(machine: &mut Machine<'_, '_>, value: &Value, arguments: &Values<'_>) -> Result<Value, Problem> {
    let text = machine.printed(value)?;
    let prefix = match arguments.get(0, "width") {
        Some(Value::String(prefix)) => prefix.to_string(),
        _ => {
            let width = arguments.integer(0, "width")?.unwrap_or(4).clamp(0, INDENT_MAX);
            core::iter::repeat_n(' ', usize::try_from(width).unwrap_or(0)).collect()
        }
    };
    let indents_first = arguments.get(1, "first").is_some_and(Value::is_true);
    let indents_blank = arguments.get(2, "blank").is_some_and(Value::is_true);
    let line_count = text.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
    machine.charge(text.len().saturating_add(prefix.len().saturating_mul(line_count)))?;
    let mut indented = String::new();
    for (index, line) in text.split('\n').enumerate() {
        indented.push_str(if index == 0 { "" } else { "\n" });
        let is_indented = if index == 0 { indents_first } else { indents_blank || !line.is_empty() };
        indented.push_str(if is_indented { &prefix } else { "" });
        indented.push_str(line);
    }
    machine.text(indented)
}
