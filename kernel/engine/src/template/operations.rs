//! Operators, attributes, indices and slices.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::error::Problem;
use super::machine::{Machine, invalid};
use super::syntax::Operator;
use super::value::{LoopState, Value, get};

impl Machine<'_, '_> {
    /// Whether a comparison holds; `None` if the operator is none.
    pub(super) fn compare(&mut self, operator: Operator, left: &Value, right: &Value) -> Result<Option<bool>, Problem> {
        if operator.level() != super::syntax::COMPARISON_LEVEL {
            return Ok(None);
        }
        self.charge(left.bytes().saturating_add(right.bytes()))?;
        let ordered = |wanted: fn(Ordering) -> bool| match left.compare(right) {
            Some(ordering) => Ok(wanted(ordering)),
            None => invalid("ordering", if left.compare(left).is_none() { left } else { right }),
        };
        Ok(Some(match operator {
            Operator::Equal => left.equals(right),
            Operator::NotEqual => !left.equals(right),
            Operator::Less => ordered(Ordering::is_lt)?,
            Operator::LessOrEqual => ordered(Ordering::is_le)?,
            Operator::Greater => ordered(Ordering::is_gt)?,
            Operator::GreaterOrEqual => ordered(Ordering::is_ge)?,
            Operator::In => contains(right, left)?,
            Operator::NotIn => !contains(right, left)?,
            _ => return Ok(None),
        }))
    }

    /// The result of an operator that is no comparison.
    pub(super) fn calculate(&mut self, operator: Operator, left: &Value, right: &Value) -> Result<Value, Problem> {
        match (operator, left, right) {
            (Operator::Concatenate, ..) => {
                let (first, second) = (self.printed(left)?, self.printed(right)?);
                self.joined(&first, &second)
            }
            (Operator::Add, Value::String(first), Value::String(second)) => self.joined(first, second),
            (Operator::Add, Value::List(first), Value::List(second)) => {
                self.charge(first.items.len().saturating_add(second.items.len()).saturating_mul(size_of::<Value>()))?;
                let items = first.items.iter().chain(&second.items).cloned().collect();
                self.list(items)
            }
            (Operator::Multiply, Value::String(text), Value::Integer(count))
            | (Operator::Multiply, Value::Integer(count), Value::String(text)) => {
                let count = usize::try_from(*count).unwrap_or(0);
                self.charge(text.len().saturating_mul(count))?;
                self.text(text.repeat(count))
            }
            _ => match (left.as_integer(), right.as_integer()) {
                (Some(first), Some(second)) => integer_result(operator, first, second),
                _ => float_result(operator, left, right),
            },
        }
    }

    fn joined(&mut self, first: &str, second: &str) -> Result<Value, Problem> {
        // Charged before the memory is taken.
        self.charge(first.len().saturating_add(second.len()))?;
        let mut text = String::with_capacity(first.len() + second.len());
        text.push_str(first);
        text.push_str(second);
        self.text(text)
    }

    /// What a loop over a value goes through; `what` names the operation, for errors.
    pub(super) fn items(&mut self, value: &Value, what: &str) -> Result<Vec<Value>, Problem> {
        // A character becomes a value of its own, with a string on the heap.
        self.charge(value.length().unwrap_or(0).saturating_mul(2 * size_of::<Value>()))?;
        match copied_items(value) {
            Some(items) => Ok(items),
            None => invalid(what, value),
        }
    }

    /// `value[index]`
    pub(super) fn item(&mut self, value: &Value, index: &Value) -> Result<Value, Problem> {
        match (value, index) {
            (Value::Mapping(_) | Value::Namespace(_) | Value::Loop(_), Value::String(key)) => attribute(value, key),
            (Value::Undefined | Value::None, _) => invalid("an index", value),
            (Value::List(list), _) => {
                let position = index.as_integer().and_then(|index| position(index, list.items.len()));
                Ok(position.and_then(|position| list.items.get(position)).cloned().unwrap_or(Value::Undefined))
            }
            (Value::String(text), _) => {
                self.charge(text.len())?;
                let position = index.as_integer().and_then(|index| position(index, text.chars().count()));
                match position.and_then(|position| text.chars().nth(position)) {
                    Some(character) => self.text(String::from(character)),
                    None => Ok(Value::Undefined),
                }
            }
            _ => Ok(Value::Undefined),
        }
    }

    /// `value[start:stop:step]`
    pub(super) fn slice(&mut self, value: &Value, bounds: [Option<Value>; 3]) -> Result<Value, Problem> {
        let mut numbers = [None; 3];
        for (number, bound) in numbers.iter_mut().zip(&bounds) {
            *number = match bound {
                None | Some(Value::None) => None,
                Some(bound) => match bound.as_integer() {
                    Some(bound) => Some(bound),
                    None => return invalid("a slice bound", bound),
                },
            };
        }
        let [start, stop, step] = numbers;
        self.charge(value.bytes())?;
        match value {
            Value::List(list) => {
                self.charge(list.items.len().saturating_mul(size_of::<Value>()))?;
                let positions = slice_positions(list.items.len(), start, stop, step)?;
                let items = positions.into_iter().filter_map(|position| list.items.get(position)).cloned().collect();
                self.list(items)
            }
            Value::String(text) => {
                // Four bytes a character and eight a position.
                self.charge(text.len().saturating_mul(12))?;
                let characters: Vec<char> = text.chars().collect();
                let positions = slice_positions(characters.len(), start, stop, step)?;
                let sliced = positions.into_iter().filter_map(|position| characters.get(position)).collect();
                self.text(sliced)
            }
            _ => invalid("a slice", value),
        }
    }
}

