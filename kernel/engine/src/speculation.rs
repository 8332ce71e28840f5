//! Exact speculation by prompt lookup: what followed the last time these tokens came, verified in one pass.
//!
//! A draft never changes the answer: the sampler chooses each token from the same logits, with the same history and random state,
//! as without it; a draft only saves passes over the weights where it foresaw the choice.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use barellama_abi::request::Speculation;

use crate::compute::workspace::LOGIT_ROWS;

/// Most tokens of a draft: with the token before them they are as many rows as the head computes at once.
pub const DRAFT_MAX: usize = LOGIT_ROWS - 1;
/// Tokens that have to agree before what follows them is taken for a draft.
const MATCH_MIN: usize = 2;
/// More tokens that agree make a draft no better.
const MATCH_MAX: usize = 8;
/// A draft has to promise so many times the tokens per time that there are without it.
const GAIN_MIN: f32 = 1.05;
/// Cost of another row of a pass before it was measured, in costs of a pass of one row: generation waits for the memory.
const ROW_COST: f32 = 0.125;
/// Trials that the estimate of the acceptance remembers.
const TRIALS_MAX: f32 = 32.0;

/// Finds the longest earlier occurrence (the latest of equals) of how `tokens` end and drafts what followed it: at most `most`
/// tokens, none if there is no such place. What repeats itself is drafted beyond the end.
pub fn look_up(tokens: &[u32], most: usize, draft: &mut Vec<u32>) {
    draft.clear();
    let agreeing = |end: usize| {
        let pairs = tokens[..end].iter().rev().zip(tokens.iter().rev());
        pairs.take(MATCH_MAX).take_while(|(before, now)| before == now).count()
    };
    let longest = (1..tokens.len()).map(|end| (agreeing(end), end)).filter(|(length, _)| *length >= MATCH_MIN).max();
    let Some((_, end)) = longest else { return };
    for index in end..end + most {
        let token = tokens.get(index).copied().or_else(|| draft.get(index - tokens.len()).copied());
        draft.extend(token);
    }
}

/// How well the drafts of one answer foresee it.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    hits: f32,
    trials: f32,
}

impl Default for Acceptance {
    /// What prompt lookup reaches where it finds anything, believed a little.
    fn default() -> Self {
        Self { hits: 1.2, trials: 2.0 }
    }
}

impl Acceptance {
    /// Notes whether a drafted token was the one that was chosen. It need not have been computed: a draft that was found and not
    /// used tells as much.
    pub fn note(&mut self, is_hit: bool) {
        self.hits += if is_hit { 1.0 } else { 0.0 };
        self.trials += 1.0;
        if self.trials > TRIALS_MAX {
            self.hits /= 2.0;
            self.trials /= 2.0;
        }
    }

    /// The share of drafted tokens that are accepted.
    #[must_use]
    pub fn rate(&self) -> f32 {
        self.hits / self.trials
    }
}

/// What passes cost, by their number of rows.
#[derive(Clone, Copy, Debug)]
pub struct PassCosts {
    /// A pass of one row, in nanoseconds; 0: not measured.
    one_ns: f32,
    /// Each further row, in passes of one row.
    row: f32,
}

impl Default for PassCosts {
    fn default() -> Self {
        Self { one_ns: 0.0, row: ROW_COST }
    }
}

impl PassCosts {
    /// Notes a pass in which every session generated.
    pub fn note(&mut self, rows: usize, took_ns: u64) {
        let took_ns = took_ns as f32;
        if rows == 1 {
            self.one_ns = if self.one_ns == 0.0 { took_ns } else { self.one_ns + (took_ns - self.one_ns) / 4.0 };
            // A single slow pass must not forbid drafts for good.
            self.row += (ROW_COST - self.row) / 128.0;
        } else if self.one_ns > 0.0 {
            let row = (took_ns / self.one_ns - 1.0) / (rows - 1) as f32;
            self.row += (row.max(0.0) - self.row) / 4.0;
        }
    }

    fn of(&self, rows: usize) -> f32 {
        1.0 + self.row * rows.saturating_sub(1) as f32
    }

    /// How long a draft should be, at most `most`, in a pass of `rows` rows without it: what gives most tokens per time.
    #[must_use]
    pub fn draft(&self, rows: usize, acceptance: f32, most: usize) -> usize {
        let plain = rows as f32 / self.of(rows);
        let (mut best, mut best_gain) = (0, GAIN_MIN);
        let (mut tokens, mut share) = (rows as f32, 1.0);
        for length in 1..=most {
            share *= acceptance;
            tokens += share;
            let gain = tokens / self.of(rows + length) / plain;
            if gain > best_gain {
                (best, best_gain) = (length, gain);
            }
        }
        best
    }
}

/// The drafts of one answer.
#[derive(Clone, Debug, Default)]
pub struct Drafter {
    mode: Speculation,
    acceptance: Acceptance,
    /// What was foreseen for the next tokens; only the first [`Self::used`] of them are computed.
    draft: Vec<u32>,
    used: usize,
    /// Tokens chosen since the draft was made; all of them were foreseen.
    hits: usize,
    has_missed: bool,
    /// Tokens that were computed ahead.
    pub drafted: u32,
    /// Those of them that were chosen.
    pub accepted: u32,
}

