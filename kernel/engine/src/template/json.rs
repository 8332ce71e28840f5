//! The filter `tojson`: as Python's `json.dumps` with `ensure_ascii=False`, which is what chat templates get.

use alloc::format;
use alloc::string::{String, ToString};

use super::value::Value;

/// Appends a value as JSON; `indent` spaces per level on lines of their own, or all on one line. `None` if it has no JSON form.
pub(super) fn write(value: &Value, indent: Option<usize>, text: &mut String) -> Option<()> {
    write_at(value, indent, 0, text)
}

fn write_at(value: &Value, indent: Option<usize>, level: usize, text: &mut String) -> Option<()> {
    match value {
        Value::None => text.push_str("null"),
        Value::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => text.push_str(&value.to_string()),
        Value::Float(value) => text.push_str(&format!("{value:?}")),
        Value::String(value) => write_string(value, text),
        Value::List(list) => {
            let items = list.items.iter();
            write_items("[]", items, indent, level, text, |item, text| write_at(item, indent, level + 1, text))?;
        }
        Value::Mapping(mapping) => {
            let entries = mapping.entries.iter();
            write_items("{}", entries, indent, level, text, |(key, value), text| {
                write_string(key, text);
                text.push_str(": ");
                write_at(value, indent, level + 1, text)
            })?;
        }
        _ => return None,
    }
    Some(())
}

fn write_items<T>(
    brackets: &str,
    items: impl ExactSizeIterator<Item = T>,
    indent: Option<usize>,
    level: usize,
    text: &mut String,
    mut write: impl FnMut(T, &mut String) -> Option<()>,
) -> Option<()> {
    let (open, close) = brackets.split_at(1);
    let is_empty = items.len() == 0;
    text.push_str(open);
    for (index, item) in items.enumerate() {
        let separator = if indent.is_some() { "," } else { ", " };
        text.push_str(if index == 0 { "" } else { separator });
        break_line(indent, level + 1, text);
        write(item, text)?;
    }
    if !is_empty {
        break_line(indent, level, text);
    }
    text.push_str(close);
    Some(())
}

fn break_line(indent: Option<usize>, level: usize, text: &mut String) {
    if let Some(width) = indent {
        text.push('\n');
        text.extend(core::iter::repeat_n(' ', width * level));
    }
}

fn write_string(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{C}' => text.push_str("\\f"),
            '\0'..='\u{1F}' => text.push_str(&format!("\\u{:04x}", character as u32)),
            _ => text.push(character),
        }
    }
    text.push('"');
}
