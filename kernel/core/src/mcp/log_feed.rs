//! Lines of the log for clients that asked for them (`logging/setLevel`).

use barellama_mcp::server::LogLevel;

use super::Mcp;
use crate::logging::{self, LogLine};

impl Mcp {
    /// Sends what was logged since the last call, as far as there is room to spare. Returns whether there was anything.
    pub(super) fn tell_log(&mut self) -> bool {
        if !self.server.wants_log() {
            self.log_position = None;
            return false;
        }
        let position = self.log_position.get_or_insert_with(logging::end);
        let mut line = LogLine::new();
        let mut has_worked = false;
        while self.server.has_room_to_log(&self.outbox) && logging::read_line(position, &mut line) {
            self.server.log(level_of(&line), &line, &mut self.outbox);
            has_worked = true;
        }
        has_worked
    }
}

/// The level is the second word of a line, behind the time.
fn level_of(line: &str) -> LogLevel {
    match line.split_whitespace().nth(1) {
        Some("ERROR") => LogLevel::Error,
        Some("WARN") => LogLevel::Warning,
        Some("INFO") => LogLevel::Info,
        _ => LogLevel::Debug,
    }
}
