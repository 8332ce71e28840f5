//! From tokens to expressions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::TemplateError;
use super::lexer::TokenKind;
use super::parser::Parser;
use super::syntax::{Arguments, COMPARISON_LEVEL, Expression, Operator, Postfix};
use super::value::Value;

impl<'s> Parser<'s> {
    /// An expression with its `if … else …`.
    pub(super) fn expression(&mut self) -> Result<Expression<'s>, TemplateError> {
        self.nested(|parser| {
            let value = parser.operation(1)?;
            if !parser.take_name("if") {
                return Ok(value);
            }
            let condition = Box::new(parser.operation(1)?);
            let otherwise = if parser.take_name("else") { Some(Box::new(parser.expression()?)) } else { None };
            Ok(Expression::Choice { value: Box::new(value), condition, otherwise })
        })
    }

    /// Operations that bind at least as tightly as a level.
    pub(super) fn operation(&mut self, level_min: u8) -> Result<Expression<'s>, TemplateError> {
        let mut left = self.unary(true)?;
        let mut chain: Option<(u8, Vec<(Operator, Expression<'s>)>)> = None;
        while let Some((operator, token_count)) = self.peek_binary()? {
            let level = operator.level();
            if level < level_min {
                break;
            }
            for _ in 0..token_count {
                self.next();
            }
            let right = self.operation(level + 1)?;
            match &mut chain {
                Some((open, operations)) if *open == level => self.push(operations, (operator, right))?,
                _ => {
                    left = close(left, chain.take());
                    chain = Some((level, Vec::from([(operator, right)])));
                }
            }
        }
        Ok(close(left, chain))
    }

    /// The binary operator at hand and its number of tokens.
    fn peek_binary(&self) -> Result<Option<(Operator, usize)>, TemplateError> {
        let operator = match self.peek() {
            TokenKind::Name("or") => Operator::Or,
            TokenKind::Name("and") => Operator::And,
            TokenKind::Name("in") => Operator::In,
            TokenKind::Name("not") if self.peek_at(1) == TokenKind::Name("in") => {
                return Ok(Some((Operator::NotIn, 2)));
            }
            TokenKind::Operator(operator) => match operator {
                "==" => Operator::Equal,
                "!=" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "+" => Operator::Add,
                "-" => Operator::Subtract,
                "~" => Operator::Concatenate,
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                "//" => Operator::FloorDivide,
                "%" => Operator::Remainder,
                "**" => return Err(self.unsupported("the operator \"**\"")),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some((operator, 1)))
    }

    /// A value with its signs, attributes and calls, and with its filters and tests if they belong to it and not to what it is
    /// a part of.
    fn unary(&mut self, has_filters: bool) -> Result<Expression<'s>, TemplateError> {
        if self.take_name("not") {
            let operand = self.nested(|parser| parser.operation(COMPARISON_LEVEL))?;
            return Ok(Expression::Not(Box::new(operand)));
        }
        let mut postfixes = Vec::new();
        let value = if self.take_operator("-") {
            Expression::Negative(Box::new(self.nested(|parser| parser.unary(false))?))
        } else if self.take_operator("+") {
            self.nested(|parser| parser.unary(false))?
        } else {
            let value = self.primary()?;
            self.postfixes(&mut postfixes)?;
            value
        };
        if has_filters {
            self.filters(&mut postfixes)?;
        }
        Ok(if postfixes.is_empty() { value } else { Expression::Postfix(Box::new(value), postfixes) })
    }

    fn primary(&mut self) -> Result<Expression<'s>, TemplateError> {
        let constant = |value| Ok(Expression::Constant(value));
        match self.peek() {
            TokenKind::Name(name) => {
                self.next();
                match name {
                    "true" | "True" => constant(Value::Boolean(true)),
                    "false" | "False" => constant(Value::Boolean(false)),
                    "none" | "None" => constant(Value::None),
                    _ => Ok(Expression::Name(name)),
                }
            }
            TokenKind::Integer(value) => {
                self.next();
                constant(Value::Integer(value))
            }
            TokenKind::Float(value) => {
                self.next();
                constant(Value::Float(value))
            }
            TokenKind::String(_) => {
                let mut text = String::new();
                while let TokenKind::String(literal) = self.peek() {
                    unescape(literal, &mut text);
                    self.next();
                }
                constant(Value::string(&text))
            }
            TokenKind::Operator("(") => self.parenthesized(),
            TokenKind::Operator("[") => {
                self.next();
                Ok(Expression::List(self.items("]")?))
            }
            TokenKind::Operator("{") => self.mapping(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn parenthesized(&mut self) -> Result<Expression<'s>, TemplateError> {
        self.next();
        if self.take_operator(")") {
            return Ok(Expression::List(Vec::new()));
        }
        let first = self.expression()?;
        if self.take_operator(")") {
            return Ok(first);
        }
        self.expect_operator(",")?;
        let mut items = Vec::from([first]);
        items.extend(self.items(")")?);
        Ok(Expression::List(items))
    }

    /// Expressions with commas between them, up to a bracket.
    fn items(&mut self, end: &'static str) -> Result<Vec<Expression<'s>>, TemplateError> {
        let mut items = Vec::new();
        while !self.take_operator(end) {
            let item = self.expression()?;
            self.push(&mut items, item)?;
            if self.peek() != TokenKind::Operator(end) {
                self.expect_operator(",")?;
            }
        }
        Ok(items)
    }

    fn mapping(&mut self) -> Result<Expression<'s>, TemplateError> {
        self.next();
        let mut entries = Vec::new();
        while !self.take_operator("}") {
            let key = self.expression()?;
            self.expect_operator(":")?;
            let value = self.expression()?;
            self.push(&mut entries, (key, value))?;
            if self.peek() != TokenKind::Operator("}") {
                self.expect_operator(",")?;
            }
        }
        Ok(Expression::Mapping(entries))
    }

    fn postfixes(&mut self, postfixes: &mut Vec<Postfix<'s>>) -> Result<(), TemplateError> {
        loop {
            let postfix = if self.take_operator(".") {
                self.attribute()?
            } else if self.take_operator("[") {
                self.subscript()?
            } else if self.take_operator("(") {
                Postfix::Call(self.arguments()?)
            } else {
                return Ok(());
            };
            self.push(postfixes, postfix)?;
        }
    }

    fn attribute(&mut self) -> Result<Postfix<'s>, TemplateError> {
        if let TokenKind::Integer(index) = self.peek() {
            self.next();
            return Ok(Postfix::Item(Expression::Constant(Value::Integer(index))));
        }
        let name = self.name()?;
        if self.take_operator("(") {
            return Ok(Postfix::Method(name, self.arguments()?));
        }
        Ok(Postfix::Attribute(name))
    }

    fn subscript(&mut self) -> Result<Postfix<'s>, TemplateError> {
        let mut parts = [None, None, None];
        let mut part_count = 1;
        loop {
            match self.peek() {
                TokenKind::Operator("]") => break,
                TokenKind::Operator(":") if part_count < parts.len() => {
                    self.next();
                    part_count += 1;
                }
                TokenKind::Operator(",") => return Err(self.unsupported("an index of several values")),
                _ => match parts.get_mut(part_count - 1) {
                    Some(part) if part.is_none() => *part = Some(self.expression()?),
                    _ => return Err(self.unexpected("\"]\"")),
                },
            }
        }
        self.next();
        match (part_count, parts) {
            (1, [Some(item), ..]) => Ok(Postfix::Item(item)),
            (1, _) => Err(self.unexpected("an index")),
            (_, [start, stop, step]) => Ok(Postfix::Slice { start, stop, step }),
        }
    }

    /// Arguments up to the closing parenthesis.
    fn arguments(&mut self) -> Result<Arguments<'s>, TemplateError> {
        let mut arguments = Arguments::default();
        while !self.take_operator(")") {
            match (self.peek(), self.peek_at(1)) {
                (TokenKind::Name(name), TokenKind::Operator("=")) => {
                    self.next();
                    self.next();
                    let value = self.expression()?;
                    self.push(&mut arguments.named, (name, value))?;
                }
                (TokenKind::Operator("*" | "**"), _) => return Err(self.unsupported("unpacking of arguments")),
                _ => {
                    let value = self.expression()?;
                    self.push(&mut arguments.positional, value)?;
                }
            }
            if self.peek() != TokenKind::Operator(")") {
                self.expect_operator(",")?;
            }
        }
        Ok(arguments)
    }

    fn filters(&mut self, postfixes: &mut Vec<Postfix<'s>>) -> Result<(), TemplateError> {
        loop {
            let postfix = if self.take_operator("|") {
                let name = self.name()?;
                let arguments = if self.take_operator("(") { self.arguments()? } else { Arguments::default() };
                Postfix::Filter(name, arguments)
            } else if self.take_name("is") {
                self.test()?
            } else if self.take_operator("(") {
                Postfix::Call(self.arguments()?)
            } else {
                return Ok(());
            };
            self.push(postfixes, postfix)?;
        }
    }

    fn test(&mut self) -> Result<Postfix<'s>, TemplateError> {
        let is_negated = self.take_name("not");
        let name = self.name()?;
        let mut arguments = Arguments::default();
        match self.peek() {
            TokenKind::Operator("(") => {
                self.next();
                arguments = self.arguments()?;
            }
            TokenKind::Name("else" | "or" | "and" | "if" | "in" | "not" | "is") => {}
            TokenKind::Name(_)
            | TokenKind::String(_)
            | TokenKind::Integer(_)
            | TokenKind::Float(_)
            | TokenKind::Operator("[" | "{") => {
                arguments.positional.push(self.nested(|parser| parser.unary(false))?);
            }
            _ => {}
        }
        Ok(Postfix::Test { name, arguments, is_negated })
    }
}

fn close<'s>(left: Expression<'s>, chain: Option<(u8, Vec<(Operator, Expression<'s>)>)>) -> Expression<'s> {
    match chain {
        Some((_, operations)) => Expression::Chain(Box::new(left), operations),
        None => left,
    }
}

/// Appends a string literal with its escapes resolved, as Python does: what is no escape stays as it is.
fn unescape(literal: &str, text: &mut String) {
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let mut characters = after.chars();
        let escape = characters.next();
        rest = characters.as_str();
        match escape {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(kept @ ('\\' | '\'' | '"')) => text.push(kept),
            Some('\n') => {}
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = if kind == 'x' {
                    2
                } else if kind == 'u' {
                    4
                } else {
                    8
                };
                match rest.get(..digits).and_then(character_of_digits) {
                    Some(character) => {
                        text.push(character);
                        rest = rest.get(digits..).unwrap_or_default();
                    }
                    None => text.push_str(&format!("\\{kind}")),
                }
            }
            Some(other) => {
                text.push('\\');
                text.push(other);
            }
            None => text.push('\\'),
        }
    }
    text.push_str(rest);
}

fn character_of_digits(digits: &str) -> Option<char> {
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?)
}
