//! What the bridge has to know of a message. It reads; the bytes that go on are those that came.

use std::borrow::Cow;

use barellama_mcp::id::RequestId;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message, as far as the bridge has to know it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Request {
        id: RequestId,
        method: Cow<'a, str>,
    },
    /// A request that is to be given up.
    Cancelled {
        id: RequestId,
    },
    Notification {
        method: Cow<'a, str>,
    },
    Response {
        id: RequestId,
        is_error: bool,
    },
    /// Something else, perhaps wrong: the other end will judge it.
    Other,
}

/// The messages of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Messages<'a> {
    pub messages: Vec<Message<'a>>,
    /// Whether they came in an array.
    pub is_batch: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CancelledParams<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
}

/// Reads a line.
///
/// # Errors
/// Why it is no JSON text in UTF-8, a sentence for people.
pub(super) fn read(line: &[u8]) -> Result<Messages<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?.trim_matches([' ', '\t', '\r', '\n']);
    serde_json::from_str::<&RawValue>(text).map_err(|error| error.to_string())?;
    if !text.starts_with('[') {
        return Ok(Messages { messages: vec![message(text)], is_batch: false });
    }
    let parts = serde_json::from_str::<Vec<&RawValue>>(text).map_err(|error| error.to_string())?;
    Ok(Messages { messages: parts.iter().map(|part| message(part.get())).collect(), is_batch: true })
}

fn message(text: &str) -> Message<'_> {
    // The reader would take an array for the members in their order, too.
    if !text.starts_with('{') {
        return Message::Other;
    }
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else { return Message::Other };
    let id = envelope.id.and_then(RequestId::from_json);
    match (id, envelope.method) {
        (Some(id), Some(method)) => Message::Request { id, method },
        (None, Some(method)) if method == "notifications/cancelled" => {
            cancelled_id(envelope.params).map_or(Message::Other, |id| Message::Cancelled { id })
        }
        (None, Some(method)) => Message::Notification { method },
        (Some(id), None) if envelope.error.is_some() => Message::Response { id, is_error: true },
        (Some(id), None) if envelope.result.is_some() => Message::Response { id, is_error: false },
        (_, None) => Message::Other,
    }
}

fn cancelled_id(params: Option<&RawValue>) -> Option<RequestId> {
    let text = params?.get();
    let params = text.starts_with('{').then(|| serde_json::from_str::<CancelledParams<'_>>(text).ok())??;
    RequestId::from_json(params.request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(line: &str) -> String {
        let Messages { messages, is_batch } = read(line.as_bytes()).unwrap();
        let parts = messages.iter().map(|message| match message {
            Message::Request { id, method } => format!("request {id} {method}"),
            Message::Cancelled { id } => format!("cancelled {id}"),
            Message::Notification { method } => format!("notification {method}"),
            Message::Response { id, is_error } => format!("response {id} {is_error}"),
            Message::Other => "other".to_owned(),
        });
        format!("{}{}", if is_batch { "batch " } else { "" }, parts.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn messages_are_told_apart() {
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
            (" {\"method\":\"p\\u0069ng\",\"id\":\"a\\\"b\"}\r", r#"request "a\"b" ping"#),
            (r#"{"method":"notifications/initialized"}"#, "notification notifications/initialized"),
            (r#"{"method":"notifications/cancelled","params":{"requestId":"x"}}"#, r#"cancelled "x""#),
            (r#"{"method":"notifications/cancelled","params":{}}"#, "other"),
            (r#"{"method":"notifications/cancelled","params":["x"]}"#, "other"),
            (r#"{"id":1,"result":{}}"#, "response 1 false"),
            (r#"{"id":1,"error":{"code":1}}"#, "response 1 true"),
            (r#"{"id":null,"error":{"code":1}}"#, "other"),
            (r#"{"id":1.5,"method":5}"#, "other"),
            (r#"[{"id":1,"method":"a"},{"method":"b"},7]"#, "batch request 1 a, notification b, other"),
            ("[]", "batch "),
            ("17", "other"),
        ] {
            assert_eq!(summary(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for line in [&b""[..], b"{", b"hello", b"{} {}", b"{\"a\":\"\x1b\"}", b"\xFF", b"{\"a\":\"\xC3\"}"] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }
}
