//! Why a request is refused.

use core::fmt;

use crate::sampler::SampleError;
use crate::template::{Problem, TemplateError};
use crate::tokenizer::EncodeError;

/// Why a request is refused; said to whoever asked.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestError {
    /// The bytes in the slot are not a request.
    Malformed,
    /// There is no prompt, no token ids and no message.
    NothingToContinue,
    /// Text that is not UTF-8.
    NotText,
    /// There is no such session.
    NoSession {
        /// The session asked for.
        session: u32,
        /// How many there are.
        sessions: usize,
    },
    /// The session works on another request.
    SessionBusy(u32),
    /// The prompt is longer than the context.
    PromptTooLong {
        /// Tokens of the prompt (and of the ids that are forced behind it).
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// A token id is outside the vocabulary.
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// More of the best logits than can be given.
    TooManyTop(u32),
    /// The text cannot be tokenized.
    Encode(EncodeError),
    /// The chat template cannot be rendered.
    Template(TemplateError),
    /// No token can be chosen from the logits.
    Sample(SampleError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(formatter, "the request is damaged"),
            Self::NothingToContinue => write!(formatter, "there is no prompt to continue"),
            Self::NotText => write!(formatter, "the text is not UTF-8"),
            Self::NoSession { session, sessions } => {
                write!(formatter, "there is no session {session}: there are {sessions}, numbered from 0")
            }
            Self::SessionBusy(session) => write!(formatter, "session {session} works on another request"),
            Self::PromptTooLong { tokens, context } => {
                write!(formatter, "the prompt has {tokens} tokens, the context holds {context}")
            }
            Self::UnknownToken { id, vocabulary } => {
                write!(formatter, "the token id {id} is outside the vocabulary of {vocabulary}")
            }
            Self::TooManyTop(top) => {
                write!(formatter, "{top} of the best logits are too many: at most {}", barellama_abi::request::TOP_MAX)
            }
            Self::Encode(error) => write!(formatter, "{error}"),
            Self::Template(error @ TemplateError { problem: Problem::Raised(_), .. }) => write!(formatter, "{error}"),
            Self::Template(error) => {
                write!(formatter, "{error}; chat_template = chatml, llama3 or none takes another one")
            }
            Self::Sample(error) => write!(formatter, "{error}"),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<EncodeError> for RequestError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<TemplateError> for RequestError {
    fn from(error: TemplateError) -> Self {
        Self::Template(error)
    }
}

impl From<SampleError> for RequestError {
    fn from(error: SampleError) -> Self {
        Self::Sample(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    #[test]
    fn a_template_that_cannot_be_rendered_tells_the_way_out_and_one_that_refuses_does_not() {
        let error = |problem| RequestError::from(TemplateError { line: 3, problem }).to_string();
        assert_eq!(
            error(Problem::Unsupported(String::from("the tag \"raw\""))),
            "chat template, line 3: the tag \"raw\" is not supported; chat_template = chatml, llama3 or none takes another one"
        );
        let refused = error(Problem::Raised(String::from("roles must alternate")));
        assert_eq!(refused, "chat template, line 3: the template refuses these messages: roles must alternate");
    }
}
