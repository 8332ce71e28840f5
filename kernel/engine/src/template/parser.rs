//! From tokens to statements.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{Problem, TemplateError};
use super::lexer::{Token, TokenKind, tokens};
use super::memory::Memory;
use super::syntax::{Block, Expression, For, Macro, Node, Statement, Target, Template};

/// Deepest nesting of statements and expressions together.
const DEPTH_MAX: u32 = 32;

/// Parses a template whose line ends are all `\n`.
pub(super) fn parse(source: &str, memory: Memory) -> Result<Template<'_>, TemplateError> {
    let mut parser = Parser { tokens: tokens(source, memory)?, at: 0, depth: 0, macros: Vec::new(), memory };
    let (body, _) = parser.block(&[])?;
    Ok(Template { body, macros: parser.macros })
}

pub(super) struct Parser<'s> {
    tokens: Vec<Token<'s>>,
    at: usize,
    depth: u32,
    macros: Vec<Macro<'s>>,
    memory: Memory,
}

impl<'s> Parser<'s> {
    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    pub(super) fn peek(&self) -> TokenKind<'s> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> TokenKind<'s> {
        self.tokens.get(self.at + ahead).map_or(TokenKind::End, |token| token.kind)
    }

    pub(super) fn next(&mut self) -> TokenKind<'s> {
        let kind = self.peek();
        self.at += 1;
        kind
    }

    /// Takes the token if it is this one.
    pub(super) fn take(&mut self, kind: TokenKind<'s>) -> bool {
        let is_there = self.peek() == kind;
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn take_operator(&mut self, operator: &'static str) -> bool {
        self.take(TokenKind::Operator(operator))
    }

    pub(super) fn take_name(&mut self, name: &'static str) -> bool {
        self.take(TokenKind::Name(name))
    }

    pub(super) fn expect_operator(&mut self, operator: &'static str) -> Result<(), TemplateError> {
        if self.take_operator(operator) { Ok(()) } else { Err(self.unexpected(&format!("\"{operator}\""))) }
    }

    pub(super) fn name(&mut self) -> Result<&'s str, TemplateError> {
        match self.peek() {
            TokenKind::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn tag_end(&mut self) -> Result<(), TemplateError> {
        if self.take(TokenKind::TagEnd) { Ok(()) } else { Err(self.unexpected("the end of the tag")) }
    }

    pub(super) fn error(&self, problem: Problem) -> TemplateError {
        TemplateError { line: self.line(), problem }
    }

    pub(super) fn unsupported(&self, what: &str) -> TemplateError {
        self.error(Problem::Unsupported(String::from(what)))
    }

    /// The token at hand is not what should be there.
    pub(super) fn unexpected(&self, wanted: &str) -> TemplateError {
        let found = match self.peek() {
            TokenKind::Text(_) => String::from("text"),
            TokenKind::BlockBegin | TokenKind::OutputBegin => String::from("a tag"),
            TokenKind::TagEnd => String::from("the end of the tag"),
            TokenKind::Name(name) => format!("\"{name}\""),
            TokenKind::String(_) => String::from("a string"),
            TokenKind::Integer(_) | TokenKind::Float(_) => String::from("a number"),
            TokenKind::Operator(operator) => format!("\"{operator}\""),
            TokenKind::End => String::from("the end of the template"),
        };
        self.error(Problem::Syntax(format!("{wanted} should stand where {found} stands")))
    }

    /// Adds to a list of the tree.
    pub(super) fn push<T>(&self, list: &mut Vec<T>, element: T) -> Result<(), TemplateError> {
        self.memory.push(list, element).map_err(|problem| self.error(problem))
    }

    /// Runs a part of the parser one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(Problem::TooDeep));
        }
        self.memory.expect(0).map_err(|problem| self.error(problem))?;
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Statements up to a tag with one of these names, which is taken up to its name; without names up to the end.
    fn block(&mut self, ends: &[&'static str]) -> Result<(Block<'s>, &'s str), TemplateError> {
        let mut block = Vec::new();
        loop {
            let line = self.line();
            let statement = match self.next() {
                TokenKind::Text(text) => Statement::Text(text),
                TokenKind::OutputBegin => {
                    let value = self.expression()?;
                    self.tag_end()?;
                    Statement::Output(value)
                }
                TokenKind::BlockBegin => {
                    let name = self.name()?;
                    if ends.contains(&name) {
                        return Ok((block, name));
                    }
                    self.nested(|parser| parser.statement(name))?
                }
                TokenKind::End if ends.is_empty() => return Ok((block, "")),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected(&format!("a tag \"{}\"", ends.join("\" or \""))));
                }
            };
            self.push(&mut block, Node { line, statement })?;
        }
    }

    /// A block that ends with that tag alone.
    fn body(&mut self, end: &'static str) -> Result<Block<'s>, TemplateError> {
        let (block, _) = self.block(&[end])?;
        self.tag_end()?;
        Ok(block)
    }

    fn statement(&mut self, name: &'s str) -> Result<Statement<'s>, TemplateError> {
        match name {
            "if" => self.if_statement(),
            "for" => self.for_statement(),
            "set" => self.set_statement(),
            "macro" => self.macro_statement(),
            "generation" => {
                self.tag_end()?;
                Ok(Statement::Group(self.body("endgeneration")?))
            }
            "break" => self.tag_end().map(|()| Statement::Break),
            "continue" => self.tag_end().map(|()| Statement::Continue),
            "elif" | "else" | "endif" | "endfor" | "endset" | "endmacro" | "endgeneration" => {
                self.at -= 1;
                Err(self.unexpected("another tag"))
            }
            _ => Err(self.unsupported(&format!("the tag \"{name}\""))),
        }
    }

    fn if_statement(&mut self) -> Result<Statement<'s>, TemplateError> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let condition = self.expression()?;
            self.tag_end()?;
            let (block, end) = self.block(&["elif", "else", "endif"])?;
            self.push(&mut branches, (condition, block))?;
            match end {
                "elif" => {}
                "else" => {
                    self.tag_end()?;
                    otherwise = self.body("endif")?;
                    return Ok(Statement::If { branches, otherwise });
                }
                _ => {
                    self.tag_end()?;
                    return Ok(Statement::If { branches, otherwise });
                }
            }
        }
    }

    fn for_statement(&mut self) -> Result<Statement<'s>, TemplateError> {
        let target = self.target()?;
        if !self.take_name("in") {
            return Err(self.unexpected("\"in\""));
        }
        let iterable = self.operation(1)?;
        let condition = if self.take_name("if") { Some(self.expression()?) } else { None };
        if self.take_name("recursive") {
            return Err(self.unsupported("a recursive loop"));
        }
        self.tag_end()?;
        let (body, end) = self.block(&["else", "endfor"])?;
        self.tag_end()?;
        let otherwise = if end == "else" { self.body("endfor")? } else { Vec::new() };
        Ok(Statement::For(Box::new(For { target, iterable, condition, body, otherwise })))
    }

    fn set_statement(&mut self) -> Result<Statement<'s>, TemplateError> {
        let target = self.target()?;
        if self.take_operator("=") {
            let value = self.tuple()?;
            self.tag_end()?;
            return Ok(Statement::Set { target, value });
        }
        if self.peek() == TokenKind::Operator("|") {
            return Err(self.unsupported("a filtered block assignment"));
        }
        let Target::Name(name) = target else { return Err(self.unexpected("\"=\"")) };
        self.tag_end()?;
        Ok(Statement::Capture { name, body: self.body("endset")? })
    }

    fn target(&mut self) -> Result<Target<'s>, TemplateError> {
        let first = self.name()?;
        if self.take_operator(".") {
            return Ok(Target::Attribute(first, self.name()?));
        }
        if self.peek() != TokenKind::Operator(",") {
            return Ok(Target::Name(first));
        }
        let mut names = Vec::from([first]);
        while self.take_operator(",") {
            let name = self.name()?;
            self.push(&mut names, name)?;
        }
        Ok(Target::Names(names))
    }

    /// An expression, or several with commas between them, which make a list.
    fn tuple(&mut self) -> Result<Expression<'s>, TemplateError> {
        let first = self.expression()?;
        if self.peek() != TokenKind::Operator(",") {
            return Ok(first);
        }
        let mut items = Vec::from([first]);
        while self.take_operator(",") && self.peek() != TokenKind::TagEnd {
            let item = self.expression()?;
            self.push(&mut items, item)?;
        }
        Ok(Expression::List(items))
    }

    fn macro_statement(&mut self) -> Result<Statement<'s>, TemplateError> {
        let name = self.name()?;
        self.expect_operator("(")?;
        let mut parameters = Vec::new();
        while !self.take_operator(")") {
            if !parameters.is_empty() {
                self.expect_operator(",")?;
            }
            let parameter = self.name()?;
            let default = if self.take_operator("=") { Some(self.expression()?) } else { None };
            self.push(&mut parameters, (parameter, default))?;
        }
        self.tag_end()?;
        let body = self.body("endmacro")?;
        let mut macros = core::mem::take(&mut self.macros);
        self.push(&mut macros, Macro { name, parameters, body })?;
        self.macros = macros;
        Ok(Statement::Macro(self.macros.len() - 1))
    }
}
