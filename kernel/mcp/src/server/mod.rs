//! The MCP server: sessions, calls and answers.
//!
//! The kernel gives it lines ([`Server::receive_line`]), fetches what has to be done ([`Server::next_work`]), says how that goes
//! ([`Server::text`], [`Server::progress`], [`Server::finish`], ...) and lets it write what is due ([`Server::flush`]).
//!
//! Each [`Ticket`] is ended by the kernel exactly once, cancelled or not: by [`Server::finish`] or [`Server::fail`], or by the answer
//! that belongs to it ([`Server::status`], [`Server::models`], [`Server::resource_text`], [`Server::resource_blob`]). Until then it holds
//! one of [`CALLS_MAX`] places. Words about tickets that are ended already are ignored.

mod answer;
mod batch;
mod call;
mod complete;
mod dispatch;
mod feed;
mod flush;
mod handshake;
mod listen;
mod logging;
mod prompt_get;
mod read;
mod request;
mod tool_call;
mod tool_result;
mod work;

pub use call::CALLS_MAX;
pub use logging::LogLevel;
pub(crate) use work::Records;
pub use work::{ModelEntry, Submission, SystemStatus, Ticket, Work};

use core::fmt;

use heapless::{Deque, String, Vec};

use crate::id::RequestId;
use crate::outbox::{Outbox, OutboxFull};
use crate::revision::Revision;
use crate::rpc_error::{RpcError, code};
use answer::{Cache, Response, ResultObject};
use batch::{BATCHES_MAX, Batch, BatchBuffer};
use call::{Call, Context, Stage};
use listen::LISTENS_MAX;

/// Most bytes of text that a call collects, as JSON: what comes after that is dropped and the result says so.
pub const TEXT_BYTES_MAX: usize = 40 << 10;

/// Each live call has at most its order and its cancel in the queue.
const WORK_MAX: usize = 2 * CALLS_MAX;

/// The large part of a server, about 370 KiB of zeros: keep it in a static.
#[derive(Debug)]
pub struct Buffers {
    /// Collected text of each call.
    texts: [String<TEXT_BYTES_MAX>; CALLS_MAX],
    batches: [BatchBuffer; BATCHES_MAX],
}

impl Buffers {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { texts: [const { String::new() }; CALLS_MAX], batches: [const { BatchBuffer::new() }; BATCHES_MAX] }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// A server for one client at a time.
#[derive(Debug)]
pub struct Server<'b> {
    buffers: &'b mut Buffers,
    /// What `initialize` agreed on.
    session: Option<Revision>,
    log_level: Option<LogLevel>,
    calls: [Option<Call>; CALLS_MAX],
    batches: [Option<Batch>; BATCHES_MAX],
    listens: Vec<RequestId, LISTENS_MAX>,
    work: Deque<Work, WORK_MAX>,
    last_ticket: u32,
}

impl<'b> Server<'b> {
    /// A server that nobody talks to yet.
    #[must_use]
    pub fn new(buffers: &'b mut Buffers) -> Self {
        Self {
            buffers,
            session: None,
            log_level: None,
            calls: [const { None }; CALLS_MAX],
            batches: [None; BATCHES_MAX],
            listens: Vec::new(),
            work: Deque::new(),
            last_ticket: 0,
        }
    }

    /// The next thing to do; ask until there is none after each line and after [`Self::reset`].
    pub fn next_work(&mut self) -> Option<Work> {
        self.work.pop_front()
    }

    /// How many calls are open, abandoned ones included.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.calls.iter().flatten().count()
    }

    /// The client is gone, or another one has come: its session ends and all it asked for is cancelled, without a word.
    pub fn reset(&mut self) {
        self.session = None;
        self.log_level = None;
        self.listens.clear();
        self.batches = [None; BATCHES_MAX];
        for place in 0..CALLS_MAX {
            self.abandon(place);
        }
    }

    /// Drops a call's answer; the kernel is asked to stop if it still works on it.
    fn abandon(&mut self, place: usize) {
        let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) else { return };
        match call.stage {
            Stage::Open => {
                call.stage = Stage::Abandoned;
                let batch = call.context.batch.take();
                let cancel = Work::Cancel { ticket: call.ticket };
                self.push_work(cancel);
                self.note_answered(batch);
            }
            Stage::Abandoned => {}
            Stage::Ended(_) | Stage::Failed => {
                let batch = call.context.batch;
                self.remove(place);
                self.note_answered(batch);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(call) = self.calls.get_mut(place) {
            *call = None;
        }
    }

    fn push_work(&mut self, work: Work) {
        // The queue has room for all that the calls can have in it.
        let _ = self.work.push_back(work);
    }

    /// One of the batch's calls needs no answer any more.
    fn note_answered(&mut self, batch: Option<usize>) {
        if let Some(batch) = batch.and_then(|index| self.batches.get_mut(index)).and_then(Option::as_mut) {
            batch.waiting = batch.waiting.saturating_sub(1);
        }
    }

    /// Writes the result of a request at once.
    fn reply(&mut self, context: &Context, cache: Cache, members: &dyn fmt::Display, outbox: &mut Outbox<'_>) {
        self.reply_object(context, &result(context.revision, cache, members), outbox);
    }

    /// Writes an empty result.
    fn reply_empty(&mut self, context: &Context, outbox: &mut Outbox<'_>) {
        let object = ResultObject { has_members: false, ..result(context.revision, Cache::Silent, &"") };
        self.reply_object(context, &object, outbox);
    }

    fn reply_object(&mut self, context: &Context, object: &ResultObject<'_>, outbox: &mut Outbox<'_>) {
        let answer = Response::Result(&context.id, object);
        self.write_answer(Some(&context.id), context.batch, &answer, outbox);
    }

    fn reply_error(&mut self, id: Option<&RequestId>, batch: Option<usize>, error: &RpcError, outbox: &mut Outbox<'_>) {
        self.write_answer(id, batch, &Response::Error(id, error), outbox);
    }

    fn write_answer(
        &mut self,
        id: Option<&RequestId>,
        batch: Option<usize>,
        answer: &dyn fmt::Display,
        outbox: &mut Outbox<'_>,
    ) {
        write_answer(&mut self.buffers.batches, id, batch, answer, outbox);
    }
}

/// Writes an answer where it belongs; one that is too long becomes an error.
fn write_answer(
    batches: &mut [BatchBuffer],
    id: Option<&RequestId>,
    batch: Option<usize>,
    answer: &dyn fmt::Display,
    outbox: &mut Outbox<'_>,
) {
    if let Some(buffer) = batch.and_then(|index| batches.get_mut(index)) {
        if !buffer.push(answer) {
            buffer.push_error(&Response::Error(id, &batch::no_room()));
        }
    } else if outbox.message(answer).is_err() {
        let error = RpcError::new(code::INTERNAL, "The answer is too long for the board's memory");
        if outbox.message(&Response::Error(id, &error)).is_err() {
            outbox.note_lost();
        }
    }
}

/// Writes the answer of a call into its batch, or into the outbox if that has room or will never have.
fn deliver(
    batches: &mut [BatchBuffer],
    context: &Context,
    answer: &dyn fmt::Display,
    outbox: &mut Outbox<'_>,
) -> Result<(), OutboxFull> {
    if context.batch.is_none() && outbox.used_bytes() > 0 {
        return outbox.message(answer);
    }
    write_answer(batches, Some(&context.id), context.batch, answer, outbox);
    Ok(())
}

/// A result with members.
fn result(revision: Revision, cache: Cache, members: &dyn fmt::Display) -> ResultObject<'_> {
    ResultObject { revision, cache, meta: &"", members, has_members: true }
}
