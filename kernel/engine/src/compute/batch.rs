//! What one pass over the weights computes: tokens of one or several sessions.

use alloc::vec::Vec;
use core::ops::Range;

/// Neighbouring tokens of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of the session's cache.
    pub cache: usize,
    /// Rows of the pass.
    pub rows: Range<usize>,
    /// Position of the first row in the session.
    pub first: usize,
}

impl Segment {
    /// Position of a row (or of the one behind the last) in the session.
    #[must_use]
    pub const fn position(&self, row: usize) -> usize {
        self.first + row - self.rows.start
    }

    /// Positions of all rows.
    pub fn positions(&self) -> impl Iterator<Item = usize> + use<> {
        self.first..self.position(self.rows.end)
    }
}

/// The tokens of a pass and whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// A token for each row.
    pub tokens: Vec<u32>,
    /// The sessions, each once, in the order of the rows.
    pub segments: Vec<Segment>,
    /// Rows whose logits are wanted, ascending.
    pub wanted: Vec<usize>,
}

impl Batch {
    /// Adds tokens of a session, the first of them at position `first`; logits are wanted from index `wanted` on.
    pub fn push(&mut self, cache: usize, first: usize, tokens: &[u32], wanted: usize) {
        self.push_drafted(cache, first, tokens, &[], wanted);
    }

    /// [`Self::push`] of tokens in two pieces.
    pub fn push_drafted(&mut self, cache: usize, first: usize, tokens: &[u32], draft: &[u32], wanted: usize) {
        let start = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.tokens.extend_from_slice(draft);
        let rows = start..self.tokens.len();
        self.wanted.extend(start.saturating_add(wanted)..rows.end);
        self.segments.push(Segment { cache, rows, first });
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.segments.clear();
        self.wanted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_each_other_and_positions_start_where_each_session_is() {
        let mut batch = Batch::default();
        batch.push(2, 100, &[7, 8, 9], 2);
        batch.push(0, 5, &[3], 0);
        batch.push(1, 0, &[1, 2], usize::MAX);
        assert_eq!(batch.tokens, [7, 8, 9, 3, 1, 2]);
        assert_eq!(batch.wanted, [2, 3]);
        assert_eq!(batch.segments[1], Segment { cache: 0, rows: 3..4, first: 5 });
        let positions: Vec<usize> = batch.segments.iter().flat_map(Segment::positions).collect();
        assert_eq!(positions, [100, 101, 102, 5, 0, 1]);
        assert_eq!(batch.segments[0].position(3), 103);
    }
}
