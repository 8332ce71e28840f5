//! The loop of core 0: takes requests, answers them, says how they ended.
//!
//! As many requests are taken as there are sessions; those that compute run together. What is not taken waits in the kernel.

use alloc::format;
use alloc::vec::Vec;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request, RequestKind, SESSION_ANY};
use barellama_abi::syscall::EmitKind;

use crate::describe;
use crate::generate::Answer;
use crate::job::{Goal, Job, count};
use crate::kernel_calls::{Kernel, Work};
use crate::machine::{Machine, Ticket};
use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt;
use crate::request_error::RequestError;
use crate::scheduler::{Scheduler, asked_to_stop, end};
use crate::score::Scores;
use crate::text_requests;

/// Serves requests until the kernel has no more work to give.
pub fn serve(machine: &mut Machine<'_>, prepared: &Prepared<'_>) {
    let mut service = Service {
        machine,
        prepared,
        scheduler: Scheduler::default(),
        waiting: Vec::new(),
        taken: 0,
        bytes: Vec::new(),
    };
    while service.take_requests() {
        service.start_waiting();
        let waiting: Vec<Ticket> = service.waiting.iter().map(|waiting| waiting.ticket).collect();
        service.scheduler.step(service.machine, prepared, &waiting);
    }
}

/// Says why a request (0: the preparation of the model) is refused, and ends it.
pub fn refuse(kernel: &dyn Kernel, request_id: u32, why: &str) {
    Output::new(kernel, request_id, EmitKind::Error).say(why);
    kernel.finish(request_id, &Outcome { stop_reason: StopReason::Error, ..Outcome::default() });
}

/// Serves without a model: the preparation and then every request are refused.
pub fn refuse_all(kernel: &dyn Kernel, why: &str) {
    refuse(kernel, 0, why);
    let mut bytes = Vec::new();
    while let Ok(work) = kernel.wait_for_work() {
        kernel.read_request(work, &mut bytes);
        refuse(kernel, request_id(&bytes), why);
    }
}

/// The id, even if the rest of the request is damaged.
fn request_id(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

/// A request whose session works on another one.
struct Waiting<'e> {
    ticket: Ticket,
    prompt: Prompt<'e>,
}

/// What a request that computes has to run, and what for.
pub struct Prompt<'e> {
    /// Tokens of the prompt, and those that are forced behind it.
    pub given: Vec<u32>,
    /// How many of the given tokens are forced behind the prompt.
    pub forced: usize,
    /// Positions in front of them that are made up.
    pub filled: usize,
    /// What the logits are for.
    pub goal: Goal<'e>,
    /// When the request was taken, in nanoseconds since the kernel started.
    pub start_ns: u64,
}

struct Service<'s, 'e, 'm> {
    machine: &'s mut Machine<'e>,
    prepared: &'s Prepared<'m>,
    scheduler: Scheduler<'e>,
    waiting: Vec<Waiting<'e>>,
    /// Requests taken so far.
    taken: u64,
    bytes: Vec<u8>,
}

impl<'e> Service<'_, 'e, '_> {
    /// Takes requests as long as there are sessions for them; waits for one if there is nothing to compute. `false` if there will
    /// be none.
    fn take_requests(&mut self) -> bool {
        let kernel = self.machine.kernel();
        while self.scheduler.len() + self.waiting.len() < self.machine.sessions.len() {
            let is_idle = self.scheduler.is_empty() && self.waiting.is_empty();
            let work = if is_idle { kernel.wait_for_work() } else { kernel.poll_for_work() };
            match work {
                Ok(work) => self.take(work),
                Err(_) => return !is_idle,
            }
        }
        true
    }

    fn take(&mut self, work: Work) {
        let kernel = self.machine.kernel();
        let mut bytes = core::mem::take(&mut self.bytes);
        kernel.read_request(work, &mut bytes);
        self.taken += 1;
        match Request::parse(&bytes) {
            None => refuse(kernel, request_id(&bytes), &format!("{}", RequestError::Malformed)),
            Some(request) => {
                let ticket = Ticket { header: *request.header(), slot: work.slot };
                match self.dispatch(&ticket, &request) {
                    Ok(None) => {}
                    Ok(Some(outcome)) => kernel.finish(ticket.header.id, &outcome),
                    Err(error) => end(kernel, ticket.header.id, Err(error)),
                }
            }
        }
        self.bytes = bytes;
    }

