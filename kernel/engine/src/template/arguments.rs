//! The values of a call's arguments.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::error::Problem;
use super::value::Value;

/// Arguments of a function, method, filter or test.
#[derive(Debug, Default)]
pub(super) struct Values<'s> {
    pub positional: Vec<Value>,
    pub named: Vec<(&'s str, Value)>,
}

impl Values<'_> {
    /// The argument at that place or of that name.
    pub(super) fn get(&self, place: usize, name: &str) -> Option<&Value> {
        let by_name = || self.named.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        self.positional.get(place).or_else(by_name)
    }

    /// The same if it is a string; `None` also for none.
    pub(super) fn string(&self, place: usize, name: &str) -> Result<Option<Rc<str>>, Problem> {
        match self.get(place, name) {
            None | Some(Value::None) => Ok(None),
            Some(Value::String(text)) => Ok(Some(Rc::clone(text))),
            Some(other) => Err(Problem::Invalid(format!("the argument \"{name}\" cannot be {}", other.kind()))),
        }
    }

    /// The same if it is an integer; `None` also for none.
    pub(super) fn integer(&self, place: usize, name: &str) -> Result<Option<i64>, Problem> {
        match self.get(place, name) {
            None | Some(Value::None) => Ok(None),
            Some(other) => match other.as_integer() {
                Some(number) => Ok(Some(number)),
                None => Err(Problem::Invalid(format!("the argument \"{name}\" cannot be {}", other.kind()))),
            },
        }
    }

    /// The string that must be there.
    pub(super) fn required(&self, place: usize, name: &str) -> Result<Rc<str>, Problem> {
        self.string(place, name)?.ok_or_else(|| Problem::Invalid(format!("the argument \"{name}\" is missing")))
    }

    /// Refuses what is not among the parameters of a filter or method: leaving it out would render something else. An argument that
    /// is false or none asks for nothing.
    pub(super) fn allow(&self, callee: &str, parameters: &[&str]) -> Result<(), Problem> {
        if self.positional.iter().skip(parameters.len()).any(Value::is_true) {
            let count = parameters.len().saturating_add(1);
            return Err(Problem::Unsupported(format!("an argument {count} of \"{callee}\"")));
        }
        match self.named.iter().find(|(name, value)| value.is_true() && !parameters.contains(name)) {
            Some((name, _)) => Err(Problem::Unsupported(format!("the argument \"{name}\" of \"{callee}\""))),
            None => Ok(()),
        }
    }

    /// The arguments behind the first ones.
    pub(super) fn after(&self, count: usize) -> Self {
        let positional = self.positional.get(count..).unwrap_or_default().to_vec();
        Self { positional, named: self.named.clone() }
    }
}
