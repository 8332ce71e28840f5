//! The state of a rendering: variables, output and what it may still use up.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::Problem;
use super::memory::Memory;
use super::syntax::Template;
use super::value::{CannotNest, Entries, Function, Value};
use super::{OUTPUT_BYTES_MAX, WORK_MAX};

/// Deepest nesting of blocks, expressions and macro calls together while rendering: it bounds the stack.
const DEPTH_MAX: u32 = 96;
/// Work of looking at a node of the tree.
const NODE_WORK: usize = 32;

/// Runs a template.
pub(super) struct Machine<'t, 's> {
    pub template: &'t Template<'s>,
    pub output: String,
    /// Line of the statement that runs, for errors.
    pub line: u32,
    /// Number of loops around the statement that runs.
    pub loop_level: i64,
    /// Variables: of the template, then of the blocks around the statement that runs.
    scopes: Vec<Vec<(&'s str, Value)>>,
    /// First scope that the macro that runs can see, besides that of the template.
    visible_from: usize,
    depth: u32,
    work_left: usize,
    pub memory: Memory,
}

impl<'t, 's> Machine<'t, 's> {
    pub(super) fn new(template: &'t Template<'s>, variables: Vec<(&'s str, Value)>, memory: Memory) -> Self {
        Self {
            template,
            output: String::new(),
            line: 1,
            loop_level: 0,
            scopes: Vec::from([variables]),
            visible_from: 0,
            depth: 0,
            work_left: WORK_MAX,
            memory,
        }
    }

    /// Accounts for work in units of about a byte read or written. What is written may take twice as much memory while it grows.
    pub(super) fn charge(&mut self, work: usize) -> Result<(), Problem> {
        self.memory.expect(work.saturating_mul(2))?;
        self.work_left = self.work_left.checked_sub(work).ok_or(Problem::TooMuchWork)?;
        Ok(())
    }

    /// Runs a part one level deeper, and accounts for it.
    pub(super) fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        self.charge(NODE_WORK)?;
        if self.depth == DEPTH_MAX {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    pub(super) fn write(&mut self, text: &str) -> Result<(), Problem> {
        self.charge(text.len())?;
        if self.output.len().saturating_add(text.len()) > OUTPUT_BYTES_MAX {
            return Err(Problem::OutputTooLong);
        }
        self.memory.append(&mut self.output, text)
    }

    /// The variable of that name, or the function.
    pub(super) fn lookup(&mut self, name: &str) -> Result<Value, Problem> {
        // All variables are compared with the name at worst.
        self.charge(self.scopes.iter().map(Vec::len).sum())?;
        Ok(self.find(name))
    }

    fn find(&self, name: &str) -> Value {
        let visible = self.scopes.get(self.visible_from..).unwrap_or_default().iter().rev();
        let found = visible.chain(self.scopes.first()).find_map(|scope| scope.iter().rfind(|(own, _)| *own == name));
        match (found, name) {
            (Some((_, value)), _) => value.clone(),
            (None, "range") => Value::Function(Function::Range),
            (None, "namespace") => Value::Function(Function::Namespace),
            (None, "dict") => Value::Function(Function::Dict),
            (None, "raise_exception") => Value::Function(Function::RaiseException),
            _ => Value::Undefined,
        }
    }

    /// Sets a variable of the innermost scope.
    pub(super) fn assign(&mut self, name: &'s str, value: Value) -> Result<(), Problem> {
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        match scope.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value,
            None => self.memory.push(scope, (name, value))?,
        }
        Ok(())
    }

    /// Runs a part with a scope of its own.
    pub(super) fn scoped<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        self.scopes.push(Vec::new());
        let result = part(self);
        self.scopes.pop();
        result
    }

    /// Runs a part that sees only the template's variables and its own.
    pub(super) fn isolated<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        let visible_from = core::mem::replace(&mut self.visible_from, self.scopes.len());
        let result = self.scoped(part);
        self.visible_from = visible_from;
        result
    }

    /// Runs a part and gives what it writes.
    pub(super) fn captured(&mut self, part: impl FnOnce(&mut Self) -> Result<(), Problem>) -> Result<Value, Problem> {
        let outer = core::mem::take(&mut self.output);
        let result = part(self);
        let inner = core::mem::replace(&mut self.output, outer);
        result?;
        self.text(inner)
    }

    /// A new string, accounted for.
    pub(super) fn text(&mut self, text: String) -> Result<Value, Problem> {
        self.charge(text.len())?;
        Ok(Value::String(Rc::from(text)))
    }

    /// A new list, accounted for.
    pub(super) fn list(&mut self, items: Vec<Value>) -> Result<Value, Problem> {
        self.charge(items.len().saturating_add(1).saturating_mul(size_of::<Value>()))?;
        Ok(Value::list(items)?)
    }

    /// A new mapping, accounted for.
    pub(super) fn mapping(&mut self, entries: Entries) -> Result<Value, Problem> {
        // Looking up a key reads the entries one after the other.
        self.charge(entries.len().saturating_add(1).saturating_mul(2 * size_of::<Value>()))?;
        Ok(Value::mapping(entries)?)
    }

    /// A value as text, accounted for.
    pub(super) fn printed(&mut self, value: &Value) -> Result<Rc<str>, Problem> {
        if let Value::String(text) = value {
            return Ok(Rc::clone(text));
        }
        // Escapes make a byte four times as long at most.
        self.charge(value.bytes().saturating_mul(4))?;
        let mut text = String::new();
        value.write(&mut text);
        Ok(Rc::from(text))
    }
}

impl From<CannotNest> for Problem {
    fn from(_: CannotNest) -> Self {
        Self::TooDeep
    }
}

/// An operation does not fit a value.
pub(super) fn invalid<T>(what: &str, value: &Value) -> Result<T, Problem> {
    Err(Problem::Invalid(alloc::format!("{what} does not work on {}", value.kind())))
}
