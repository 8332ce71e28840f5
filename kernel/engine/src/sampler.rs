//! How the next token is chosen from the logits.
//!
//! The order of the filters is that of [`Sampling`]: repetition penalty, top-k, top-p, min-p, temperature. Equal logits are
//! ordered by id, sums are made in that order and the random numbers depend on the seed alone, so the same logits and the same
//! seed give the same tokens everywhere.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use barellama_abi::request::Sampling;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use crate::kernels::search;

/// Why no token can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleError {
    /// There are no logits.
    Empty,
    /// The logit of this token is infinite or not a number: the model's arithmetic broke down.
    NotFinite(u32),
    /// No memory for the candidates.
    OutOfMemory,
}

impl fmt::Display for SampleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "the model gave no logits"),
            Self::NotFinite(id) => {
                write!(formatter, "the logit of token {id} is not a finite number; is the model file damaged?")
            }
            Self::OutOfMemory => write!(formatter, "no memory to sort the candidates"),
        }
    }
}

impl core::error::Error for SampleError {}

/// A token that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    id: u32,
    logit: f32,
}

/// Chooses tokens for one request.
pub struct Sampler {
    settings: Sampling,
    random: Pcg32,
    /// Reserved with the first token, eight bytes per token of the vocabulary, and used again for each.
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler with the request's settings. Settings that make no sense change nothing: a temperature that is not above 0 is
    /// greedy; a penalty that is not above 0, a `top_p` or `min_p` that is not a number are off.
    #[must_use]
    pub fn new(settings: Sampling) -> Self {
        Self { settings, random: Pcg32::seed_from_u64(settings.seed), candidates: Vec::new() }
    }

    /// Chooses the token that follows. `logits` has one per token of the vocabulary; `history` ends with the last token.
    ///
    /// # Errors
    /// If the logits are empty or one is not finite, or memory runs out with the first token.
    pub fn sample(&mut self, logits: &[f32], history: &[u32]) -> Result<u32, SampleError> {
        if logits.is_empty() {
            return Err(SampleError::Empty);
        }
        check(logits)?;
        let penalty = self.settings.repeat_penalty;
        let is_penalized = penalty.is_finite() && penalty > 0.0 && penalty != 1.0;
        let is_greedy = !is_above_zero(self.settings.temperature);
        if is_greedy && !is_penalized {
            return u32::try_from(search::argmax(logits)).map_err(|_| SampleError::Empty);
        }
        self.candidates.clear();
        self.candidates.try_reserve(logits.len()).map_err(|_| SampleError::OutOfMemory)?;
        self.candidates.extend(candidates_of(logits));
        if is_penalized {
            self.penalize(logits, history);
        }
        if is_greedy {
            return best(self.candidates.iter().copied()).ok_or(SampleError::Empty);
        }
        self.keep_top_k();
        self.keep_top_p();
        self.keep_min_p();
        self.draw().ok_or(SampleError::Empty)
    }

    fn penalize(&mut self, logits: &[f32], history: &[u32]) {
        let penalty = self.settings.repeat_penalty;
        let first = history.len().saturating_sub(self.settings.repeat_last as usize);
        for id in history.get(first..).unwrap_or_default() {
            let (Some(candidate), Some(logit)) = (self.candidates.get_mut(*id as usize), logits.get(*id as usize))
            else {
                continue;
            };
            // From the logit itself, so that a token that occurs twice is penalized once.
            let penalized = if *logit > 0.0 { logit / penalty } else { logit * penalty };
            candidate.logit = penalized.clamp(f32::MIN, f32::MAX);
        }
    }

    /// Sorts the candidates, best first, and keeps the `top_k` best.
    fn keep_top_k(&mut self) {
        let count = self.settings.top_k as usize;
        if count > 0 && count < self.candidates.len() {
            self.candidates.select_nth_unstable_by(count - 1, order);
            self.candidates.truncate(count);
        }
        self.candidates.sort_unstable_by(order);
    }

    /// Keeps the fewest of the best whose probabilities reach `top_p` together.
    fn keep_top_p(&mut self) {
        let share = self.settings.top_p;
        if share.is_nan() || share >= 1.0 {
            return;
        }
        let wanted = share * self.weights(1.0).sum::<f32>();
        let mut sum = 0.0;
        let reached = self.weights(1.0).position(|weight| {
            sum += weight;
            sum >= wanted
        });
        self.candidates.truncate(reached.map_or(self.candidates.len(), |last| last + 1));
    }

    /// Keeps what is at least `min_p` times as probable as the best.
    fn keep_min_p(&mut self) {
        let share = self.settings.min_p;
        if is_above_zero(share) {
            let count = self.weights(1.0).take_while(|weight| *weight >= share).count();
            self.candidates.truncate(count.max(1));
        }
    }

    /// Draws one of the candidates by its probability at the temperature.
    fn draw(&mut self) -> Option<u32> {
        let temperature = self.settings.temperature;
        // 24 bits, as many as a float holds: from 0 up to, but not, 1.
        let fraction = (self.random.next_u32() >> 8) as f32 / (1 << 24) as f32;
        let mut rest = fraction * self.weights(temperature).sum::<f32>();
        let chosen = self.weights(temperature).position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        let chosen = chosen.and_then(|index| self.candidates.get(index)).or(self.candidates.last());
        chosen.map(|candidate| candidate.id)
    }

    /// How probable each of the sorted candidates is compared with the best, which has 1.
    fn weights(&self, temperature: f32) -> impl Iterator<Item = f32> {
        let best = self.candidates.first().map_or(0.0, |candidate| candidate.logit);
        self.candidates.iter().map(move |candidate| libm::expf((candidate.logit - best) / temperature))
    }
}

/// Whether logits can be chosen from at all.
///
/// # Errors
/// The first that is infinite or not a number.
pub fn check(logits: &[f32]) -> Result<(), SampleError> {
    match search::first_not_finite(logits) {
        Some(index) => Err(SampleError::NotFinite(u32::try_from(index).unwrap_or(u32::MAX))),
        None => Ok(()),
    }
}

fn candidates_of(logits: &[f32]) -> impl Iterator<Item = Candidate> {
    (0u32..).zip(logits).map(|(id, logit)| Candidate { id, logit: *logit })
}

/// The id of the candidate that comes first.
fn best(candidates: impl Iterator<Item = Candidate>) -> Option<u32> {
    candidates.reduce(|best, other| if other.logit > best.logit { other } else { best }).map(|best| best.id)
}

/// The higher logit first, the lower id first among equals.
fn order(first: &Candidate, second: &Candidate) -> Ordering {
    second.logit.partial_cmp(&first.logit).unwrap_or(Ordering::Equal).then(first.id.cmp(&second.id))
}

fn is_above_zero(number: f32) -> bool {
    number > 0.0
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