impl Drafter {
    /// A drafter for one answer.
    #[must_use]
    pub fn new(mode: Speculation) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Makes the draft for the next pass: at most `most` tokens behind `tokens`, in a pass of `rows` rows without them.
    pub fn draft(&mut self, tokens: &[u32], rows: usize, most: usize, costs: &PassCosts) -> &[u32] {
        (self.used, self.hits, self.has_missed) = (0, 0, false);
        if self.mode == Speculation::Off {
            return &[];
        }
        look_up(tokens, DRAFT_MAX, &mut self.draft);
        let most = most.min(self.draft.len());
        self.used = match self.mode {
            Speculation::Auto => costs.draft(rows, self.acceptance.rate(), most),
            _ => most,
        };
        &self.draft[..self.used]
    }

    /// Notes the token that was chosen. Whether the row behind it was computed for that token: then its logits count.
    pub fn note(&mut self, token: u32) -> bool {
        let Some(&foreseen) = self.draft.get(self.hits).filter(|_| !self.has_missed) else { return false };
        let is_hit = foreseen == token;
        self.acceptance.note(is_hit);
        self.has_missed = !is_hit;
        self.hits += usize::from(is_hit);
        is_hit && self.hits <= self.used
    }

    /// Ends the pass: counts what was computed and what of it was of use.
    pub fn end_pass(&mut self) {
        self.drafted += u32::try_from(self.used).unwrap_or(0);
        self.accepted += u32::try_from(self.hits.min(self.used)).unwrap_or(0);
        self.draft.clear();
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn found(tokens: &[u32], most: usize) -> Vec<u32> {
        let mut draft = Vec::new();
        look_up(tokens, most, &mut draft);
        draft
    }

    #[test]
    fn the_longest_and_latest_match_is_continued() {
        assert_eq!(found(&[1, 2, 3, 4, 5, 1, 2], 3), [3, 4, 5]);
        assert_eq!(found(&[9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2], 2), [3, 8], "three tokens agree, not two");
        assert_eq!(found(&[1, 2, 3, 8, 1, 2, 4, 7, 1, 2], 2), [4, 7], "the latest of equals");
        assert_eq!(found(&[5, 6, 5, 6, 5], 6), [6, 5, 6, 5, 6, 5], "what repeats itself goes on");
        assert_eq!(found(&[4, 4, 4], 2), [4, 4]);
    }

    #[test]
    fn without_a_match_there_is_no_draft() {
        for tokens in [&[][..], &[1], &[1, 1], &[1, 2, 3, 4, 2], &[1, 2, 3, 4]] {
            assert_eq!(found(tokens, 5), [0u32; 0], "{tokens:?}");
        }
        assert_eq!(found(&[1, 2, 3, 1, 2], 0), [0u32; 0]);
    }

    #[test]
    fn drafts_are_as_long_as_they_pay() {
        let costs = |row: f32| PassCosts { one_ns: 1e6, row };
        assert_eq!(costs(0.05).draft(1, 0.9, 7), 7, "rows cost nearly nothing");
        assert_eq!(costs(1.0).draft(1, 0.9, 7), 0, "a row costs as much as a pass");
        assert_eq!(costs(0.05).draft(1, 0.02, 7), 0, "nothing is accepted");
        let some = costs(0.3).draft(1, 0.6, 7);
        assert!(0 < some && some < 7, "{some}");
        assert!(costs(0.3).draft(4, 0.6, 4) <= some);
    }

    #[test]
    fn costs_follow_what_is_measured_and_forget_a_slow_pass() {
        let mut costs = PassCosts::default();
        costs.note(1, 1000);
        for _ in 0..20 {
            costs.note(8, 7000);
        }
        assert_eq!(costs.draft(1, 0.7, 7), 0);
        for _ in 0..600 {
            costs.note(1, 1000);
        }
        assert!(costs.draft(1, 0.7, 7) > 0);
    }

    #[test]
    fn auto_stops_where_nothing_is_accepted_and_starts_again() {
        let mut drafter = Drafter::new(Speculation::Auto);
        let costs = PassCosts::default();
        let tokens = [1, 2, 3, 4, 5, 1, 2];
        for _ in 0..40 {
            drafter.draft(&tokens, 1, 7, &costs);
            assert!(!drafter.note(9));
            drafter.end_pass();
        }
        assert!(drafter.draft(&tokens, 1, 7, &costs).is_empty());
        let (drafted, accepted) = (drafter.drafted, drafter.accepted);
        assert!(drafted > 0 && accepted == 0);
        for _ in 0..40 {
            drafter.draft(&tokens, 1, 7, &costs);
            drafter.note(3);
            drafter.end_pass();
        }
        assert!(!drafter.draft(&tokens, 1, 7, &costs).is_empty(), "a draft that is not used tells as much");
    }

    #[test]
    fn tokens_are_accepted_up_to_the_first_that_was_not_foreseen() {
        let mut drafter = Drafter::new(Speculation::On);
        let tokens = vec![1, 2, 3, 4, 5, 1, 2];
        assert_eq!(drafter.draft(&tokens, 1, 3, &PassCosts::default()), [3, 4, 5]);
        assert_eq!([3, 4, 9].map(|token| drafter.note(token)), [true, true, false]);
        assert!(!drafter.note(5));
        drafter.end_pass();
        assert_eq!((drafter.drafted, drafter.accepted), (3, 2));
        assert!(Drafter::new(Speculation::Off).draft(&tokens, 1, 3, &PassCosts::default()).is_empty());
    }
}
