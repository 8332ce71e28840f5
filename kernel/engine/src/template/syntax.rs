//! The syntax tree of a template. It borrows names and texts from the source.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::value::Value;

/// Statements one after the other.
pub(super) type Block<'s> = Vec<Node<'s>>;

/// A statement and where it stands.
#[derive(Debug)]
pub(super) struct Node<'s> {
    pub line: u32,
    pub statement: Statement<'s>,
}

#[derive(Debug)]
pub(super) enum Statement<'s> {
    /// Text as it stands.
    Text(&'s str),
    /// `{{ … }}`
    Output(Expression<'s>),
    /// Conditions with their blocks, and the block of `else`.
    If {
        branches: Vec<(Expression<'s>, Block<'s>)>,
        otherwise: Block<'s>,
    },
    For(Box<For<'s>>),
    Set {
        target: Target<'s>,
        value: Expression<'s>,
    },
    /// `{% set name %}…{% endset %}`
    Capture {
        name: &'s str,
        body: Block<'s>,
    },
    /// Binds a macro, by its number in [`Template::macros`], to its name.
    Macro(usize),
    /// A block that changes nothing: `{% generation %}` marks what a model is trained on.
    Group(Block<'s>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct For<'s> {
    pub target: Target<'s>,
    pub iterable: Expression<'s>,
    pub condition: Option<Expression<'s>>,
    pub body: Block<'s>,
    pub otherwise: Block<'s>,
}

/// What is assigned to.
#[derive(Debug)]
pub(super) enum Target<'s> {
    Name(&'s str),
    /// `first, second`
    Names(Vec<&'s str>),
    /// `namespace.attribute`
    Attribute(&'s str, &'s str),
}

#[derive(Debug)]
pub(super) struct Macro<'s> {
    pub name: &'s str,
    /// Names with their defaults.
    pub parameters: Vec<(&'s str, Option<Expression<'s>>)>,
    pub body: Block<'s>,
}

/// A whole template.
#[derive(Debug)]
pub(super) struct Template<'s> {
    pub body: Block<'s>,
    pub macros: Vec<Macro<'s>>,
}

#[derive(Debug)]
pub(super) enum Expression<'s> {
    Constant(Value),
    Name(&'s str),
    List(Vec<Expression<'s>>),
    Mapping(Vec<(Expression<'s>, Expression<'s>)>),
    Not(Box<Expression<'s>>),
    Negative(Box<Expression<'s>>),
    /// Operations of one level, from left to right: a list, so that long chains are not nested.
    Chain(Box<Expression<'s>>, Vec<(Operator, Expression<'s>)>),
    /// `value if condition else otherwise`
    Choice {
        value: Box<Expression<'s>>,
        condition: Box<Expression<'s>>,
        otherwise: Option<Box<Expression<'s>>>,
    },
    /// Attributes, calls, filters and tests of a value, from left to right.
    Postfix(Box<Expression<'s>>, Vec<Postfix<'s>>),
}

#[derive(Debug)]
pub(super) enum Postfix<'s> {
    Attribute(&'s str),
    Item(Expression<'s>),
    Slice { start: Option<Expression<'s>>, stop: Option<Expression<'s>>, step: Option<Expression<'s>> },
    Call(Arguments<'s>),
    Method(&'s str, Arguments<'s>),
    Filter(&'s str, Arguments<'s>),
    Test { name: &'s str, arguments: Arguments<'s>, is_negated: bool },
}

/// Arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Arguments<'s> {
    pub positional: Vec<Expression<'s>>,
    pub named: Vec<(&'s str, Expression<'s>)>,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Add,
    Subtract,
    Concatenate,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
}

impl Operator {
    /// How tightly it binds, from 1 on. `not` stands between `and` and the comparisons.
    pub(super) const fn level(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::In
            | Self::NotIn => COMPARISON_LEVEL,
            Self::Add | Self::Subtract => 5,
            Self::Concatenate => 6,
            Self::Multiply | Self::Divide | Self::FloorDivide | Self::Remainder => 7,
        }
    }
}

/// Level of the comparisons.
pub(super) const COMPARISON_LEVEL: u8 = 4;
