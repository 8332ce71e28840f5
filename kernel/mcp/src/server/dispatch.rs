//! Lines to messages, messages to methods.

use super::Server;
use super::batch::{Batch, Messages};
use super::call::{Context, Stage};
use super::request::{self, Method};
use crate::id::RequestId;
use crate::json;
use crate::message::{self, Incoming, Params};
use crate::outbox::Outbox;
use crate::resources::{ResourceList, TemplateList};
use crate::rpc_error::{RpcError, code};
use crate::tools::ToolList;
use serde_json::value::RawValue;

use super::answer::Cache;
use crate::prompts::PromptList;

impl Server<'_> {
    /// Takes a line from the client. Whatever it holds: each request gets exactly one answer, now or later, and what is no message
    /// gets an error. Call it while [`Outbox::has_room_to_receive`].
    pub fn receive_line(&mut self, line: &[u8], now_ns: u64, outbox: &mut Outbox<'_>) {
        match self.read_line(line, outbox) {
            None => {}
            Some(text) if text.starts_with('[') => self.batch(text, now_ns, outbox),
            Some(text) => self.message(text, None, now_ns, outbox),
        }
    }

    /// Takes a line while the outbox has only [`Outbox::has_room_to_refuse`]: requests get an error, notifications are heard.
    pub fn refuse_line(&mut self, line: &[u8], outbox: &mut Outbox<'_>) {
        let Some(text) = self.read_line(line, outbox) else { return };
        let busy = RpcError::new(code::INTERNAL, "Busy: earlier answers still wait for the line. Try again.");
        if text.starts_with('[') {
            return self.reply_error(None, None, &busy, outbox);
        }
        match message::read(text) {
            Incoming::Request { id, .. } => self.reply_error(Some(&id), None, &busy, outbox),
            Incoming::Notification { method, params } => self.notification(&method, params),
            Incoming::Response => {}
            Incoming::Invalid { id, error } => self.reply_error(id.as_ref(), None, &error, outbox),
        }
    }

    /// The JSON of a line; what is none, or breaks the bounds, is answered.
    fn read_line<'l>(&mut self, line: &'l [u8], outbox: &mut Outbox<'_>) -> Option<&'l str> {
        let Ok(text) = core::str::from_utf8(line) else {
            self.reply_error(None, None, &RpcError::new(code::PARSE, "Parse error: not UTF-8"), outbox);
            return None;
        };
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return None;
        }
        // Neither step keeps more than a byte per level of nesting.
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            let error = RpcError::new(code::PARSE, format_args!("Parse error: {error}"));
            self.reply_error(None, None, &error, outbox);
            return None;
        }
        if let Err(bounds) = json::check(text) {
            let error = RpcError::new(code::INVALID_REQUEST, format_args!("Invalid request: {bounds}"));
            self.reply_error(message::id_of(text).as_ref(), None, &error, outbox);
            return None;
        }
        Some(text)
    }

    /// Answers a line that was dropped because it was longer than [`crate::LINE_BYTES_MAX`].
    pub fn receive_too_long(&mut self, outbox: &mut Outbox<'_>) {
        let reason = format_args!("Invalid request: a line is longer than {} bytes", crate::LINE_BYTES_MAX);
        self.reply_error(None, None, &RpcError::new(code::INVALID_REQUEST, reason), outbox);
    }

    /// Answers a line of which bytes were lost on their way, or lines that were lost whole.
    pub fn receive_broken(&mut self, outbox: &mut Outbox<'_>) {
        let reason = "Parse error: bytes were lost on the serial line (overrun or framing error). Nothing of this line was carried \
            out; send again what has no answer.";
        self.reply_error(None, None, &RpcError::new(code::PARSE, reason), outbox);
    }

    fn batch(&mut self, text: &str, now_ns: u64, outbox: &mut Outbox<'_>) {
        let index = match self.begin_batch() {
            Ok(index) => index,
            Err(error) => return self.reply_error(None, None, &error, outbox),
        };
        match serde_json::from_str::<Messages<'_>>(text) {
            Ok(Messages(messages)) if !messages.is_empty() => {
                for value in messages {
                    self.message(value.get(), Some(index), now_ns, outbox);
                }
            }
            Ok(_) => {
                let error = RpcError::new(code::INVALID_REQUEST, "Invalid request: an empty array");
                self.reply_error(None, None, &error, outbox);
            }
            Err(_) => {
                let error = RpcError::new(code::INVALID_REQUEST, "Invalid request: more than 32 messages in an array");
                self.reply_error(None, None, &error, outbox);
            }
        }
        self.send_batch(index, outbox);
    }

    fn begin_batch(&mut self) -> Result<usize, RpcError> {
        let refuse = |reason: &str| RpcError::new(code::INVALID_REQUEST, reason);
        if !self.session.is_some_and(|revision| revision.has_batches()) {
            return Err(refuse("Invalid request: arrays of messages are not part of this revision"));
        }
        let free = self.batches.iter().position(Option::is_none);
        let index =
            free.ok_or_else(|| refuse("Invalid request: earlier arrays of messages still wait for their answers"))?;
        if let (Some(batch), Some(buffer)) = (self.batches.get_mut(index), self.buffers.batches.get_mut(index)) {
            *batch = Some(Batch { waiting: 0 });
            buffer.clear();
        }
        Ok(index)
    }

    fn message(&mut self, text: &str, batch: Option<usize>, now_ns: u64, outbox: &mut Outbox<'_>) {
        match message::read(text) {
            Incoming::Request { id, method, params } => self.request(id, &method, params, batch, now_ns, outbox),
            Incoming::Notification { method, params } => self.notification(&method, params),
            Incoming::Response => {}
            Incoming::Invalid { id, error } => self.reply_error(id.as_ref(), batch, &error, outbox),
        }
    }

    fn request(
        &mut self,
        id: RequestId,
        method: &str,
        params: Params<'_>,
        batch: Option<usize>,
        now_ns: u64,
        outbox: &mut Outbox<'_>,
    ) {
        // `initialize` may be a new client's, which knows nothing of the old one's ids.
        if method != "initialize" && self.is_in_use(&id) {
            // With the id it would look like the answer to the first request.
            let error =
                RpcError::new(code::INVALID_REQUEST, "Invalid request: the id belongs to a request that still runs");
            return self.reply_error(None, batch, &error, outbox);
        }
        let result = request::resolve(method, params, self.session).and_then(|resolved| {
            let context =
                Context { id: id.clone(), revision: resolved.revision, progress_token: resolved.progress_token, batch };
            self.carry_out(resolved.method, &context, params, now_ns, outbox)
        });
        if let Err(error) = result {
            self.reply_error(Some(&id), batch, &error, outbox);
        }
    }

    fn is_in_use(&self, id: &RequestId) -> bool {
        let mut live = self.calls.iter().flatten().filter(|call| !matches!(call.stage, Stage::Abandoned));
        live.any(|call| call.context.id == *id) || self.listens.contains(id)
    }

    /// Answers a request, or opens a call that is answered later.
    fn carry_out(
        &mut self,
        method: Method,
        context: &Context,
        params: Params<'_>,
        now_ns: u64,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        let revision = context.revision;
        match method {
            Method::Initialize => self.initialize(context, params, outbox)?,
            Method::Discover => self.discover(context, outbox),
            Method::Ping => self.reply_empty(context, outbox),
            Method::ToolsList => self.list(context, params, &ToolList(revision), outbox)?,
            Method::ToolsCall => self.call_tool(context, params, now_ns, outbox)?,
            Method::ResourcesList => self.list(context, params, &ResourceList(revision), outbox)?,
            Method::TemplatesList => self.list(context, params, &TemplateList(revision), outbox)?,
            Method::ResourcesRead => self.read_resource(context, params, now_ns)?,
            Method::PromptsList => self.list(context, params, &PromptList(revision), outbox)?,
            Method::PromptsGet => self.get_prompt(context, params, now_ns, outbox)?,
            Method::Complete => self.complete(context, params, outbox)?,
            Method::SetLevel => self.set_log_level(context, params, outbox)?,
            Method::Listen => self.listen(context, params, outbox)?,
        }
        Ok(())
    }

    /// Everything is on one page, so every cursor is a wrong one.
    fn list(
        &mut self,
        context: &Context,
        params: Params<'_>,
        members: &dyn core::fmt::Display,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        if request::has_cursor(params) {
            return Err(RpcError::params("Invalid params: unknown \"cursor\""));
        }
        self.reply(context, Cache::Fixed, members, outbox);
        Ok(())
    }

    /// Notifications are never answered, not even wrong ones.
    fn notification(&mut self, method: &str, params: Params<'_>) {
        if method != "notifications/cancelled" {
            return;
        }
        let Some(id) = request::cancelled_id(params) else { return };
        self.listens.retain(|listen| *listen != id);
        let is_meant = |call: &super::Call| call.context.id == id && !matches!(call.stage, Stage::Abandoned);
        if let Some(place) = self.calls.iter().position(|call| call.as_ref().is_some_and(is_meant)) {
            self.abandon(place);
        }
    }
}
