//! A hash table from strings to their indices that keeps neither: four bytes a slot.

use alloc::vec::Vec;

use super::error::TokenizerError;
use super::strings::vec_of;

/// Most strings of one table.
pub(super) const INDEXED_MAX: usize = VALUE_MASK as usize;

/// A slot is a tag of 11 bits of the hash above an index of 21 bits. The tag spares nearly all comparisons with strings that
/// are not meant: each of them would be a cache miss.
const VALUE_BITS: u32 = 21;
const VALUE_MASK: u32 = (1 << VALUE_BITS) - 1;
const EMPTY: u32 = u32::MAX;
/// Slots that a look-up visits at most. Honest vocabularies need fewer than 50.
const PROBES_MAX: usize = 512;

/// Linear probing over a power of two of slots, at most 60 % full.
pub(super) struct Index {
    slots: Vec<u32>,
}

/// Which of several equal strings counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    KeepFirst,
    KeepLast,
}

impl Index {
    /// An empty table for `count` strings, at most [`INDEXED_MAX`].
    pub(super) fn new(count: usize) -> Result<Self, TokenizerError> {
        let slot_count = (count.saturating_mul(5) / 3 + 1).next_power_of_two();
        let mut slots = vec_of(slot_count)?;
        slots.resize(slot_count, EMPTY);
        Ok(Self { slots })
    }

    /// Adds an index under the hash of its string; `is_same` compares its string with that of another index. `None` if too
    /// many slots around the hash are taken.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        value: u32,
        duplicates: Duplicates,
        is_same: impl Fn(u32) -> bool,
    ) -> Option<()> {
        let entry = tag(hash) | value;
        for position in self.probes(hash) {
            let slot = self.slots.get_mut(position)?;
            if *slot == EMPTY {
                *slot = entry;
                return Some(());
            }
            if *slot & !VALUE_MASK == tag(hash) && is_same(*slot & VALUE_MASK) {
                if duplicates == Duplicates::KeepLast {
                    *slot = entry;
                }
                return Some(());
            }
        }
        None
    }

    /// The index under a hash for which `is_same` says that it is the one.
    pub(super) fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        self.probes(hash)
            .map_while(|position| self.slots.get(position).copied().filter(|slot| *slot != EMPTY))
            .filter(|slot| slot & !VALUE_MASK == tag(hash))
            .map(|slot| slot & VALUE_MASK)
            .find(|value| is_same(*value))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        let start = hash as usize;
        (0..PROBES_MAX.min(self.slots.len())).map(move |step| start.wrapping_add(step) & mask)
    }
}

/// The upper bits of the hash in the place of a slot's tag.
fn tag(hash: u64) -> u32 {
    ((hash >> 32) as u32) & !VALUE_MASK
}

/// Hash of the parts one after the other.
pub(super) fn hash_of(parts: &[&[u8]]) -> u64 {
    let mut hash = Hash::new();
    parts.iter().flat_map(|part| part.iter()).for_each(|byte| hash.add(*byte));
    hash.value()
}

/// A hash in the making: FNV-1a, whose state after a part is all that the next part needs, then a mixing step, because its upper bits
/// are weak for short strings.
pub(super) struct Hash(u64);

impl Hash {
    pub(super) const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    pub(super) const fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01B3);
    }

    /// Of the bytes so far.
    pub(super) const fn value(&self) -> u64 {
        (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    #[test]
    fn all_that_was_inserted_is_found_and_nothing_else() {
        let strings: Vec<String> = (0..5000).map(|number| format!("string {number}")).collect();
        let mut index = Index::new(strings.len()).unwrap();
        for (value, string) in (0..).zip(&strings) {
            index.insert(hash_of(&[string.as_bytes()]), value, Duplicates::KeepFirst, |_| false).unwrap();
        }
        for (value, string) in (0..).zip(&strings) {
            let is_same = |other: u32| strings[other as usize] == *string;
            assert_eq!(index.find(hash_of(&[string.as_bytes()]), is_same), Some(value));
        }
        assert_eq!(index.find(hash_of(&[b"absent"]), |_| false), None);
    }

    #[test]
    fn duplicates_keep_what_was_asked_for() {
        for (duplicates, kept) in [(Duplicates::KeepFirst, 1), (Duplicates::KeepLast, 2)] {
            let mut index = Index::new(4).unwrap();
            index.insert(7, 1, duplicates, |_| true).unwrap();
            index.insert(7, 2, duplicates, |_| true).unwrap();
            assert_eq!(index.find(7, |_| true), Some(kept));
        }
    }

    #[test]
    fn parts_hash_like_the_whole() {
        assert_eq!(hash_of(&[b"ab", b" ", b"c"]), hash_of(&[b"ab c"]));
        assert_ne!(hash_of(&[b"ab"]), hash_of(&[b"ba"]));
    }

    #[test]
    fn a_file_made_of_collisions_is_refused() {
        let mut index = Index::new(INDEXED_MAX / 1000).unwrap();
        let inserted = (0..1000).take_while(|value| index.insert(3, *value, Duplicates::KeepLast, |_| false).is_some());
        assert_eq!(inserted.count(), PROBES_MAX);
    }
}
