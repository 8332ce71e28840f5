//! Calls that are on their way: who asked, what for, and how far it is.

use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::Phase;

use super::work::Ticket;
use crate::id::{ProgressToken, RequestId};
use crate::prompts::Prompt;
use crate::resources::Resource;
use crate::revision::Revision;
use crate::rpc_error::ShortText;
use crate::tools::Tool;

/// Most calls at a time, resources and status included.
pub const CALLS_MAX: usize = 6;

/// Who asked, and how the answer has to look.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub id: RequestId,
    pub revision: Revision,
    pub progress_token: Option<ProgressToken>,
    /// The batch that the answer belongs to.
    pub batch: Option<usize>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Tool(Tool),
    /// `models` with the action `load`.
    LoadModel,
    Resource(Resource),
    Prompt(Prompt),
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The kernel has it.
    Open,
    /// The client does not want it any more; the kernel still has it.
    Abandoned,
    /// The kernel has ended it; the answer is not written yet.
    Ended(Outcome),
    Failed,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub ticket: Ticket,
    pub context: Context,
    pub subject: Subject,
    pub is_for_engine: bool,
    pub stage: Stage,
    pub error: ShortText,
    /// The collected text was cut.
    pub is_truncated: bool,
    /// The collected text's length as JSON.
    pub quoted_bytes: usize,
    pub arrived_ns: u64,
    pub started_ns: Option<u64>,
    /// Whether the engine has made a step for it.
    pub is_computed: bool,
    /// For how many other calls the engine made steps when it made the first for this one.
    pub joined: usize,
    pub progress: Progress,
}

/// A call that the engine has not taken after so long counts as waiting.
const QUEUE_NS: u64 = 100_000_000;
/// One that it took while it computes for others counts as waiting when there was no step for it after so long.
const FIRST_STEP_NS: u64 = 1_000_000_000;

impl Call {
    pub fn new(ticket: Ticket, context: Context, subject: Subject, is_for_engine: bool, now_ns: u64) -> Self {
        Self {
            ticket,
            context,
            subject,
            is_for_engine,
            stage: Stage::Open,
            error: ShortText::new(),
            is_truncated: false,
            quoted_bytes: 0,
            arrived_ns: now_ns,
            started_ns: None,
            is_computed: false,
            joined: 0,
            progress: Progress::default(),
        }
    }

    /// Whether new text goes out while it comes.
    pub fn streams_text(&self) -> bool {
        matches!(self.subject, Subject::Tool(Tool::Generate | Tool::Chat))
            && self.context.revision.has_progress_message()
    }

    pub fn note_started(&mut self, now_ns: u64) {
        self.started_ns.get_or_insert(now_ns);
    }

    /// Whether the kernel has not ended it.
    pub fn is_with_engine(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Abandoned)
    }

    /// Whether the engine makes steps for it.
    pub fn is_running(&self) -> bool {
        self.is_for_engine && self.is_computed && self.is_with_engine()
    }

    /// When the client has to be told that the call waits, unless there is a step for it before; `None` if that was said or is not wanted.
    pub fn queue_notice_ns(&self) -> Option<u64> {
        let is_waiting = self.is_for_engine && !self.is_computed && self.wants_news();
        is_waiting.then(|| match self.started_ns {
            None => self.arrived_ns.saturating_add(QUEUE_NS),
            Some(started_ns) => started_ns.saturating_add(FIRST_STEP_NS),
        })
    }

    /// Whether the client has to be told that the call joined others.
    pub fn has_to_say_joined(&self) -> bool {
        self.joined > 0 && self.wants_news()
    }

    /// Whether the client wants progress and has not got any.
    fn wants_news(&self) -> bool {
        self.context.progress_token.is_some() && self.progress.last.is_none() && matches!(self.stage, Stage::Open)
    }

    pub fn queue_ns(&self) -> u64 {
        self.started_ns.map_or(0, |started_ns| started_ns.saturating_sub(self.arrived_ns))
    }
}

/// How far a call is, and what the client was told about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Steps of the prompt, or of preparation.
    before: u64,
    /// Generated tokens.
    decoded: u64,
    /// Most tokens to generate; 0: nobody knows.
    most: u32,
    pub total: Option<u64>,
    /// The last number that was sent; numbers must increase.
    pub last: Option<u64>,
    /// When that was.
    pub last_ns: u64,
    /// Bytes of the collected text that were sent.
    pub sent_bytes: usize,
}

impl Progress {
    /// At most so many tokens will be generated; 0: nobody knows.
    pub fn expect_tokens(&mut self, most: u32) {
        self.most = most;
    }

    /// Notes that `done` of `total` steps of a phase are made. Both phases of a generation count in one row.
    pub fn note(&mut self, phase: Phase, done: u64, total: u64) {
        match phase {
            Phase::Prepare => {
                self.before = done;
                self.total = Some(total);
            }
            Phase::Prefill => {
                self.before = done;
                self.total = (self.most > 0).then(|| total.saturating_add(self.most.into()));
            }
            Phase::Decode => {
                self.decoded = done;
                self.total = (total > 0).then(|| self.before.saturating_add(total));
            }
        }
    }

    /// All steps that were made.
    pub fn reached(&self) -> u64 {
        self.before.saturating_add(self.decoded)
    }

    /// The number for a notification that has something new to say; 0 is for the queue's.
    pub fn next(&self) -> u64 {
        self.reached().max(self.last.unwrap_or(0).saturating_add(1))
    }

    /// Whether there are steps that were not told.
    pub fn has_advanced(&self) -> bool {
        self.reached() > self.last.unwrap_or(0)
    }
}
