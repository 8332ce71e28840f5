//! The model at work: sessions, chunks, and the check after every step.

use alloc::vec::Vec;

use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RequestHeader, control};
use barellama_abi::syscall::Phase;

use crate::compute::kv_cache::{KvCache, KvElements, Part};
use crate::compute::linear::Arithmetic;
use crate::compute::team::{Crew, Team};
use crate::compute::transformer;
use crate::compute::weights::Weights;
use crate::compute::workspace::{LOGIT_ROWS, Workspace};
use crate::kernel_calls::Kernel;
use crate::prepare::{Prepared, area};

/// A step (one layer of one chunk) should not take longer, in nanoseconds: a cancel is noticed after one.
const STEP_NS: u64 = 250_000_000;
/// Tokens of the first chunk, before anything was measured.
const FIRST_CHUNK: usize = 8;

/// A KV cache and the tokens in it.
pub struct Session<'e> {
    /// The tokens whose keys and values are in the cache.
    pub tokens: Vec<u32>,
    cache: KvCache<'e>,
}

impl Session<'_> {
    /// Tokens that fit.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.cache.context()
    }

    /// Keeps what the cache already holds of `tokens`, at most `most` of them, and forgets the rest. Returns how many.
    pub fn reuse(&mut self, tokens: &[u32], most: usize) -> usize {
        let common = self.tokens.iter().zip(tokens).take_while(|(held, token)| held == token).count();
        let kept = common.min(most);
        self.tokens.truncate(kept);
        kept
    }
}

/// A request on its way through the machine.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The fixed part of the request.
    pub header: RequestHeader,
    /// Where its control word is.
    pub slot: usize,
}

/// What a progress report says.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is counted.
    pub phase: Phase,
    /// Steps done before this call.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// Weights, buffers, sessions and cores.
pub struct Machine<'e> {
    kernel: &'e dyn Kernel,
    team: &'e Team,
    /// Cores that run, at most the team's.
    cores: usize,
    weights: &'e Weights<'e>,
    workspace: Workspace<'e>,
    /// The sessions, by number.
    pub sessions: Vec<Session<'e>>,
    /// Measured time of one token in one layer of a chunk, in nanoseconds; 0: nothing was measured.
    token_layer_ns: u64,
}

