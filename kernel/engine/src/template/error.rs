//! Why a template cannot be rendered.

use alloc::string::String;
use core::fmt;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Line of the template, from 1 on.
    pub line: u32,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not well-formed: what stands there, or what is missing.
    Syntax(String),
    /// It uses a construct of Jinja that is not supported: its name.
    Unsupported(String),
    /// It called `raise_exception` with this message: it refuses these messages.
    Raised(String),
    /// An operation does not fit its value.
    Invalid(String),
    /// It is longer than [`super::SOURCE_BYTES_MAX`].
    SourceTooLong,
    /// It renders more than [`super::OUTPUT_BYTES_MAX`].
    OutputTooLong,
    /// It takes more than [`super::WORK_MAX`] units of work.
    TooMuchWork,
    /// It takes more memory than there is.
    OutOfMemory,
    /// Its parts, calls or values are nested too deeply.
    TooDeep,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "chat template, line {}: ", self.line)?;
        match &self.problem {
            Problem::Syntax(what) => write!(formatter, "syntax error: {what}"),
            Problem::Unsupported(what) => write!(formatter, "{what} is not supported"),
            Problem::Raised(message) => write!(formatter, "the template refuses these messages: {message}"),
            Problem::Invalid(what) => write!(formatter, "{what}"),
            Problem::SourceTooLong => write!(formatter, "longer than {} bytes", super::SOURCE_BYTES_MAX),
            Problem::OutputTooLong => write!(formatter, "renders more than {} bytes", super::OUTPUT_BYTES_MAX),
            Problem::TooMuchWork => write!(formatter, "takes too much work; does it loop over too much?"),
            Problem::OutOfMemory => write!(formatter, "takes more memory than there is for a request"),
            Problem::TooDeep => write!(formatter, "nested too deeply"),
        }
    }
}

impl core::error::Error for TemplateError {}
