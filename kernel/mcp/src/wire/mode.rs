//! Which of the three modes the line is in, and what changes it.

use crate::message;

/// How the serial line is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By people.
    #[default]
    Console,
    /// By a program that writes and reads JSON lines. Nothing else is sent, a kernel fault excepted.
    Plain,
    /// By a bridge that writes and reads frames. Text outside frames is for people.
    Checked,
}

/// Whether a line typed on the console starts plain mode: a complete JSON-RPC request `initialize` or `server/discover`. The line
/// is then the first message of the session.
#[must_use]
pub fn detect_plain_start(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && message::is_opening_request(line)
}

/// Whether a line in plain mode is the command that goes back to the console.
#[must_use]
pub fn is_console_command(line: &[u8]) -> bool {
    line.trim_ascii() == b"/console"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_opening_requests_start_plain_mode() {
        let starts = |line: &str| detect_plain_start(line.as_bytes());
        assert!(starts(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#));
        assert!(starts(r#"{"method":"server/discover","id":"x","jsonrpc":"2.0"}"#));
        for prompt in [
            "",
            "{",
            "{ what is this? }",
            "[1,2]",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","method":"initialize"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"initialize"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"initialize"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize"} and more"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"initialize"}]"#,
        ] {
            assert!(!starts(prompt), "{prompt}");
        }
        assert!(!detect_plain_start(b"{\xFF}"));
    }

    #[test]
    fn commands_may_have_blanks_around() {
        assert!(is_console_command(b"/console\r") && !is_console_command(b"console"));
    }
}
