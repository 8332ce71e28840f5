//! The value of an expression.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::arguments::Values;
use super::error::Problem;
use super::machine::{Machine, invalid};
use super::operations;
use super::syntax::{Arguments, Expression, Operator, Postfix};
use super::value::{Entries, Function, Value, get, put};
use super::{filters, methods, predicates};

/// Most elements of a `range`.
const RANGE_MAX: usize = 100_000;

impl<'s> Machine<'_, 's> {
    pub(super) fn evaluate(&mut self, expression: &Expression<'s>) -> Result<Value, Problem> {
        self.nested(|machine| match expression {
            Expression::Constant(value) => Ok(value.clone()),
            Expression::Name(name) => machine.lookup(name),
            Expression::List(items) => {
                let items = machine.evaluate_all(items)?;
                machine.list(items)
            }
            Expression::Mapping(entries) => machine.evaluate_mapping(entries),
            Expression::Not(operand) => Ok(Value::Boolean(!machine.evaluate(operand)?.is_true())),
            Expression::Negative(operand) => operations::negative(&machine.evaluate(operand)?),
            Expression::Chain(first, rest) => machine.evaluate_chain(first, rest),
            Expression::Choice { value, condition, otherwise } => {
                match (machine.evaluate(condition)?.is_true(), otherwise) {
                    (true, _) => machine.evaluate(value),
                    (false, Some(otherwise)) => machine.evaluate(otherwise),
                    (false, None) => Ok(Value::Undefined),
                }
            }
            Expression::Postfix(value, postfixes) => machine.evaluate_postfixes(value, postfixes),
        })
    }

    fn evaluate_all(&mut self, expressions: &[Expression<'s>]) -> Result<Vec<Value>, Problem> {
        let mut values = self.memory.list(expressions.len())?;
        for expression in expressions {
            values.push(self.evaluate(expression)?);
        }
        Ok(values)
    }

    fn evaluate_mapping(&mut self, pairs: &[(Expression<'s>, Expression<'s>)]) -> Result<Value, Problem> {
        let mut entries: Entries = self.memory.list(pairs.len())?;
        for (key, value) in pairs {
            let key = match self.evaluate(key)? {
                Value::String(key) => key,
                other => return invalid("a key of a mapping that is not a string", &other),
            };
            let value = self.evaluate(value)?;
            put(&mut entries, &key, value);
        }
        self.mapping(entries)
    }

    fn evaluate_chain(
        &mut self,
        first: &Expression<'s>,
        rest: &[(Operator, Expression<'s>)],
    ) -> Result<Value, Problem> {
        let mut left = self.evaluate(first)?;
        for (index, (operator, operand)) in rest.iter().enumerate() {
            match operator {
                Operator::Or if left.is_true() => return Ok(left),
                Operator::And if !left.is_true() => return Ok(left),
                Operator::Or | Operator::And => left = self.evaluate(operand)?,
                _ => {
                    let right = self.evaluate(operand)?;
                    if let Some(holds) = self.compare(*operator, &left, &right)? {
                        // `a < b < c` compares each with the next.
                        if !holds || index + 1 == rest.len() {
                            return Ok(Value::Boolean(holds));
                        }
                        left = right;
                    } else {
                        left = self.calculate(*operator, &left, &right)?;
                    }
                }
            }
        }
        Ok(left)
    }

    fn evaluate_postfixes(&mut self, value: &Expression<'s>, postfixes: &[Postfix<'s>]) -> Result<Value, Problem> {
        let mut current = self.evaluate(value)?;
        for (index, postfix) in postfixes.iter().enumerate() {
            if let (0, Expression::Name(name), Postfix::Call(_), Value::Undefined) = (index, value, postfix, &current) {
                return Err(Problem::Unsupported(alloc::format!("the function \"{name}\"")));
            }
            current = self.apply(&current, postfix)?;
        }
        Ok(current)
    }

    fn apply(&mut self, value: &Value, postfix: &Postfix<'s>) -> Result<Value, Problem> {
        self.charge(size_of::<Value>().saturating_add(value.entry_count()))?;
        match postfix {
            Postfix::Attribute(name) => operations::attribute(value, name),
            Postfix::Item(index) => {
                let index = self.evaluate(index)?;
                self.item(value, &index)
            }
            Postfix::Slice { start, stop, step } => {
                let mut bounds = [None, None, None];
                for (bound, expression) in bounds.iter_mut().zip([start, stop, step]) {
                    *bound = expression.as_ref().map(|expression| self.evaluate(expression)).transpose()?;
                }
                self.slice(value, bounds)
            }
            Postfix::Call(arguments) => {
                let values = self.values(arguments)?;
                self.call(value, values)
            }
            Postfix::Method(name, arguments) => {
                let values = self.values(arguments)?;
                match operations::attribute(value, name) {
                    Ok(callable @ (Value::Macro(_) | Value::Function(_))) => self.call(&callable, values),
                    _ => methods::call(self, value, name, &values),
                }
            }
            Postfix::Filter(name, arguments) => {
                let values = self.values(arguments)?;
                filters::apply(self, name, value, &values)
            }
            Postfix::Test { name, arguments, is_negated } => {
                let values = self.values(arguments)?;
                Ok(Value::Boolean(predicates::holds(self, name, value, &values)? != *is_negated))
            }
        }
    }

    fn values(&mut self, arguments: &Arguments<'s>) -> Result<Values<'s>, Problem> {
        let positional = self.evaluate_all(&arguments.positional)?;
        let mut named = self.memory.list(arguments.named.len())?;
        for (name, expression) in &arguments.named {
            named.push((*name, self.evaluate(expression)?));
        }
        Ok(Values { positional, named })
    }

    fn call(&mut self, callable: &Value, values: Values<'s>) -> Result<Value, Problem> {
        match callable {
            Value::Macro(number) => self.nested(|machine| machine.call_macro(*number, values.positional, values.named)),
            Value::Function(Function::Range) => self.range(&values),
            Value::Function(Function::Namespace) => {
                let entries = entries_of(values)?;
                entries.iter().try_for_each(|(_, value)| value.depth().map(drop))?;
                Ok(Value::Namespace(Rc::new(RefCell::new(entries))))
            }
            Value::Function(Function::Dict) => {
                let entries = entries_of(values)?;
                self.mapping(entries)
            }
            Value::Function(Function::RaiseException) => {
                let message = values.get(0, "message").cloned().unwrap_or(Value::Undefined);
                Err(Problem::Raised(String::from(&*self.printed(&message)?)))
            }
            other => invalid("a call", other),
        }
    }

    fn range(&mut self, values: &Values<'s>) -> Result<Value, Problem> {
        let mut numbers = Vec::new();
        for value in &values.positional {
            let Some(number) = value.as_integer() else { return invalid("range", value) };
            numbers.push(number);
        }
        let (start, stop, step) = match numbers.as_slice() {
            [stop] => (0, *stop, 1),
            [start, stop] => (*start, *stop, 1),
            [start, stop, step] if *step != 0 => (*start, *stop, *step),
            _ => {
                return Err(Problem::Invalid(String::from("range takes one to three numbers, the last of them not 0")));
            }
        };
        let mut items = Vec::new();
        let mut next = Some(start);
        while let Some(number) = next.filter(|number| if step > 0 { *number < stop } else { *number > stop }) {
            if items.len() == RANGE_MAX {
                return Err(Problem::TooMuchWork);
            }
            self.memory.push(&mut items, Value::Integer(number))?;
            next = number.checked_add(step);
        }
        self.list(items)
    }
}

/// The entries of a mapping that was given, and of the named arguments.
fn entries_of(values: Values<'_>) -> Result<Entries, Problem> {
    let mut entries = Entries::new();
    for value in &values.positional {
        let Value::Mapping(mapping) = value else { return invalid("making a mapping", value) };
        entries.extend(mapping.entries.iter().cloned());
    }
    for (name, value) in values.named {
        if get(&entries, name).is_none() || !matches!(value, Value::Undefined) {
            put(&mut entries, name, value);
        }
    }
    Ok(entries)
}
