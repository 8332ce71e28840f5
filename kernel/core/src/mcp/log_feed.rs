//! Lines of the log for those who asked: clients (`logging/setLevel`), and `barellama console`, which shows them apart from the text.

use barellama_mcp::server::LogLevel;
use barellama_mcp::wire::{Mode, log_frames};

use super::Mcp;
use crate::logging::{self, LogLine};
use crate::serial::Serial;

/// A line of the log as frames, with room to spare for what people read.
const ROOM_BYTES: usize = 8 << 10;

impl Mcp {
    /// A console on the PC wants the log, what there is of it already included.
    pub(super) fn begin_console_log(&mut self) {
        self.console_log_position.get_or_insert(0);
    }

    /// Sends the console on the PC what was logged since the last call. Returns whether there was anything.
    pub fn tell_console_log(&mut self, serial: &Serial) -> bool {
        let Some(position) = self.console_log_position.as_mut().filter(|_| self.mode == Mode::Console) else {
            return false;
        };
        let mut line = LogLine::new();
        let mut has_worked = false;
        while serial.free_bytes() >= ROOM_BYTES && logging::read_line(position, &mut line) {
            log_frames(&line).for_each(|frame| serial.write(&frame));
            has_worked = true;
        }
        has_worked
    }

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
