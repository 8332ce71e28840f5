//! What goes out late: progress in groups, results, batches.

use core::fmt;

use barellama_abi::outcome::{Outcome, StopReason};

use super::Server;
use super::answer::{Cache, Notification, Response};
use super::batch::BatchBuffer;
use super::call::{Call, Stage, Subject};
use super::read::{Contents, ReadResult};
use super::tool_result::{Benchmark, Detokenized, Figures, Generation, Loaded, Steps, Tokens, ToolError, ToolResult};
use super::{CALLS_MAX, deliver, result};
use crate::json::Quoted;
use crate::outbox::{Outbox, OutboxFull};
use crate::prompts::{PROMPTS, PromptResult};
use crate::rpc_error::{RpcError, code};
use crate::tools::Tool;

/// New text waits at most so long for more.
const GROUP_NS: u64 = 100_000_000;
/// So much new text does not wait.
const GROUP_BYTES: usize = 512;
/// While so much waits for the line, progress waits too: the groups grow until the line keeps up.
const BACKLOG_BYTES: usize = 1 << 10;

impl Server<'_> {
    /// Writes what is due: progress, answers of calls that ended, complete batches. Call it whenever a call moved on or messages have left,
    /// and at [`Self::next_flush_ns`].
    pub fn flush(&mut self, now_ns: u64, outbox: &mut Outbox<'_>) {
        for place in 0..CALLS_MAX {
            // What does not fit now is tried again at the next flush.
            let _ = self
                .flush_queue(place, now_ns, outbox)
                .and_then(|()| self.flush_progress(place, now_ns, outbox))
                .and_then(|()| self.flush_end(place, outbox));
        }
        for index in 0..self.batches.len() {
            self.send_batch(index, outbox);
        }
    }

    /// When [`Self::flush`] has something to write even if nothing else happens and the outbox has room.
    #[must_use]
    pub fn next_flush_ns(&self) -> Option<u64> {
        let texts = self.buffers.texts.iter();
        let calls = self.calls.iter().zip(texts).filter_map(|(call, text)| Some((call.as_ref()?, text)));
        calls
            .filter_map(|(call, text)| match call.stage {
                Stage::Ended(_) | Stage::Failed => Some(0),
                Stage::Open if call.has_to_say_joined() => Some(0),
                Stage::Open if self.has_to_wait(call) => call.queue_notice_ns(),
                Stage::Open if has_news(call, text) => Some(call.progress.last_ns.saturating_add(GROUP_NS)),
                _ => None,
            })
            .min()
    }

    /// Calls that came before this one and are with the engine.
    fn calls_before(&self, call: &Call) -> usize {
        let is_before = |other: &&Call| other.is_for_engine && other.is_with_engine() && other.ticket < call.ticket;
        self.calls.iter().flatten().filter(is_before).count()
    }

    /// Whether a call without a step waits for others. Alone in the engine's hands it does not: its first step is long.
    fn has_to_wait(&self, call: &Call) -> bool {
        call.queue_notice_ns().is_some() && (call.started_ns.is_none() || self.calls_before(call) > 0)
    }

    /// Tells a client that wants progress that its call waits, or that it runs together with others.
    fn flush_queue(&mut self, place: usize, now_ns: u64, outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
        let Some(call) = self.calls.get(place).and_then(Option::as_ref) else { return Ok(()) };
        let is_late = self.has_to_wait(call) && call.queue_notice_ns().is_some_and(|at_ns| at_ns <= now_ns);
        if !is_late && !call.has_to_say_joined() {
            return Ok(());
        }
        let state = match (call.joined, self.calls_before(call)) {
            (0, 0) => QueueState::Waits,
            (0, before) => QueueState::Behind(before),
            (others, _) => QueueState::Joined(others),
        };
        write_queue_state(call, state, outbox)?;
        if let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) {
            call.progress.last = Some(0);
            call.progress.last_ns = now_ns;
        }
        Ok(())
    }

    /// Tells what is new about a call, if it is time.
    fn flush_progress(&mut self, place: usize, now_ns: u64, outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
        let (Some(call), Some(text)) =
            (self.calls.get_mut(place).and_then(Option::as_mut), self.buffers.texts.get(place))
        else {
            return Ok(());
        };
        if !is_due(call, text, now_ns, outbox) {
            return Ok(());
        }
        match write_progress(call, text, outbox) {
            Ok(()) => {
                call.progress.last = Some(call.progress.next());
                call.progress.last_ns = now_ns;
                call.progress.sent_bytes = text.len();
                Ok(())
            }
            // It will never fit: the result has the text too.
            Err(_) if outbox.used_bytes() == 0 => Ok(()),
            Err(full) => Err(full),
        }
    }

    /// Answers a call that ended.
    fn flush_end(&mut self, place: usize, outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
        let (Some(call), Some(text)) = (self.calls.get(place).and_then(Option::as_ref), self.buffers.texts.get(place))
        else {
            return Ok(());
        };
        let outcome = match call.stage {
            Stage::Ended(outcome) => outcome,
            Stage::Failed => Outcome { stop_reason: StopReason::Error, ..Outcome::default() },
            Stage::Open | Stage::Abandoned => return Ok(()),
        };
        let batch = call.context.batch;
        write_end(&mut self.buffers.batches, call, text, outcome, outbox)?;
        self.close_call(place, batch, outbox);
        Ok(())
    }

    /// Writes the answers of a batch if they are complete and the outbox has room.
    pub(super) fn send_batch(&mut self, index: usize, outbox: &mut Outbox<'_>) {
        let (Some(batch), Some(buffer)) = (self.batches.get_mut(index), self.buffers.batches.get_mut(index)) else {
            return;
        };
        let is_complete = batch.is_some_and(|batch| batch.waiting == 0);
        if is_complete && (buffer.is_empty() || outbox.message(buffer).is_ok()) {
            *batch = None;
        }
    }
}

