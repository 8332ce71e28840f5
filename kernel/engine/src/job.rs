//! A request that computes: which tokens it has to run, and what becomes of their logits.

use alloc::vec::Vec;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::Speculation;
use barellama_abi::syscall::Phase;

use crate::compute::batch::Batch;
use crate::generate::Answer;
use crate::kernel_calls::Kernel;
use crate::machine::{Machine, NO_TOKEN, Ticket};
use crate::prepare::Prepared;
use crate::request_error::RequestError;
use crate::score::Scores;
use crate::serve::Prompt;
use crate::speculation::{Drafter, PassCosts};

/// Tokens so far and what they are for.
pub struct Job<'e> {
    /// The request.
    pub ticket: Ticket,
    /// The session that it works on.
    pub session: usize,
    /// The prompt, ids that are forced behind it, and what was generated.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    reused_tokens: usize,
    /// Made-up positions among the reused ones.
    filled_tokens: usize,
    /// Tokens that were there from the start.
    given_tokens: usize,
    goal: Goal<'e>,
    drafter: Drafter,
    /// Tokens that the session holds after the pass, as far as they are verified.
    verified: usize,
    /// Whether rows of this pass still count: none was run for a token that was not chosen.
    is_on_track: bool,
    end: Option<Result<StopReason, RequestError>>,
    times: Times,
    /// Tokens that the pass gave.
    pass_tokens: usize,
    decode_passes: u32,
    decode_work: PassShare,
}

/// A request's share of what a pass cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassShare {
    /// Bytes of weights, keys and values that were read.
    pub bytes: u64,
    /// Instructions of all cores; 0: they are not counted.
    pub instructions: u64,
}

