//! What the kernel says about calls.

use core::fmt;

use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::Phase;

use super::answer::{Cache, Response};
use super::call::{Call, Stage, Subject};
use super::tool_result::{Models, Status, ToolResult};
use super::work::{ModelEntry, SystemStatus, Ticket};
use super::{Server, TEXT_BYTES_MAX, deliver, result};
use crate::json::quoted_bytes;
use crate::outbox::{Outbox, OutboxFull};
use crate::rpc_error::short_text;

impl Server<'_> {
    /// The engine has taken the call out of the queue.
    pub fn started(&mut self, ticket: Ticket, now_ns: u64) {
        if let Some((_, call)) = self.open_call(ticket) {
            call.note_started(now_ns);
        }
    }

    /// The engine made a step for the call.
    fn note_computed(&mut self, ticket: Ticket, now_ns: u64) -> Option<(usize, &mut Call)> {
        let others = self.calls.iter().flatten().filter(|call| call.is_running() && call.ticket != ticket).count();
        let (place, call) = self.open_call(ticket)?;
        call.note_started(now_ns);
        if !core::mem::replace(&mut call.is_computed, true) {
            call.joined = others;
        }
        Some((place, call))
    }

    /// Text that belongs to the result of a call; for `tokenize` and `score` the JSON that the engine emits.
    pub fn text(&mut self, ticket: Ticket, text: &str, now_ns: u64) {
        let Some((place, call)) = self.note_computed(ticket, now_ns) else { return };
        if call.is_truncated {
            return;
        }
        let room = TEXT_BYTES_MAX - call.quoted_bytes;
        let fits = longest_start(text, room);
        call.is_truncated = fits.len() < text.len();
        call.quoted_bytes += quoted_bytes(fits);
        if let Some(collected) = self.buffers.texts.get_mut(place) {
            // As JSON it is at least as long, and that fits.
            let _ = collected.push_str(fits);
        }
    }

    /// How far a call is: `done` of `total` steps of a phase.
    pub fn progress(&mut self, ticket: Ticket, phase: Phase, done: u64, total: u64, now_ns: u64) {
        let Some((_, call)) = self.note_computed(ticket, now_ns) else { return };
        call.progress.note(phase, done, total);
    }

    /// Why a call will fail, a sentence for people: what the engine emits as an error before it finishes.
    pub fn error_text(&mut self, ticket: Ticket, text: &str) {
        if let Some((_, call)) = self.open_call(ticket) {
            call.error = short_text(text.trim_end());
        }
    }

    /// A call ended. The answer goes out by [`Self::flush`].
    pub fn finish(&mut self, ticket: Ticket, outcome: &Outcome, now_ns: u64) {
        if let Some((_, call)) = self.open_call(ticket) {
            call.note_started(now_ns);
            call.stage = Stage::Ended(*outcome);
        } else {
            self.forget_abandoned(ticket);
        }
    }

    /// A call cannot be carried out; `text` says why. The answer goes out by [`Self::flush`].
    pub fn fail(&mut self, ticket: Ticket, text: &str) {
        self.error_text(ticket, text);
        if let Some((_, call)) = self.open_call(ticket) {
            call.stage = Stage::Failed;
        } else {
            self.forget_abandoned(ticket);
        }
    }

    /// Answers a [`super::Work::Status`]; ends the ticket.
    ///
    /// # Errors
    /// [`OutboxFull`]: nothing happened, try again when messages have left.
    pub fn status(
        &mut self,
        ticket: Ticket,
        status: &SystemStatus<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        let open_calls = self.open_calls();
        self.end_tool(ticket, &Status { status, open_calls }, outbox)
    }

    /// Answers a [`super::Work::ListModels`]; ends the ticket.
    ///
    /// # Errors
    /// [`OutboxFull`]: nothing happened, try again when messages have left.
    pub fn models(
        &mut self,
        ticket: Ticket,
        models: &[ModelEntry<'_>],
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        self.end_tool(ticket, &Models(models), outbox)
    }

    fn end_tool(
        &mut self,
        ticket: Ticket,
        members: &dyn fmt::Display,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        let Some((_, call)) = self.open_call(ticket) else {
            self.forget_abandoned(ticket);
            return Ok(());
        };
        let revision = call.context.revision;
        self.end(ticket, Cache::Silent, &ToolResult { revision, text: None, members }, outbox)
    }

    /// What an open or abandoned call is about; an abandoned one is forgotten.
    pub(super) fn subject(&mut self, ticket: Ticket) -> Option<Subject> {
        let subject = self.open_call(ticket).map(|(_, call)| call.subject);
        if subject.is_none() {
            self.forget_abandoned(ticket);
        }
        subject
    }

    /// Writes the result of an open call and removes it.
    pub(super) fn end(
        &mut self,
        ticket: Ticket,
        cache: Cache,
        members: &dyn fmt::Display,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        let Some((place, call)) = self.open_call(ticket) else { return Ok(()) };
        let context = call.context.clone();
        let object = result(context.revision, cache, members);
        deliver(&mut self.buffers.batches, &context, &Response::Result(&context.id, &object), outbox)?;
        self.close_call(place, context.batch, outbox);
        Ok(())
    }

    /// Removes a call whose answer is written.
    pub(super) fn close_call(&mut self, place: usize, batch: Option<usize>, outbox: &mut Outbox<'_>) {
        self.remove(place);
        self.note_answered(batch);
        if let Some(index) = batch {
            self.send_batch(index, outbox);
        }
    }

    fn open_call(&mut self, ticket: Ticket) -> Option<(usize, &mut Call)> {
        let mut calls = self.calls.iter_mut().enumerate();
        calls.find_map(|(place, call)| match call {
            Some(call) if call.ticket == ticket && matches!(call.stage, Stage::Open) => Some((place, call)),
            _ => None,
        })
    }

    fn forget_abandoned(&mut self, ticket: Ticket) {
        let is_meant = |call: &Call| call.ticket == ticket && matches!(call.stage, Stage::Abandoned);
        if let Some(place) = self.calls.iter().position(|call| call.as_ref().is_some_and(is_meant)) {
            self.remove(place);
        }
    }
}

/// The longest start of a text that takes at most so many bytes as JSON.
fn longest_start(text: &str, room: usize) -> &str {
    if quoted_bytes(text) <= room {
        return text;
    }
    let mut used = 0_usize;
    let mut buffer = [0; 4];
    let end = text.char_indices().find(|(_, character)| {
        used += quoted_bytes(character.encode_utf8(&mut buffer));
        used > room
    });
    text.get(..end.map_or(text.len(), |(at, _)| at)).unwrap_or("")
}
