//! Log messages for clients of the old era. Nothing is sent until a client sets a level: the line is slow.

use alloc::borrow::Cow;

use serde::Deserialize;

use super::Server;
use super::answer::Notification;
use super::call::Context;
use super::request::required;
use crate::json::Quoted;
use crate::message::Params;
use crate::outbox::{Outbox, RECEIVE_ROOM_BYTES};
use crate::rpc_error::RpcError;

/// How bad it is (RFC 5424), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For those who look for faults.
    Debug,
    /// What happens.
    Info,
    /// What matters.
    Notice,
    /// What may become worse.
    Warning,
    /// What went wrong.
    Error,
    /// A part failed.
    Critical,
    /// Someone has to act.
    Alert,
    /// Nothing works.
    Emergency,
}

const LEVELS: [(LogLevel, &str); 8] = [
    (LogLevel::Debug, "debug"),
    (LogLevel::Info, "info"),
    (LogLevel::Notice, "notice"),
    (LogLevel::Warning, "warning"),
    (LogLevel::Error, "error"),
    (LogLevel::Critical, "critical"),
    (LogLevel::Alert, "alert"),
    (LogLevel::Emergency, "emergency"),
];

impl LogLevel {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        LEVELS.into_iter().find(|level| level.1 == name).map(|level| level.0)
    }

    fn name(self) -> &'static str {
        LEVELS.into_iter().find(|level| level.0 == self).map_or("", |level| level.1)
    }
}

impl Server<'_> {
    pub(super) fn set_log_level(
        &mut self,
        context: &Context,
        params: Params<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        #[derive(Deserialize)]
        struct SetLevel<'a> {
            #[serde(borrow)]
            level: Cow<'a, str>,
        }
        let SetLevel { level } = required(params)?;
        let level = LogLevel::from_name(&level).ok_or_else(|| RpcError::params("Invalid params: unknown \"level\""))?;
        self.log_level = Some(level);
        self.reply_empty(context, outbox);
        Ok(())
    }

    /// Whether the client wants lines of the log.
    #[must_use]
    pub fn wants_log(&self) -> bool {
        self.session.is_some() && self.log_level.is_some()
    }

    /// Whether the outbox has room to spare for lines of the log.
    #[must_use]
    pub fn has_room_to_log(&self, outbox: &Outbox<'_>) -> bool {
        outbox.free_bytes() >= 2 * RECEIVE_ROOM_BYTES
    }

    /// Tells the client a line of the log, if it wants lines of that level and the outbox has room to spare.
    pub fn log(&mut self, level: LogLevel, line: &str, outbox: &mut Outbox<'_>) {
        let is_wanted = self.wants_log() && self.log_level.is_some_and(|wanted| level >= wanted);
        if !is_wanted || !self.has_room_to_log(outbox) {
            return;
        }
        let params = format_args!("\"level\":\"{}\",\"logger\":\"kernel\",\"data\":{}", level.name(), Quoted(line));
        // A line that does not fit is still in the log resource.
        let _ = outbox.message(&Notification { method: "notifications/message", params: &params });
    }
}