impl<'e> Machine<'e> {
    /// Cuts the arena as the plan says. `arena` begins behind the heap; `None` if it is smaller than planned.
    /// `cores` of the team run.
    #[must_use]
    pub fn new(
        kernel: &'e dyn Kernel,
        team: &'e Team,
        cores: usize,
        prepared: &'e Prepared<'e>,
        arena: &'e mut [u8],
    ) -> Option<Self> {
        let weights = &prepared.weights;
        let mut rest = arena;
        let mut cut = |name: &str| -> Option<&'e mut [u8]> {
            let area = prepared.plan.areas.iter().find(|area| area.name == name)?;
            let (buffer, after) = core::mem::take(&mut rest).split_at_mut_checked(usize::try_from(area.bytes).ok()?)?;
            rest = after;
            Some(buffer)
        };
        let activations = floats(cut(area::ACTIVATIONS)?)?;
        let logits = floats(cut(area::LOGITS)?)?;
        let scratch = floats(cut(area::SCRATCH)?)?;
        let kv_cache = cut(area::KV_CACHE)?;
        let context = usize::try_from(prepared.plan.context).ok()?;
        Some(Self {
            kernel,
            team,
            cores: cores.clamp(1, team.cores()),
            weights,
            workspace: Workspace::new(&weights.config, &prepared.sizes, activations, logits, scratch),
            sessions: sessions(weights, kv_cache, prepared.sessions, context)?,
            token_layer_ns: 0,
        })
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &'e dyn Kernel {
        self.kernel
    }

    /// Size of the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.weights.config.vocabulary
    }

    /// Empties a session and makes up keys and values for its first positions, always the same ones between -1 and 1: for
    /// measuring at a position without computing what comes before it. The session has room for them.
    pub fn fill(&mut self, session: usize, positions: usize) {
        let config = &self.weights.config;
        let Some(session) = self.sessions.get_mut(session) else { return };
        session.tokens.clear();
        session.tokens.resize(positions, 0);
        let mut state = 0x9E37_79B9_u32;
        let mut values = alloc::vec![0.0; config.head];
        for layer in 0..config.blocks {
            for (part, kv_head) in [Part::Keys, Part::Values].into_iter().flat_map(|part| heads(part, config.kv_heads))
            {
                for position in 0..positions {
                    values.fill_with(|| xorshift(&mut state));
                    session.cache.store(layer, part, kv_head, position, &values);
                }
            }
        }
    }

    /// Appends tokens to a session, chunk by chunk, and gives the logits of each token from index `wanted` on to `each`.
    ///
    /// The session has room for them and they are below the size of the vocabulary. Tokens of whole chunks stay in the session
    /// whatever happens.
    ///
    /// # Errors
    /// Why the request ends early.
    pub fn advance(
        &mut self,
        ticket: &Ticket,
        tokens: &[u32],
        wanted: usize,
        progress: Progress,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), StopReason> {
        let mut done = 0;
        while done < tokens.len() {
            let end = tokens.len().min(done + self.chunk(ticket.header.chunk_tokens as usize));
            let progress = Progress { done: progress.done + done as u64, ..progress };
            self.run_chunk(ticket, &tokens[done..end], progress)?;
            let mut token = wanted.clamp(done, end);
            while token < end {
                let group = token..end.min(token + LOGIT_ROWS);
                self.run_head(ticket, group.start - done..group.end - done, progress, &mut |row, logits| {
                    each(group.start + row, logits);
                })?;
                token = group.end;
            }
            done = end;
        }
        Ok(())
    }

    fn run_chunk(&mut self, ticket: &Ticket, tokens: &[u32], progress: Progress) -> Result<(), StopReason> {
        let crew = self.crew(ticket);
        let Some(session) = self.sessions.get_mut(ticket.header.session as usize) else {
            return Err(StopReason::Error);
        };
        let first = session.tokens.len();
        let start_ns = self.kernel.clock_ns();
        let mut check = || check(self.kernel, ticket, progress);
        transformer::forward(&crew, self.weights, &mut self.workspace, &mut session.cache, tokens, first, &mut check)?;
        session.tokens.extend_from_slice(tokens);
        let layers = tokens.len() as u64 * self.weights.config.blocks as u64;
        self.token_layer_ns = self.kernel.clock_ns().saturating_sub(start_ns) / layers.max(1);
        Ok(())
    }

    fn run_head(
        &mut self,
        ticket: &Ticket,
        tokens: core::ops::Range<usize>,
        progress: Progress,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), StopReason> {
        let crew = self.crew(ticket);
        let logits = transformer::logits(&crew, self.weights, &mut self.workspace, tokens);
        for (row, logits) in logits.chunks_exact(self.weights.config.vocabulary).enumerate() {
            each(row, logits);
        }
        check(self.kernel, ticket, progress).map_or(Ok(()), Err)
    }

    fn crew(&self, ticket: &Ticket) -> Crew<'e> {
        let cores = match ticket.header.cores as usize {
            0 => self.cores,
            cores => cores.min(self.cores),
        };
        Crew { team: self.team, kernel: self.kernel, cores }
    }

    /// Tokens of the next chunk: what was asked for, else what fits a step at the measured speed.
    fn chunk(&self, asked: usize) -> usize {
        let most = self.workspace.chunk;
        match (asked, self.token_layer_ns) {
            (0, 0) => FIRST_CHUNK.min(most),
            (0, measured) => usize::try_from(STEP_NS / measured).unwrap_or(most).clamp(1, most),
            (asked, _) => asked.min(most),
        }
    }
}

/// Tells the kernel that a step was made and asks whether to go on.
fn check(kernel: &dyn Kernel, ticket: &Ticket, progress: Progress) -> Option<StopReason> {
    kernel.progress(ticket.header.id, progress.phase, progress.done, progress.total);
    match kernel.control(ticket.slot) {
        control::RUN => None,
        control::DEADLINE => Some(StopReason::Deadline),
        _ => Some(StopReason::Cancelled),
    }
}

fn heads(part: Part, count: usize) -> impl Iterator<Item = (Part, usize)> {
    (0..count).map(move |head| (part, head))
}

/// The next number of a xorshift sequence, between -1 and 1.
fn xorshift(state: &mut u32) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    (*state >> 8) as f32 / 8_388_608.0 - 1.0
}

fn floats(bytes: &mut [u8]) -> Option<&mut [f32]> {
    bytemuck::try_cast_slice_mut(bytes).ok()
}

fn sessions<'e>(weights: &Weights<'_>, area: &'e mut [u8], count: usize, context: usize) -> Option<Vec<Session<'e>>> {
    let elements = weights.config.kv_elements_per_token().checked_mul(context)?;
    let is_product = weights.arithmetic == Arithmetic::Product;
    let bytes = elements.checked_mul(if is_product { 2 } else { 4 })?;
    let session = |part: &'e mut [u8]| {
        let elements = if is_product {
            KvElements::F16(bytemuck::try_cast_slice_mut(part).ok()?)
        } else {
            KvElements::F32(bytemuck::try_cast_slice_mut(part).ok()?)
        };
        Some(Session { tokens: Vec::with_capacity(context), cache: KvCache::new(elements, &weights.config) })
    };
    area.chunks_exact_mut(bytes).take(count).map(session).collect()
}
