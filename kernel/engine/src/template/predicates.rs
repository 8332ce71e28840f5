//! Tests: `value is name(arguments)`.

use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;

use super::arguments::Values;
use super::error::Problem;
use super::machine::{Machine, invalid};
use super::operations::contains;
use super::value::Value;

/// Whether a test holds.
pub(super) fn holds(
    machine: &mut Machine<'_, '_>,
    name: &str,
    value: &Value,
    arguments: &Values<'_>,
) -> Result<bool, Problem> {
    let other = arguments.positional.first();
    machine.charge(value.bytes().saturating_add(other.map_or(0, Value::bytes)))?;
    let needed = || other.ok_or_else(|| Problem::Invalid(format!("the test \"{name}\" needs an argument")));
    Ok(match name {
        "defined" => !matches!(value, Value::Undefined),
        "undefined" => matches!(value, Value::Undefined),
        "none" => matches!(value, Value::None),
        "string" => matches!(value, Value::String(_)),
        "mapping" => matches!(value, Value::Mapping(_)),
        "boolean" => matches!(value, Value::Boolean(_)),
        "true" => matches!(value, Value::Boolean(true)),
        "false" => matches!(value, Value::Boolean(false)),
        "integer" => matches!(value, Value::Integer(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => matches!(value, Value::Integer(_) | Value::Float(_) | Value::Boolean(_)),
        "iterable" | "sequence" => value.length().is_some(),
        "callable" => matches!(value, Value::Macro(_) | Value::Function(_)),
        "odd" => remainder(name, value, 2)? == 1,
        "even" => remainder(name, value, 2)? == 0,
        "divisibleby" => match needed()?.as_integer() {
            Some(divisor) if divisor != 0 => remainder(name, value, divisor)? == 0,
            _ => return Err(Problem::Invalid(String::from("divisibleby needs a number that is not 0"))),
        },
        "eq" | "equalto" | "==" | "sameas" => value.equals(needed()?),
        "ne" | "!=" => !value.equals(needed()?),
        "lt" | "lessthan" | "<" => ordering(value, needed()?)?.is_lt(),
        "le" | "<=" => ordering(value, needed()?)?.is_le(),
        "gt" | "greaterthan" | ">" => ordering(value, needed()?)?.is_gt(),
        "ge" | ">=" => ordering(value, needed()?)?.is_ge(),
        "in" => contains(needed()?, value)?,
        "lower" | "upper" => {
            let Value::String(text) = value else { return invalid(name, value) };
            let is_wrong = |letter: char| if name == "lower" { letter.is_uppercase() } else { letter.is_lowercase() };
            text.chars().any(|letter| letter.is_lowercase() || letter.is_uppercase()) && !text.contains(is_wrong)
        }
        _ => return Err(Problem::Unsupported(format!("the test \"{name}\""))),
    })
}

fn remainder(name: &str, value: &Value, divisor: i64) -> Result<i64, Problem> {
    match value.as_integer().and_then(|number| number.checked_rem_euclid(divisor)) {
        Some(remainder) => Ok(remainder),
        None => invalid(name, value),
    }
}

fn ordering(value: &Value, other: &Value) -> Result<Ordering, Problem> {
    match value.compare(other) {
        Some(ordering) => Ok(ordering),
        None => invalid("ordering", value),
    }
}