/// The text that the client has not seen yet.
fn unsent<'t>(call: &Call, text: &'t str) -> &'t str {
    if call.streams_text() { text.get(call.progress.sent_bytes..).unwrap_or("") } else { "" }
}

fn has_news(call: &Call, text: &str) -> bool {
    call.context.progress_token.is_some() && (call.progress.has_advanced() || !unsent(call, text).is_empty())
}

fn is_due(call: &Call, text: &str, now_ns: u64, outbox: &Outbox<'_>) -> bool {
    match call.stage {
        Stage::Open => {
            let has_waited = call.progress.last.is_none()
                || now_ns >= call.progress.last_ns.saturating_add(GROUP_NS)
                || unsent(call, text).len() >= GROUP_BYTES;
            has_news(call, text) && has_waited && outbox.used_bytes() < BACKLOG_BYTES
        }
        // The last words: progress ends with the answer.
        Stage::Ended(_) => call.context.progress_token.is_some() && !unsent(call, text).is_empty(),
        Stage::Abandoned | Stage::Failed => false,
    }
}

fn write_progress(call: &Call, text: &str, outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
    let Some(token) = &call.context.progress_token else { return Ok(()) };
    let progress = call.progress.next();
    outbox.write(&mut |out| {
        let total = Member { name: "total", value: call.progress.total.filter(|total| *total >= progress) };
        let message = unsent(call, text);
        let message = Member { name: "message", value: (!message.is_empty()).then_some(Quoted(message)) };
        let params = format_args!("\"progressToken\":{token},\"progress\":{progress}{total}{message}");
        write!(out, "{}", Notification { method: "notifications/progress", params: &params })
    })
}

/// Where a call is that has nothing else to tell.
#[derive(Clone, Copy)]
enum QueueState {
    /// The engine works for somebody else, or cannot work now.
    Waits,
    /// Behind so many calls.
    Behind(usize),
    /// Runs together with so many calls.
    Joined(usize),
}

impl fmt::Display for QueueState {
    /// As a JSON string.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits => formatter.write_str("\"queued: the engine is busy\""),
            Self::Behind(before) => write!(formatter, "\"queued: {before} before this one\""),
            Self::Joined(others) => write!(formatter, "\"joined: runs together with {others} other\""),
        }
    }
}

