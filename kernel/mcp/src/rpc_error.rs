//! Errors of JSON-RPC and MCP.

use core::fmt::{self, Write};

use alloc::string::{String, ToString};

use crate::json::Quoted;
use crate::revision::{Revision, SupportedRevisions};

/// Longest text of an error, in bytes; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 256;

/// A text of bounded length in place, for what is kept.
pub type ShortText = heapless::String<TEXT_BYTES_MAX>;

/// A text, cut at a character if it is too long.
#[must_use]
pub fn short_text(text: impl fmt::Display) -> ShortText {
    let mut short = Cut(ShortText::new());
    // What does not fit is cut off.
    let _ = write!(short, "{text}");
    short.0
}

/// The same on the heap, for what is written soon.
#[must_use]
pub fn short_string(text: impl fmt::Display) -> String {
    short_text(text).as_str().to_string()
}

struct Cut(ShortText);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = TEXT_BYTES_MAX - self.0.len();
        let fits = text.get(..text.floor_char_boundary(room)).unwrap_or("");
        self.0.push_str(fits).map_err(|_| fmt::Error)?;
        if fits.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Error codes (JSON-RPC 2.0 section 5.1; MCP 2026-07-28 for -32022; MCP before 2026 for -32002).
pub mod code {
    /// The line is not JSON.
    pub const PARSE: i32 = -32700;
    /// The JSON is not a request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// There is no such method in this revision.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are wrong.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The server cannot answer.
    pub const INTERNAL: i32 = -32603;
    /// There is no such resource; before 2026-07-28 only.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// The request's revision is not served.
    pub const UNSUPPORTED_VERSION: i32 = -32022;
}

/// What is added to an error.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    None,
    Uri(String),
    RequestedVersion(String),
}

/// An error in answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    code: i32,
    message: String,
    data: Data,
}

impl RpcError {
    /// An error with a [`code`] and a sentence for people.
    #[must_use]
    pub fn new(code: i32, message: impl fmt::Display) -> Self {
        Self { code, message: short_string(message), data: Data::None }
    }

    /// [`code::INVALID_PARAMS`].
    #[must_use]
    pub fn params(message: impl fmt::Display) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    /// The resource does not exist; the code depends on the revision.
    #[must_use]
    pub fn no_resource(revision: Revision, uri: &str) -> Self {
        let code = if revision.is_modern() { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
        Self { code, message: short_string("Resource not found"), data: Data::Uri(short_string(uri)) }
    }

    /// The request's revision is not served.
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        let message = short_string("Unsupported protocol version");
        Self { code: code::UNSUPPORTED_VERSION, message, data: Data::RequestedVersion(short_string(requested)) }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.code
    }
}

impl fmt::Display for RpcError {
    /// The error object.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{\"code\":{},\"message\":{}", self.code, Quoted(&self.message))?;
        match &self.data {
            Data::None => {}
            Data::Uri(uri) => write!(formatter, ",\"data\":{{\"uri\":{}}}", Quoted(uri))?,
            Data::RequestedVersion(requested) => {
                write!(
                    formatter,
                    ",\"data\":{{\"supported\":{SupportedRevisions},\"requested\":{}}}",
                    Quoted(requested)
                )?;
            }
        }
        formatter.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = short_text("é".repeat(200));
        assert_eq!(text.len(), TEXT_BYTES_MAX);
        assert_eq!(short_text(format_args!("a{}", "é".repeat(200))).len(), TEXT_BYTES_MAX - 1);
    }

    #[test]
    fn errors_are_objects() {
        assert_eq!(RpcError::params("no \"x\"").to_string(), r#"{"code":-32602,"message":"no \"x\""}"#);
        let error = RpcError::unsupported_version("1999-01-01").to_string();
        assert!(error.starts_with(r#"{"code":-32022,"#) && error.ends_with(r#""requested":"1999-01-01"}}"#), "{error}");
        assert_eq!(RpcError::no_resource(Revision::V2025_11_25, "x").code(), code::RESOURCE_NOT_FOUND);
        assert_eq!(RpcError::no_resource(Revision::V2026_07_28, "x").code(), code::INVALID_PARAMS);
    }
}
