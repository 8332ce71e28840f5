//! Merging neighbours, best pair first: the core of both kinds of tokenizer.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::error::EncodeError;

/// No neighbour.
const NONE: u32 = u32::MAX;

/// A run of characters; empty once it was merged into its left neighbour.
#[derive(Clone, Copy)]
struct Symbol {
    start: u32,
    length: u32,
    previous: u32,
    next: u32,
}

/// Rank, left and right symbol, length of both together in bytes: in the order in which they are merged.
type Pair = Reverse<(u32, u32, u32, u32)>;

/// Scratch memory for texts of any length, at most 80 bytes a character.
#[derive(Default)]
pub(super) struct Merger {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Pair>,
}

impl Merger {
    /// Starts with one symbol per character and merges the neighbours of the lowest rank, the leftmost first, until no pair
    /// has a rank. `rank` gets the bytes of a pair and the length of its left part. Each merge removes a symbol and adds at
    /// most two pairs: O(n log n).
    pub(super) fn run(&mut self, text: &str, rank: impl Fn(&[u8], usize) -> Option<u32>) -> Result<(), EncodeError> {
        self.split(text)?;
        for right in 1..self.symbols.len() {
            self.offer(text, right - 1, right, &rank);
        }
        while let Some(Reverse((_, left, right, length))) = self.queue.pop() {
            if let Some((previous, next)) = self.merge(left, right, length) {
                self.offer(text, index(previous), index(left), &rank);
                self.offer(text, index(left), index(next), &rank);
            }
        }
        Ok(())
    }

    /// What is left of the text that ran last, piece by piece.
    pub(super) fn pieces<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.symbols
            .iter()
            .filter(|symbol| symbol.length > 0)
            .filter_map(|symbol| text.as_bytes().get(index(symbol.start)..index(symbol.start + symbol.length)))
    }

    fn split(&mut self, text: &str) -> Result<(), EncodeError> {
        let count = text.chars().count();
        self.symbols.clear();
        self.queue.clear();
        self.symbols.try_reserve(count)?;
        // Pairs at the start, and two more for each of the merges, of which each took one away.
        self.queue.try_reserve(count.saturating_mul(2))?;
        for (position, (start, character)) in (0u32..).zip(text.char_indices()) {
            let start = u32::try_from(start).map_err(|_| EncodeError::TextTooLong { bytes: text.len() })?;
            let length = character.len_utf8() as u32;
            let is_last = index(start + length) == text.len();
            self.symbols.push(Symbol {
                start,
                length,
                previous: position.checked_sub(1).unwrap_or(NONE),
                next: if is_last { NONE } else { position + 1 },
            });
        }
        Ok(())
    }

    fn offer(&mut self, text: &str, left: usize, right: usize, rank: &impl Fn(&[u8], usize) -> Option<u32>) {
        let (Some(first), Some(second)) = (self.symbols.get(left), self.symbols.get(right)) else { return };
        let length = first.length + second.length;
        let Some(pair) = text.as_bytes().get(index(first.start)..index(first.start + length)) else { return };
        if let Some(rank) = rank(pair, index(first.length)) {
            self.queue.push(Reverse((rank, left as u32, right as u32, length)));
        }
    }

    /// Joins two symbols and gives the neighbours of the new one; `None` if one of them has changed since the pair was
    /// offered (lengths only grow, so equal lengths mean the same symbols).
    fn merge(&mut self, left: u32, right: u32, length: u32) -> Option<(u32, u32)> {
        let second = *self.symbols.get(index(right))?;
        let first = self.symbols.get_mut(index(left))?;
        if first.length == 0 || second.length == 0 || first.length + second.length != length {
            return None;
        }
        first.length = length;
        first.next = second.next;
        let previous = first.previous;
        self.symbols.get_mut(index(right))?.length = 0;
        if let Some(after) = self.symbols.get_mut(index(second.next)) {
            after.previous = left;
        }
        Some((previous, second.next))
    }
}

/// A `u32` as an index; [`NONE`] is never one of an existing symbol.
const fn index(number: u32) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str, ranked: &[&str]) -> Vec<alloc::string::String> {
        let mut merger = Merger::default();
        let rank = |pair: &[u8], _| ranked.iter().position(|entry| entry.as_bytes() == pair).map(|rank| rank as u32);
        merger.run(text, rank).unwrap();
        merger.pieces(text).map(|piece| core::str::from_utf8(piece).unwrap().into()).collect()
    }

    #[test]
    fn the_lowest_rank_goes_first_and_the_leftmost_of_equals() {
        assert_eq!(merged("abc", &["bc", "ab"]), ["a", "bc"]);
        assert_eq!(merged("abc", &["ab", "bc"]), ["ab", "c"]);
        assert_eq!(merged("aaaaa", &["aa", "aaaa"]), ["aaaa", "a"]);
        assert_eq!(merged("", &["aa"]), [""; 0]);
        assert_eq!(merged("äöü", &["äö", "äöü"]), ["äöü"]);
    }
}