/// What logits are for.
pub enum Goal<'e> {
    /// Text.
    Answer(Answer<'e>),
    /// What the model would choose.
    Scores(Scores<'e>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    start_ns: u64,
    /// When the first and the last token was chosen; 0: none was.
    first_ns: u64,
    last_ns: u64,
}

/// What came of a row of logits.
pub enum Chosen {
    /// A token that has to be run next.
    Token(u32),
    /// The tokens that follow are given.
    Given,
    /// The end.
    End(StopReason),
}

impl<'e> Job<'e> {
    /// A job for a free session, which then is busy. `given` are the prompt and `forced` tokens behind it.
    #[must_use]
    pub fn new(machine: &mut Machine<'e>, ticket: Ticket, session: usize, prompt: Prompt<'e>) -> Self {
        let Prompt { mut given, forced, filled, goal, mut start_ns } = prompt;
        let prompt_tokens = filled + given.len() - forced;
        let reused_tokens = if filled > 0 {
            machine.fill(session, filled);
            start_ns = machine.kernel().clock_ns();
            given.splice(..0, core::iter::repeat_n(NO_TOKEN, filled));
            filled
        } else {
            // The last token of the prompt is always run again: its logits are not kept.
            machine.begin(session, &given, prompt_tokens.saturating_sub(1))
        };
        machine.sessions[session].is_busy = true;
        let mode = if matches!(goal, Goal::Answer(_)) { ticket.header.speculation } else { Speculation::Off };
        Self {
            ticket,
            session,
            prompt_tokens,
            reused_tokens,
            filled_tokens: filled,
            given_tokens: given.len(),
            tokens: given,
            goal,
            drafter: Drafter::new(mode),
            verified: reused_tokens,
            is_on_track: true,
            end: None,
            times: Times { start_ns, ..Times::default() },
            pass_tokens: 0,
            decode_passes: 0,
            decode_work: PassShare::default(),
        }
    }

    /// Whether it generates: all that it was given was run.
    #[must_use]
    pub const fn is_decoding(&self) -> bool {
        self.verified >= self.given_tokens
    }

    /// Puts tokens that have to be run into a batch, at most `most`; behind the last of them a draft of at most `ahead` tokens.
    pub fn fill(&mut self, batch: &mut Batch, most: usize, ahead: usize, context: usize, costs: &PassCosts) {
        let first = self.verified;
        let end = self.tokens.len().min(first + most);
        // Rows are wanted from the last one of the prompt on.
        let wanted = (self.prompt_tokens - 1).saturating_sub(first);
        let is_last = end == self.tokens.len();
        let rows = batch.tokens.len() + end - first;
        let ahead = if is_last && self.is_decoding() { ahead.min(context - end) } else { 0 };
        let draft = self.drafter.draft(&self.tokens, rows, ahead, costs);
        batch.push_drafted(self.session, first, &self.tokens[first..end], draft, wanted);
        self.is_on_track = true;
        self.pass_tokens = 0;
    }

    /// Takes the logits of the session's token at `position`.
    pub fn take_logits(
        &mut self,
        prepared: &Prepared<'_>,
        context: usize,
        position: usize,
        logits: &[f32],
        now_ns: u64,
    ) {
        if !self.is_on_track || self.end.is_some() {
            return;
        }
        let held = position + 1;
        self.verified = held;
        let chosen = match &mut self.goal {
            Goal::Answer(answer) => answer.choose(prepared, &self.tokens, logits),
            Goal::Scores(scores) => scores.choose(self.tokens.len() > held, logits),
        };
        match chosen {
            Ok(Chosen::Given) => {}
            Ok(Chosen::End(stop)) => self.end = Some(Ok(stop)),
            Ok(Chosen::Token(token)) => {
                self.tokens.push(token);
                self.is_on_track = self.drafter.note(token);
                self.note_token(prepared, held, context);
            }
            Err(error) => self.end = Some(Err(error)),
        }
        if matches!(self.end, Some(Ok(StopReason::EndOfGeneration) | Err(_))) {
            return;
        }
        self.pass_tokens += 1;
        if self.times.first_ns == 0 && held >= self.given_tokens {
            self.times.first_ns = now_ns;
        }
        self.times.last_ns = now_ns;
    }

    fn note_token(&mut self, prepared: &Prepared<'_>, held: usize, context: usize) {
        let stop = match &mut self.goal {
            Goal::Answer(answer) => answer.take(prepared, self.tokens[self.tokens.len() - 1]),
            Goal::Scores(_) => None,
        };
        let stop = stop.or((held >= context).then_some(StopReason::ContextFull));
        self.end = stop.map(Ok);
    }

    /// Ends a pass whose tokens are in the session now: forgets those that were not verified.
    pub fn end_pass(&mut self, machine: &mut Machine<'_>, was_decoding: bool, share: PassShare) {
        let session = &mut machine.sessions[self.session].tokens;
        if self.is_decoding() {
            session.truncate(self.verified);
        } else {
            self.verified = session.len();
        }
        self.drafter.end_pass();
        if was_decoding && self.pass_tokens > 0 {
            self.decode_passes += 1;
            self.decode_work.bytes += share.bytes;
            self.decode_work.instructions += share.instructions;
        }
    }

    /// Forgets a pass that was not finished, but for the tokens that were verified.
    pub fn give_up_pass(&self, machine: &mut Machine<'_>) {
        machine.sessions[self.session].tokens.truncate(self.verified);
    }

    /// Ends it from outside.
    pub fn stop(&mut self, reason: StopReason) {
        self.end.get_or_insert(Ok(reason));
    }

    /// Whether it ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// What a progress report says: phase, steps done, steps in all.
    #[must_use]
    pub fn progress(&self) -> (Phase, u64, u64) {
        let (done, total) = match (&self.goal, self.is_decoding()) {
            (_, false) => {
                let (done, total) = (self.verified - self.reused_tokens, self.given_tokens - self.reused_tokens);
                return (Phase::Prefill, done as u64, total as u64);
            }
            (Goal::Answer(answer), true) => (answer.generated(), answer.most()),
            (Goal::Scores(scores), true) => (scores.steps(), scores.most()),
        };
        (Phase::Decode, done as u64, total.max(done) as u64)
    }

    /// Frees the session, says what was held back and gives the outcome.
    ///
    /// # Errors
    /// Why the request failed.
    pub fn finish(self, machine: &mut Machine<'_>, kernel: &dyn Kernel) -> Result<Outcome, RequestError> {
        let context_tokens = machine.context();
        let session = &mut machine.sessions[self.session];
        session.is_busy = false;
        let context_used_tokens = count(session.tokens.len());
        if self.filled_tokens > 0 {
            // What was made up is of use to nobody.
            session.tokens.clear();
        }
        let stop_reason = self.end.unwrap_or(Ok(StopReason::Error))?;
        let (stop_reason, generated) = match self.goal {
            Goal::Answer(mut answer) => (answer.finish(stop_reason), answer.generated()),
            Goal::Scores(scores) => (stop_reason, scores.steps()),
        };
        let Times { start_ns, first_ns, last_ns } = self.times;
        let prompt_end_ns = if first_ns > 0 { first_ns } else { kernel.clock_ns() };
        Ok(Outcome {
            stop_reason,
            prompt_tokens: count(self.prompt_tokens - self.filled_tokens),
            reused_tokens: count(self.reused_tokens - self.filled_tokens),
            generated_tokens: count(generated),
            context_used_tokens,
            context_tokens: count(context_tokens),
            prompt_ns: prompt_end_ns.saturating_sub(start_ns),
            decode_ns: last_ns.saturating_sub(first_ns),
            decode_passes: self.decode_passes,
            drafted_tokens: self.drafter.drafted,
            accepted_tokens: self.drafter.accepted,
            decode_bytes: self.decode_work.bytes,
            decode_instructions: self.decode_work.instructions,
        })
    }
}

/// A count for an outcome.
#[must_use]
pub fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