/// `value.name`
pub(super) fn attribute(value: &Value, name: &str) -> Result<Value, Problem> {
    let found = match value {
        Value::Undefined | Value::None => {
            return Err(Problem::Invalid(format!("{} has no attribute \"{name}\"", value.kind())));
        }
        Value::Mapping(mapping) => get(&mapping.entries, name).cloned(),
        Value::Namespace(entries) => get(&entries.borrow(), name).cloned(),
        Value::Loop(state) => loop_attribute(state, name),
        _ => None,
    };
    Ok(found.unwrap_or(Value::Undefined))
}

fn loop_attribute(state: &LoopState, name: &str) -> Option<Value> {
    let count = |count: usize| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let left = state.length.saturating_sub(state.index0);
    Some(match name {
        "index" => count(state.index0.saturating_add(1)),
        "index0" => count(state.index0),
        "revindex" => count(left),
        "revindex0" => count(left.saturating_sub(1)),
        "first" => Value::Boolean(state.index0 == 0),
        "last" => Value::Boolean(left == 1),
        "length" => count(state.length),
        "previtem" => state.previous.clone(),
        "nextitem" => state.next.clone(),
        "depth" => Value::Integer(state.level),
        "depth0" => Value::Integer(state.level.saturating_sub(1)),
        _ => return None,
    })
}

/// Copies of the items of a list, the keys of a mapping or the characters of a string. Nothing has no items: `tools` is none here, as
/// the `transformers` library passes it, and templates that go through it unasked are written for engines that leave it undefined.
fn copied_items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Undefined | Value::None => Some(Vec::new()),
        Value::List(list) => Some(list.items.clone()),
        Value::Mapping(mapping) => Some(mapping.entries.iter().map(|(key, _)| Value::String(key.clone())).collect()),
        Value::String(text) => {
            let mut utf8 = [0; 4];
            Some(text.chars().map(|character| Value::string(character.encode_utf8(&mut utf8))).collect())
        }
        _ => None,
    }
}

pub(super) fn negative(value: &Value) -> Result<Value, Problem> {
    match value {
        Value::Float(number) => Ok(Value::Float(-number)),
        _ => match value.as_integer().and_then(i64::checked_neg) {
            Some(number) => Ok(Value::Integer(number)),
            None => invalid("a minus sign", value),
        },
    }
}

pub(super) fn contains(container: &Value, value: &Value) -> Result<bool, Problem> {
    match (container, value) {
        (Value::Undefined, _) => Ok(false),
        (Value::String(text), Value::String(part)) => Ok(text.contains(&**part)),
        (Value::List(list), _) => Ok(list.items.iter().any(|item| item.equals(value))),
        (Value::Mapping(mapping), Value::String(key)) => Ok(get(&mapping.entries, key).is_some()),
        (Value::Mapping(_), _) => Ok(false),
        (Value::String(_), _) => invalid("looking for it in a string", value),
        _ => invalid("looking for a value in it", container),
    }
}

fn integer_result(operator: Operator, first: i64, second: i64) -> Result<Value, Problem> {
    let result = match operator {
        Operator::Add => first.checked_add(second),
        Operator::Subtract => first.checked_sub(second),
        Operator::Multiply => first.checked_mul(second),
        Operator::Divide if second != 0 => return Ok(Value::Float(first as f64 / second as f64)),
        // Python rounds towards minus infinity.
        Operator::FloorDivide => first.checked_div_euclid(second).map(|quotient| {
            let is_inexact = first.checked_rem_euclid(second) != Some(0);
            if second < 0 && is_inexact { quotient.saturating_sub(1) } else { quotient }
        }),
        Operator::Remainder => first
            .checked_rem_euclid(second)
            .map(|remainder| if second < 0 && remainder != 0 { remainder.saturating_add(second) } else { remainder }),
        _ => None,
    };
    match result {
        Some(number) => Ok(Value::Integer(number)),
        None => Err(Problem::Invalid(String::from("a calculation overflows or divides by zero"))),
    }
}

fn float_result(operator: Operator, left: &Value, right: &Value) -> Result<Value, Problem> {
    let number = |value: &Value| match value {
        Value::Float(number) => Some(*number),
        _ => value.as_integer().map(|number| number as f64),
    };
    let (Some(first), Some(second)) = (number(left), number(right)) else {
        let what = format!("{operator:?} does not work on {} and {}", left.kind(), right.kind());
        return Err(Problem::Invalid(what));
    };
    match operator {
        Operator::Add => Ok(Value::Float(first + second)),
        Operator::Subtract => Ok(Value::Float(first - second)),
        Operator::Multiply => Ok(Value::Float(first * second)),
        Operator::Divide if second != 0.0 => Ok(Value::Float(first / second)),
        Operator::Divide => Err(Problem::Invalid(String::from("a calculation divides by zero"))),
        _ => Err(Problem::Unsupported(String::from("whole-number division of floats"))),
    }
}

/// An index, counted from the end if negative, as a position.
fn position(index: i64, length: usize) -> Option<usize> {
    let from_end = if index < 0 { i64::try_from(length).ok()? } else { 0 };
    usize::try_from(index.checked_add(from_end)?).ok().filter(|position| *position < length)
}

/// The positions that a slice takes, as Python has it.
fn slice_positions(
    length: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Vec<usize>, Problem> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Problem::Invalid(String::from("the step of a slice is 0")));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: i64| if bound < 0 { bound.saturating_add(length).max(low) } else { bound.min(high) };
    let (first, end) = if step > 0 { (low, high) } else { (high, low) };
    let (mut at, stop) = (start.map_or(first, bound), stop.map_or(end, bound));
    let mut positions = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        positions.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    Ok(positions)
}
