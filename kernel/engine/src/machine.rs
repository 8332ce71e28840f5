//! The model at work: sessions, and passes over the weights for some of them.

use alloc::vec::Vec;

use barellama_abi::request::{RequestHeader, SESSION_ANY};

use crate::compute::batch::Batch;
use crate::compute::kv_cache::{KvCache, Part};
use crate::compute::team::{Crew, Team};
use crate::compute::transformer::{self, Interrupted, StepCheck};
use crate::compute::weights::Weights;
use crate::compute::workspace::{LOGIT_ROWS, Workspace};
use crate::kernel_calls::Kernel;
use crate::prepare::{Prepared, area};

/// A step (one layer of one pass) should not take longer, in nanoseconds: a cancel is noticed after one.
const STEP_NS: u64 = 250_000_000;
/// Prompt tokens of the first pass, before anything was measured.
const FIRST_CHUNK: usize = 8;

/// Stands for a position whose keys and values are made up: no token of a request equals it.
pub const NO_TOKEN: u32 = u32::MAX;

/// The tokens whose keys and values are in a KV cache.
pub struct Session {
    /// The tokens, by position.
    pub tokens: Vec<u32>,
    /// Whether a request works on it.
    pub is_busy: bool,
    /// Number of the request that used it last; 0: none did.
    pub last_use: u64,
}

