//! Generate: the prompt, then token by token, as text while it comes.

use alloc::vec::Vec;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request};
use barellama_abi::syscall::{EmitKind, Phase};

use crate::machine::{Machine, Progress, Ticket};
use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt;
use crate::request_error::RequestError;
use crate::sampler::{SampleError, Sampler};
use crate::text_stream::TextStream;

/// Answers a request.
///
/// # Errors
/// Why the request is refused.
pub fn generate(
    machine: &mut Machine<'_>,
    prepared: &Prepared<'_>,
    ticket: &Ticket,
    request: &Request<'_>,
) -> Result<Outcome, RequestError> {
    let kernel = machine.kernel();
    let start_ns = kernel.clock_ns();
    let tokens = prompt::tokens(prepared, request)?;
    let stops = stop_strings(request)?;
    let session = &mut machine.sessions[ticket.header.session as usize];
    let context = session.context();
    if tokens.len() > context {
        return Err(RequestError::PromptTooLong { tokens: tokens.len(), context });
    }
    let prompt_tokens = tokens.len();
    // The last token is always run again: its logits are not kept.
    let reused_tokens = session.reuse(&tokens, prompt_tokens - 1);
    let most = match ticket.header.max_tokens as usize {
        0 => context,
        most => most,
    };
    let mut answer = Answer {
        machine,
        prepared,
        ticket,
        sampler: Sampler::new(ticket.header.sampling),
        stream: TextStream::new(&stops),
        output: Output::new(kernel, ticket.header.id, EmitKind::Text),
        tokens,
        most,
        generated: 0,
        first_token_ns: 0,
        last_token_ns: 0,
    };
    let stopped_by = answer.run(reused_tokens)?;
    // What was held back may end with a stop string after all.
    let stop_reason = if answer.finish() { StopReason::StopString } else { stopped_by };
    let (generated, first_ns, last_ns) = (answer.generated, answer.first_token_ns, answer.last_token_ns);
    let prompt_end_ns = if generated > 0 { first_ns } else { kernel.clock_ns() };
    Ok(Outcome {
        stop_reason,
        prompt_tokens: count(prompt_tokens),
        reused_tokens: count(reused_tokens),
        generated_tokens: count(generated),
        context_used_tokens: count(machine.sessions[ticket.header.session as usize].tokens.len()),
        context_tokens: count(context),
        prompt_ns: prompt_end_ns.saturating_sub(start_ns),
        decode_ns: last_ns.saturating_sub(first_ns),
    })
}

fn stop_strings<'r>(request: &Request<'r>) -> Result<Vec<&'r str>, RequestError> {
    let stops = request.records().filter(|record| record.kind == RecordKind::Stop);
    stops.map(|record| prompt::text(record.bytes)).collect()
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// An answer in the making.
struct Answer<'a, 'e, 'm> {
    machine: &'a mut Machine<'e>,
    prepared: &'a Prepared<'m>,
    ticket: &'a Ticket,
    sampler: Sampler,
    stream: TextStream,
    output: Output<'e>,
    /// The prompt and what was generated.
    tokens: Vec<u32>,
    /// Tokens to generate at most.
    most: usize,
    generated: usize,
    first_token_ns: u64,
    last_token_ns: u64,
}

impl Answer<'_, '_, '_> {
    /// Runs what the session does not hold yet, then generates until something ends it.
    fn run(&mut self, reused: usize) -> Result<StopReason, RequestError> {
        let total = (self.tokens.len() - reused) as u64;
        let mut progress = Progress { phase: Phase::Prefill, done: 0, total };
        let mut pending = reused;
        loop {
            let token = match self.next_token(pending, progress) {
                Ok(choice) => choice?,
                Err(stop) => return Ok(stop),
            };
            if let Some(stop) = self.take(token) {
                return Ok(stop);
            }
            pending = self.tokens.len() - 1;
            progress = Progress { phase: Phase::Decode, done: self.generated as u64, total: self.most as u64 };
        }
    }

    /// Runs the tokens from index `pending` on and chooses the one that follows.
    fn next_token(&mut self, pending: usize, progress: Progress) -> Result<Result<u32, SampleError>, StopReason> {
        let Self { machine, ticket, sampler, tokens, .. } = self;
        let (history, run) = (&tokens[..], &tokens[pending..]);
        let mut choice = Err(SampleError::Empty);
        machine.advance(ticket, run, run.len() - 1, progress, &mut |_, logits| {
            choice = sampler.sample(logits, history);
        })?;
        Ok(choice)
    }

    /// Takes a token into the answer; a reason ends it.
    fn take(&mut self, token: u32) -> Option<StopReason> {
        let is_end = self.prepared.tokenizer.is_end_of_generation(token);
        if is_end && !self.ticket.header.ignore_end {
            return Some(StopReason::EndOfGeneration);
        }
        let now_ns = self.machine.kernel().clock_ns();
        if self.generated == 0 {
            self.first_token_ns = now_ns;
        }
        self.last_token_ns = now_ns;
        self.generated += 1;
        self.tokens.push(token);
        let mut bytes = Vec::new();
        self.prepared.tokenizer.piece(token, false, &mut bytes);
        if self.stream.push(&bytes, &mut |text| self.output.say(text)) {
            return Some(StopReason::StopString);
        }
        if self.generated >= self.most && self.ticket.header.max_tokens != 0 {
            return Some(StopReason::MaxTokens);
        }
        let session = &self.machine.sessions[self.ticket.header.session as usize];
        (session.tokens.len() >= session.context()).then_some(StopReason::ContextFull)
    }

    /// Emits what was held back. Whether it ended with a stop string.
    fn finish(&mut self) -> bool {
        self.stream.finish(&mut |text| self.output.say(text))
    }
}
