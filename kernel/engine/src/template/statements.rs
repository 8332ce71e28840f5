//! Running statements.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::error::Problem;
use super::machine::{Machine, invalid};
use super::syntax::{Expression, For, Node, Statement, Target};
use super::value::{LoopState, Value, put};

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'s> Machine<'_, 's> {
    /// Runs the statements of a block.
    pub(super) fn run(&mut self, block: &[Node<'s>]) -> Result<Flow, Problem> {
        self.nested(|machine| {
            for node in block {
                machine.line = node.line;
                match machine.statement(&node.statement)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                }
            }
            Ok(Flow::Next)
        })
    }

    fn statement(&mut self, statement: &Statement<'s>) -> Result<Flow, Problem> {
        match statement {
            Statement::Text(text) => self.write(text)?,
            Statement::Output(expression) => {
                let value = self.evaluate(expression)?;
                let text = self.printed(&value)?;
                self.write(&text)?;
            }
            Statement::If { branches, otherwise } => {
                for (condition, block) in branches {
                    if self.evaluate(condition)?.is_true() {
                        return self.run(block);
                    }
                }
                return self.run(otherwise);
            }
            Statement::For(statement) => self.for_loop(statement)?,
            Statement::Set { target, value } => {
                let value = self.evaluate(value)?;
                self.bind(target, value)?;
            }
            Statement::Capture { name, body } => {
                let text = self.captured(|machine| machine.scoped(|machine| machine.run(body)).map(drop))?;
                self.assign(name, text)?;
            }
            Statement::Macro(number) => {
                if let Some(definition) = self.template.macros.get(*number) {
                    self.assign(definition.name, Value::Macro(*number))?;
                }
            }
            Statement::Group(block) => return self.run(block),
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn for_loop(&mut self, statement: &For<'s>) -> Result<(), Problem> {
        let iterable = self.evaluate(&statement.iterable)?;
        let items = self.items(&iterable, "a loop")?;
        let items = self.filtered(items, statement)?;
        if items.is_empty() {
            self.scoped(|machine| machine.run(&statement.otherwise))?;
            return Ok(());
        }
        self.loop_level += 1;
        let result = self.iterate(&items, statement);
        self.loop_level -= 1;
        result
    }

    /// The items for which the condition of a loop holds.
    fn filtered(&mut self, items: Vec<Value>, statement: &For<'s>) -> Result<Vec<Value>, Problem> {
        let Some(condition) = &statement.condition else { return Ok(items) };
        let mut kept = Vec::new();
        for item in items {
            let is_kept = self.scoped(|machine| {
                machine.bind(&statement.target, item.clone())?;
                Ok(machine.evaluate(condition)?.is_true())
            })?;
            if is_kept {
                self.memory.push(&mut kept, item)?;
            }
        }
        Ok(kept)
    }

    fn iterate(&mut self, items: &[Value], statement: &For<'s>) -> Result<(), Problem> {
        for (index0, item) in items.iter().enumerate() {
            let neighbour = |index: Option<usize>| index.and_then(|index| items.get(index)).cloned();
            let state = LoopState {
                index0,
                length: items.len(),
                level: self.loop_level,
                previous: neighbour(index0.checked_sub(1)).unwrap_or(Value::Undefined),
                next: neighbour(index0.checked_add(1)).unwrap_or(Value::Undefined),
            };
            let flow = self.scoped(|machine| {
                machine.assign("loop", Value::Loop(Rc::new(state)))?;
                machine.bind(&statement.target, item.clone())?;
                machine.run(&statement.body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// Assigns a value to a target.
    fn bind(&mut self, target: &Target<'s>, value: Value) -> Result<(), Problem> {
        match target {
            Target::Name(name) => self.assign(name, value)?,
            Target::Names(names) => match &value {
                Value::List(list) if list.items.len() == names.len() => {
                    for (name, item) in names.iter().zip(&list.items) {
                        self.assign(name, item.clone())?;
                    }
                }
                _ => return invalid("unpacking into several names", &value),
            },
            Target::Attribute(name, attribute) => match self.lookup(name)? {
                Value::Namespace(entries) => {
                    // What could hold the namespace itself must not be put into it: it would never be freed.
                    value.depth()?;
                    put(&mut entries.borrow_mut(), attribute, value);
                }
                other => return invalid("setting an attribute", &other),
            },
        }
        Ok(())
    }

    /// Calls a macro with the values of its parameters.
    pub(super) fn call_macro(
        &mut self,
        number: usize,
        positional: Vec<Value>,
        named: Vec<(&'s str, Value)>,
    ) -> Result<Value, Problem> {
        let template = self.template;
        let Some(definition) = template.macros.get(number) else { return Ok(Value::Undefined) };
        let mut positional = positional.into_iter();
        let line = self.line;
        let text = self.captured(|machine| {
            machine.isolated(|machine| {
                for (name, default) in &definition.parameters {
                    let given = positional.next().or_else(|| named.iter().find(|(own, _)| own == name).map(value_of));
                    let value = machine.parameter(given, default.as_ref())?;
                    machine.assign(name, value)?;
                }
                machine.run(&definition.body).map(drop)
            })
        });
        self.line = if text.is_ok() { line } else { self.line };
        text
    }

    fn parameter(&mut self, given: Option<Value>, default: Option<&Expression<'s>>) -> Result<Value, Problem> {
        match (given, default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => self.evaluate(default),
            (None, None) => Ok(Value::Undefined),
        }
    }
}

fn value_of(named: &(&str, Value)) -> Value {
    named.1.clone()
}