/// Its progress is 0, which no other notification has.
fn write_queue_state(call: &Call, state: QueueState, outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
    let Some(token) = &call.context.progress_token else { return Ok(()) };
    let message = Member { name: "message", value: call.context.revision.has_progress_message().then_some(state) };
    let params = format_args!("\"progressToken\":{token},\"progress\":0{message}");
    outbox.message(&Notification { method: "notifications/progress", params: &params })
}

/// Displays a member behind others, if there is a value.
struct Member<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T: fmt::Display> fmt::Display for Member<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(formatter, ",\"{}\":{value}", self.name),
            None => Ok(()),
        }
    }
}

/// Writes the answer of a call that ended.
fn write_end(
    batches: &mut [BatchBuffer],
    call: &Call,
    text: &str,
    outcome: Outcome,
    outbox: &mut Outbox<'_>,
) -> Result<(), OutboxFull> {
    let context = &call.context;
    let mut give = |cache: Cache, members: &dyn fmt::Display| {
        let object = result(context.revision, cache, members);
        deliver(batches, context, &Response::Result(&context.id, &object), outbox)
    };
    if matches!(outcome.stop_reason, StopReason::Error | StopReason::Fault) {
        let reason = reason(call, outcome);
        return match call.subject {
            Subject::Tool(_) | Subject::LoadModel => give(Cache::Silent, &ToolError(reason)),
            Subject::Resource(_) | Subject::Prompt(_) => {
                let error = RpcError::new(code::INTERNAL, reason);
                deliver(batches, context, &Response::Error(Some(&context.id), &error), outbox)
            }
        };
    }
    match call.subject {
        Subject::Tool(tool) => write_tool(tool, call, text, outcome, &mut |members| give(Cache::Silent, members)),
        Subject::LoadModel => {
            let members = Loaded(text);
            give(Cache::Silent, &ToolResult { revision: context.revision, text: None, members: &members })
        }
        Subject::Resource(resource) => {
            let text = Collected { text, is_truncated: call.is_truncated };
            give(Cache::Never, &ReadResult { resource, contents: Contents::Text(&text) })
        }
        Subject::Prompt(prompt) => {
            let info = PROMPTS.iter().find(|info| info.prompt == prompt);
            let description = info.map_or("", |info| info.description);
            give(Cache::Silent, &PromptResult { description, text: &text })
        }
    }
}

fn reason(call: &Call, outcome: Outcome) -> &str {
    match (call.error.is_empty(), outcome.stop_reason) {
        (false, _) => &call.error,
        (true, StopReason::Fault) => {
            "The engine faulted and was restarted; see pi://faults. The call can be made again."
        }
        (true, _) => "The board could not carry out the call",
    }
}

/// Displays collected text and, if it was cut, says so.
struct Collected<'a> {
    text: &'a str,
    is_truncated: bool,
}

impl fmt::Display for Collected<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text)?;
        if self.is_truncated { formatter.write_str("\n[cut off here: too long]\n") } else { Ok(()) }
    }
}

type Give<'g> = &'g mut dyn FnMut(&dyn fmt::Display) -> Result<(), OutboxFull>;

/// Gives the result of a tool that the engine carried out.
fn write_tool(tool: Tool, call: &Call, text: &str, outcome: Outcome, give: Give<'_>) -> Result<(), OutboxFull> {
    const DAMAGED: ToolError<'_> = ToolError("The engine gave an answer of a wrong form");
    let is_truncated = call.is_truncated;
    let figures = Figures { outcome, is_truncated, queue_ns: call.queue_ns() };
    let revision = call.context.revision;
    let mut give_result =
        |text: Option<&str>, members: &dyn fmt::Display| give(&ToolResult { revision, text, members });
    match tool {
        Tool::Generate | Tool::Chat => give_result(Some(text), &Generation(figures)),
        Tool::Detokenize => give_result(Some(text), &Detokenized { is_truncated }),
        Tool::Benchmark => give_result(None, &Benchmark(figures)),
        Tool::Tokenize => match Tokens::read(text, is_truncated) {
            Some(tokens) => give_result(None, &tokens),
            None => give(&DAMAGED),
        },
        Tool::Score => match Steps::read(text, figures) {
            Some(steps) => give_result(None, &steps),
            None => give(&DAMAGED),
        },
        Tool::SystemStatus | Tool::Models => give(&ToolError("The board has no answer")),
    }
}
