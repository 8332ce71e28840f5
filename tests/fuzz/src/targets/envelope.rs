//! The bridge's reader of messages, on the PC: what the client or a board in trouble sends.

#[path = "../../../../host/src/bridge/envelope.rs"]
mod reader;

use reader::{Message, read};
use serde_json::value::RawValue;

/// Any bytes as a line.
pub fn run(data: &[u8]) {
    let is_json = std::str::from_utf8(data)
        .is_ok_and(|text| serde_json::from_str::<&RawValue>(text.trim_matches([' ', '\t', '\r', '\n'])).is_ok());
    let Ok(read) = read(data) else {
        assert!(!is_json, "JSON is refused");
        return;
    };
    assert!(is_json, "what is no JSON is passed on");
    assert!(read.is_batch || read.messages.len() == 1);
    for message in &read.messages {
        match message {
            Message::Request { id, method } => check(&id.to_string(), Some(method)),
            Message::Cancelled { id } => check(&id.to_string(), None),
            Message::Response { id, is_error } => {
                check(&id.to_string(), None);
                assert!(*is_error || data.windows(6).any(|part| part == b"result") || data.contains(&b'\\'));
            }
            Message::Notification { method } => assert_ne!(method, "notifications/cancelled"),
            Message::Other => {}
        }
    }
}

/// An id is echoed as JSON.
fn check(id: &str, method: Option<&str>) {
    assert!(serde_json::from_str::<&RawValue>(id).is_ok(), "{id}");
    assert!(method.is_none_or(|method| method.len() < 1 << 20));
}