impl Session {
    /// How many of `tokens` the cache holds already.
    #[must_use]
    pub fn common(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(held, token)| held == token).count()
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

/// Weights, buffers, sessions and cores.
pub struct Machine<'e> {
    kernel: &'e dyn Kernel,
    team: &'e Team,
    /// Cores that run, at most the team's.
    cores: usize,
    weights: &'e Weights<'e>,
    workspace: Workspace<'e>,
    /// The cache of each session.
    caches: Vec<KvCache<'e>>,
    /// The sessions, by number.
    pub sessions: Vec<Session>,
    /// Tokens that each session holds at most.
    context: usize,
    /// Bytes of the layers' weights, and of the head's.
    weight_bytes: (u64, u64),
    /// Measured time of one token in one layer of a pass, in nanoseconds; 0: nothing was measured.
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
        let caches = caches(prepared, kv_cache)?;
        let sessions = caches
            .iter()
            .map(|_| Session { tokens: Vec::with_capacity(context), is_busy: false, last_use: 0 })
            .collect();
        Some(Self {
            kernel,
            team,
            cores: cores.clamp(1, team.cores()),
            weights,
            workspace: Workspace::new(&weights.config, &prepared.sizes, activations, logits, scratch),
            caches,
            sessions,
            context,
            weight_bytes: weights.streamed_bytes(),
            token_layer_ns: 0,
        })
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &'e dyn Kernel {
        self.kernel
    }

    /// Tokens that each session can hold.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Empties a session and makes up keys and values for its first positions, always the same ones between -1 and 1: for
    /// measuring at a position without computing what comes before it. The session has room for them.
    pub fn fill(&mut self, session: usize, positions: usize) {
        let config = &self.weights.config;
        let cache = &mut self.caches[session];
        let session = &mut self.sessions[session];
        session.tokens.clear();
        session.tokens.resize(positions, NO_TOKEN);
        let mut state = 0x9E37_79B9_u32;
        let mut values = alloc::vec![0.0; config.head];
        for layer in 0..config.blocks {
            for (part, kv_head) in [Part::Keys, Part::Values].into_iter().flat_map(|part| heads(part, config.kv_heads))
            {
                for position in 0..positions {
                    values.fill_with(|| xorshift(&mut state));
                    cache.store(layer, part, kv_head, position, &values);
                }
            }
        }
    }

    /// A session on which nothing works: the one asked for, or that which holds most of `tokens` if it would not forget more than
    /// that, or the one that was not used for the longest time.
    #[must_use]
    pub fn free_session(&self, asked: u32, tokens: &[u32]) -> Option<usize> {
        let free = || self.sessions.iter().enumerate().filter(|(_, session)| !session.is_busy);
        if asked != SESSION_ANY {
            return free().map(|(index, _)| index).find(|index| *index == asked as usize);
        }
        let common = |session: &Session| session.common(tokens);
        let fitting = free().filter(|(_, session)| common(session) > 0 && 2 * common(session) >= session.tokens.len());
        let best = fitting.max_by_key(|(_, session)| common(session));
        best.or_else(|| free().min_by_key(|(_, session)| session.last_use)).map(|(index, _)| index)
    }

    /// Lets a free session begin with what is already computed of `tokens`, at most `most` of them: it keeps what it holds, or
    /// copies what another session holds. Returns how many.
    pub fn begin(&mut self, session: usize, tokens: &[u32], most: usize) -> usize {
        let common = |session: &Session| session.common(tokens).min(most);
        let own = common(&self.sessions[session]);
        self.sessions[session].tokens.truncate(own);
        let (best, donor) = self.sessions.iter().map(common).zip(0..).max().unwrap_or((own, session));
        if best <= own {
            return own;
        }
        let Ok([to, from]) = self.caches.get_disjoint_mut([session, donor]) else { return own };
        to.copy_beginning(from, best);
        self.sessions[session].tokens.extend_from_slice(&tokens[own..best]);
        best
    }

    /// Most tokens of a pass.
    #[must_use]
    pub const fn chunk(&self) -> usize {
        self.workspace.chunk
    }

    /// Tokens of a pass that keeps a step short, at the measured speed.
    #[must_use]
    pub fn short_chunk(&self) -> usize {
        let most = self.workspace.chunk;
        match self.token_layer_ns {
            0 => FIRST_CHUNK.min(most),
            measured => usize::try_from(STEP_NS / measured).unwrap_or(most).clamp(1, most),
        }
    }

    /// Runs a batch and gives the logits of each row that is wanted to `each`, in their order. The tokens then are in their
    /// sessions, where those that were not wanted after all are cut off again by the caller.
    ///
    /// Each segment begins where its session ends, the sessions have room for them, and every token is below the size of the
    /// vocabulary. `cores` is the most that may be used, 0 stands for all.
    ///
    /// # Errors
    /// [`Interrupted`] if `check`, which is asked after every step, said so: the tokens are in the sessions only if the last layer
    /// was reached.
    pub fn run(
        &mut self,
        batch: &Batch,
        cores: usize,
        check: &mut StepCheck<'_>,
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Interrupted> {
        let Self { kernel, team, weights, workspace, caches, sessions, .. } = self;
        let cores = if cores == 0 { self.cores } else { cores.min(self.cores) };
        let crew = Crew { team, kernel: *kernel, cores };
        let start_ns = kernel.clock_ns();
        transformer::forward(&crew, weights, workspace, caches, &batch.tokens, &batch.segments, check)?;
        for segment in &batch.segments {
            sessions[segment.cache].tokens.extend_from_slice(&batch.tokens[segment.rows.clone()]);
        }
        let layers = batch.tokens.len() as u64 * weights.config.blocks as u64;
        self.token_layer_ns = kernel.clock_ns().saturating_sub(start_ns) / layers.max(1);
        for rows in batch.wanted.chunks(LOGIT_ROWS) {
            let logits = transformer::logits(&crew, weights, workspace, rows);
            for (row, logits) in rows.iter().zip(logits.chunks_exact(weights.config.vocabulary)) {
                each(*row, logits);
            }
            if !check() {
                return Err(Interrupted);
            }
        }
        Ok(())
    }

    /// Bytes of weights and of keys and values that a batch reads.
    #[must_use]
    pub fn bytes_read(&self, batch: &Batch) -> u64 {
        let heads = batch.wanted.len().div_ceil(LOGIT_ROWS) as u64;
        let cached: usize = batch
            .segments
            .iter()
            .map(|segment| self.caches[segment.cache].bytes_per_token() * segment.position(segment.rows.end))
            .sum();
        self.weight_bytes.0 + heads * self.weight_bytes.1 + cached as u64
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

fn caches<'e>(prepared: &Prepared<'_>, area: &'e mut [u8]) -> Option<Vec<KvCache<'e>>> {
    let config = &prepared.weights.config;
    let context = usize::try_from(prepared.plan.context).ok()?;
    let bytes = prepared.kv_kind.bytes(config.kv_elements_per_token()).checked_mul(context)?;
    let parts = area.chunks_exact_mut(bytes).take(prepared.sessions);
    parts.map(|part| KvCache::new(prepared.kv_kind, part, config)).collect()
}
