//! The values that templates work with, and how they read as text: as Python prints them.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::cmp::Ordering;
use core::fmt::Write as _;

/// Deepest nesting of lists and mappings.
pub(super) const VALUE_DEPTH_MAX: u8 = 16;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Undefined,
    None,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(Rc<str>),
    List(Rc<List>),
    Mapping(Rc<Mapping>),
    Namespace(Rc<RefCell<Entries>>),
    Loop(Rc<LoopState>),
    /// A macro of the template, by its number.
    Macro(usize),
    Function(Function),
}

/// Keys with their values, in the order of insertion.
pub(super) type Entries = Vec<(Rc<str>, Value)>;

/// A list or tuple.
#[derive(Debug)]
pub(super) struct List {
    depth: u8,
    pub items: Vec<Value>,
}

/// A mapping with strings as keys.
#[derive(Debug)]
pub(super) struct Mapping {
    depth: u8,
    pub entries: Entries,
}

/// The variable `loop`.
#[derive(Debug)]
pub(super) struct LoopState {
    pub index0: usize,
    pub length: usize,
    /// Nesting of loops, from 1 on.
    pub level: i64,
    pub previous: Value,
    pub next: Value,
}

/// Functions that every template can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Namespace,
    Dict,
    RaiseException,
}

/// A value that may not stand in a list or mapping, or is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CannotNest;

impl Value {
    pub(super) fn string(text: &str) -> Self {
        Self::String(Rc::from(text))
    }

    pub(super) fn list(items: Vec<Self>) -> Result<Self, CannotNest> {
        let depth = depth_around(items.iter())?;
        Ok(Self::List(Rc::new(List { depth, items })))
    }

    pub(super) fn mapping(entries: Entries) -> Result<Self, CannotNest> {
        let depth = depth_around(entries.iter().map(|(_, value)| value))?;
        Ok(Self::Mapping(Rc::new(Mapping { depth, entries })))
    }

    /// Nesting of lists and mappings. What could hold itself may not be nested at all: values are counted, not traced.
    pub(super) fn depth(&self) -> Result<u8, CannotNest> {
        match self {
            Self::List(list) => Ok(list.depth),
            Self::Mapping(mapping) => Ok(mapping.depth),
            Self::Namespace(_) | Self::Loop(_) => Err(CannotNest),
            _ => Ok(0),
        }
    }

    /// What the value is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined => "an undefined value",
            Self::None => "none",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
            Self::Namespace(_) => "a namespace",
            Self::Loop(_) => "the loop",
            Self::Macro(_) => "a macro",
            Self::Function(_) => "a function",
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined | Self::None => false,
            Self::Boolean(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Mapping(mapping) => !mapping.entries.is_empty(),
            Self::Namespace(_) | Self::Loop(_) | Self::Macro(_) | Self::Function(_) => true,
        }
    }

    /// Number of characters or elements.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Undefined => Some(0),
            Self::String(text) => Some(text.chars().count()),
            Self::List(list) => Some(list.items.len()),
            Self::Mapping(mapping) => Some(mapping.entries.len()),
            _ => None,
        }
    }

    /// Number of entries that looking up a key goes through.
    pub(super) fn entry_count(&self) -> usize {
        match self {
            Self::Mapping(mapping) => mapping.entries.len(),
            Self::Namespace(entries) => entries.borrow().len(),
            _ => 0,
        }
    }

    /// Work of reading the value as a whole, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::List(list) => list.items.iter().map(Self::bytes).fold(size_of::<Self>(), usize::saturating_add),
            Self::Mapping(mapping) => {
                let entries = mapping.entries.iter().map(|(key, value)| key.len().saturating_add(value.bytes()));
                entries.fold(size_of::<Self>(), usize::saturating_add)
            }
            _ => size_of::<Self>(),
        }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Boolean(value) => Some(i64::from(*value)),
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::None, Self::None) => true,
            (Self::String(first), Self::String(second)) => first == second,
            (Self::List(first), Self::List(second)) => {
                first.items.len() == second.items.len()
                    && first.items.iter().zip(&second.items).all(|(first, second)| first.equals(second))
            }
            (Self::Mapping(first), Self::Mapping(second)) => {
                let has = |(key, value): &(Rc<str>, Self)| get(&second.entries, key).is_some_and(|it| it.equals(value));
                first.entries.len() == second.entries.len() && first.entries.iter().all(has)
            }
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// The order of two numbers or two strings.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::String(first), Self::String(second)) => Some(first.cmp(second)),
            (Self::Integer(first), Self::Integer(second)) => Some(first.cmp(second)),
            _ => self.as_number()?.partial_cmp(&other.as_number()?),
        }
    }

    /// The value as Python's `str` prints it.
    pub(super) fn write(&self, text: &mut String) {
        match self {
            Self::Undefined => {}
            Self::String(value) => text.push_str(value),
            _ => self.write_literal(text),
        }
    }

    /// The value as Python's `repr` prints it.
    fn write_literal(&self, text: &mut String) {
        match self {
            Self::Undefined => text.push_str("Undefined"),
            Self::None => text.push_str("None"),
            Self::Boolean(value) => text.push_str(if *value { "True" } else { "False" }),
            Self::Integer(value) => text.push_str(&value.to_string()),
            Self::Float(value) => text.push_str(&format!("{value:?}")),
            Self::String(value) => write_quoted(value, text),
            Self::List(list) => write_sequence(text, "[]", list.items.iter(), |item, text| item.write_literal(text)),
            Self::Mapping(mapping) => write_sequence(text, "{}", mapping.entries.iter(), |(key, value), text| {
                write_quoted(key, text);
                text.push_str(": ");
                value.write_literal(text);
            }),
            Self::Namespace(_) | Self::Loop(_) | Self::Macro(_) | Self::Function(_) => {
                text.push('<');
                text.push_str(self.kind());
                text.push('>');
            }
        }
    }
}

/// The value under a key.
pub(super) fn get<'e>(entries: &'e Entries, key: &str) -> Option<&'e Value> {
    entries.iter().find(|(own, _)| &**own == key).map(|(_, value)| value)
}

/// Puts a value under a key.
pub(super) fn put(entries: &mut Entries, key: &str, value: Value) {
    match entries.iter_mut().find(|(own, _)| &**own == key) {
        Some((_, own)) => *own = value,
        None => entries.push((Rc::from(key), value)),
    }
}

/// What Python's `str.strip` takes away.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&character)
}

fn depth_around<'v>(values: impl Iterator<Item = &'v Value>) -> Result<u8, CannotNest> {
    let mut deepest = 0;
    for value in values {
        deepest = deepest.max(value.depth()?);
    }
    if deepest < VALUE_DEPTH_MAX { Ok(deepest + 1) } else { Err(CannotNest) }
}

fn write_sequence<T>(
    text: &mut String,
    brackets: &str,
    items: impl Iterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    let (open, close) = brackets.split_at(1);
    text.push_str(open);
    for (index, item) in items.enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        write(item, text);
    }
    text.push_str(close);
}

/// A string literal as Python prints it: in single quotes unless that needs an escape that double quotes do not.
fn write_quoted(value: &str, text: &mut String) {
    let quote = if value.contains('\'') && !value.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for character in value.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            _ if character == quote => {
                text.push('\\');
                text.push(quote);
            }
            _ if character.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{:02x}", character as u32);
            }
            _ => text.push(character),
        }
    }
    text.push(quote);
}
