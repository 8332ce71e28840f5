//! What a JSON value is by JSON-RPC 2.0.

use alloc::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::id::RequestId;
use crate::rpc_error::{RpcError, code};

/// The parameters of a message, an object if present.
pub(crate) type Params<'a> = Option<&'a RawValue>;

/// A message from the client.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// Wants exactly one answer.
    Request { id: RequestId, method: Cow<'a, str>, params: Params<'a> },
    /// Wants none.
    Notification { method: Cow<'a, str>, params: Params<'a> },
    /// An answer; this server asks for nothing.
    Response,
    /// No message. The answer has that id, or null.
    Invalid { id: Option<RequestId>, error: RpcError },
}

/// The members of a message, each as it stands: a wrong type of one must not hide the id.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Params<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Params<'a>,
}

/// Reads a member that is there, also if it is null.
pub(crate) fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Params<'a>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a JSON string.
pub(crate) fn string<'a>(value: &'a RawValue) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'a>>(value.get()).ok().map(|text| text.0)
}

/// Whether a value is an object.
pub(crate) fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// Reads a JSON value that is no array.
pub(crate) fn read(value: &str) -> Incoming<'_> {
    let invalid = |id, message: &str| Incoming::Invalid { id, error: RpcError::new(code::INVALID_REQUEST, message) };
    let Some(envelope) = envelope(value) else {
        return invalid(None, "Invalid request: a message is an object with each member once");
    };
    let id = envelope.id.and_then(RequestId::from_json);
    if envelope.jsonrpc.and_then(string).is_none_or(|version| version != "2.0") {
        return invalid(id, "Invalid request: \"jsonrpc\" must be \"2.0\"");
    }
    if envelope.id.is_some() && id.is_none() && envelope.method.is_some() {
        return invalid(None, "Invalid request: \"id\" must be an integer or a string of at most 126 bytes");
    }
    let Some(method) = envelope.method else {
        return match envelope.result.or(envelope.error) {
            Some(_) => Incoming::Response,
            None => invalid(id, "Invalid request: \"method\" is missing"),
        };
    };
    let Some(method) = string(method) else {
        return invalid(id, "Invalid request: \"method\" must be a string");
    };
    match (id, envelope.params) {
        (Some(id), Some(params)) if !is_object(params) => wrong_params(id, params),
        (Some(id), params) => Incoming::Request { id, method, params },
        (None, params) => Incoming::Notification { method, params },
    }
}

/// The reader would take an array for the members in their order, too.
fn envelope(value: &str) -> Option<Envelope<'_>> {
    value.starts_with('{').then(|| serde_json::from_str(value).ok())?
}

/// Lists of parameters are JSON-RPC, but no method here has any; other values are not even that.
fn wrong_params<'a>(id: RequestId, params: &RawValue) -> Incoming<'a> {
    let code = if params.get().starts_with('[') { code::INVALID_PARAMS } else { code::INVALID_REQUEST };
    Incoming::Invalid { id: Some(id), error: RpcError::new(code, "\"params\" must be an object") }
}

/// The id of a message that is refused unread. It costs no memory but a byte per level of nesting.
pub(crate) fn id_of(value: &str) -> Option<RequestId> {
    envelope(value)?.id.and_then(RequestId::from_json)
}

/// Whether a line is a request with which a session can start.
pub(crate) fn is_opening_request(line: &[u8]) -> bool {
    let Ok(line) = core::str::from_utf8(line) else { return false };
    let is_request = |method: &str| method == "initialize" || method == "server/discover";
    crate::json::check(line).is_ok() && matches!(read(line), Incoming::Request { method, .. } if is_request(&method))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::{String, ToString};

    fn summary(text: &str) -> String {
        match read(text) {
            Incoming::Request { id, method, params } => format!("request {id} {method} {}", params.is_some()),
            Incoming::Notification { method, .. } => format!("notification {method}"),
            Incoming::Response => "response".to_string(),
            Incoming::Invalid { id, error } => {
                format!("{} {}", error.code(), id.map_or("null".to_string(), |id| id.to_string()))
            }
        }
    }

    #[test]
    fn messages_are_what_json_rpc_says() {
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping false"),
            (r#"{"jsonrpc":"2.0","id":"a","method":"p\u0069ng","params":{}}"#, "request \"a\" ping true"),
            (r#"{"jsonrpc":"2.0","method":"x","params":[1]}"#, "notification x"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "response"),
            (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, "response"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "-32600 null"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "-32600 null"),
            (r#"{"jsonrpc":"2.0","id":[],"method":"ping"}"#, "-32600 null"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "-32600 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "-32600 1"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600 1"),
            (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "-32600 1"),
            (r#"{"id":"x","method":"ping"}"#, "-32600 \"x\""),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, "-32602 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, "-32600 1"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, "-32600 1"),
            ("{}", "-32600 null"),
            ("1", "-32600 null"),
            (r#"["2.0",1,"ping",{}]"#, "-32600 null"),
            ("\"x\"", "-32600 null"),
            ("null", "-32600 null"),
        ] {
            assert_eq!(summary(text), expected, "{text}");
        }
    }
}