    /// Answers a request, or takes it for later: then there is no outcome yet.
    fn dispatch(&mut self, ticket: &Ticket, request: &Request<'_>) -> Result<Option<Outcome>, RequestError> {
        let (kernel, id, session) = (self.machine.kernel(), ticket.header.id, ticket.header.session);
        let sessions = self.machine.sessions.len();
        if session != SESSION_ANY && session as usize >= sessions {
            return Err(RequestError::NoSession { session, sessions });
        }
        let prepared = self.prepared;
        match ticket.header.kind {
            RequestKind::Generate | RequestKind::Score => {
                let prompt = self.prompt(ticket, request)?;
                self.waiting.push(Waiting { ticket: *ticket, prompt });
                return Ok(None);
            }
            RequestKind::Tokenize => text_requests::tokenize(kernel, prepared, id, request)?,
            RequestKind::Detokenize => text_requests::detokenize(kernel, prepared, id, request)?,
            RequestKind::Render => text_requests::render(kernel, prepared, id, request)?,
            RequestKind::Reset => self.reset(session)?,
            RequestKind::Describe => {
                let mut report = Output::new(kernel, id, EmitKind::Report);
                describe::model_card(&mut report, prepared);
                describe::arena_table(&mut report, &prepared.plan);
                describe::tensor_table(&mut report, prepared);
            }
        }
        Ok(Some(self.idle_outcome(session)))
    }

    /// The tokens that a request gives.
    fn prompt(&self, ticket: &Ticket, request: &Request<'_>) -> Result<Prompt<'e>, RequestError> {
        let kernel = self.machine.kernel();
        let start_ns = kernel.clock_ns();
        let header = &ticket.header;
        let mut given = prompt::tokens(self.prepared, request)?;
        let prompt_tokens = given.len();
        let context = self.machine.context();
        let goal = if header.kind == RequestKind::Score {
            let ids = prompt::ids(self.prepared, request, RecordKind::ForcedIds)?.unwrap_or_default();
            let scores = Scores::new(kernel, header, ids.len())?;
            // The id that follows the last step is never fed.
            given.extend(ids.iter().take(scores.most() - 1));
            Goal::Scores(scores)
        } else {
            Goal::Answer(Answer::new(kernel, header, request, context)?)
        };
        let filled = if header.kind == RequestKind::Score { header.filled_tokens as usize } else { 0 };
        let tokens = given.len().saturating_add(filled);
        if tokens > context {
            return Err(RequestError::PromptTooLong { tokens, context });
        }
        let forced = given.len() - prompt_tokens;
        Ok(Prompt { given, forced, filled, goal, start_ns })
    }

    /// Forgets a session, or all on which nothing works.
    fn reset(&mut self, session: u32) -> Result<(), RequestError> {
        let sessions = &mut self.machine.sessions;
        match sessions.get(session as usize) {
            Some(named) if named.is_busy => return Err(RequestError::SessionBusy(session)),
            Some(_) => sessions[session as usize].tokens.clear(),
            None => sessions.iter_mut().filter(|session| !session.is_busy).for_each(|session| session.tokens.clear()),
        }
        Ok(())
    }

    /// Starts the requests that can have a session, and ends those that were told to stop before.
    fn start_waiting(&mut self) {
        let kernel = self.machine.kernel();
        let mut still_waiting = Vec::new();
        for waiting in core::mem::take(&mut self.waiting) {
            let Waiting { ticket, prompt } = waiting;
            if let Some(stop_reason) = asked_to_stop(kernel, &ticket) {
                let outcome = Outcome { stop_reason, ..self.idle_outcome(ticket.header.session) };
                kernel.finish(ticket.header.id, &outcome);
                continue;
            }
            match self.machine.free_session(ticket.header.session, &prompt.given) {
                None => still_waiting.push(Waiting { ticket, prompt }),
                Some(session) => {
                    self.machine.sessions[session].last_use = self.taken;
                    self.scheduler.push(Job::new(self.machine, ticket, session, prompt));
                }
            }
        }
        self.waiting = still_waiting;
    }

    /// The outcome of a request that computed nothing.
    fn idle_outcome(&self, session: u32) -> Outcome {
        let session = self.machine.sessions.get(session as usize).or(self.machine.sessions.first());
        Outcome {
            stop_reason: StopReason::Complete,
            context_used_tokens: count(session.map_or(0, |session| session.tokens.len())),
            context_tokens: count(self.machine.context()),
            ..Outcome::default()
        }
    }
}
