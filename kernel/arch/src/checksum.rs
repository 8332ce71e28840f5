//! A checksum that tells whether memory changed. It is quick (a few instructions per word), not a defence against forgery.

/// An odd multiplier (2^64 divided by the golden ratio), so that each step maps states one to one: a single changed word always
/// changes the sum.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A sum over words, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum(u64);

impl Checksum {
    /// The sum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(MULTIPLIER)
    }

    /// Adds a word.
    #[must_use]
    pub const fn word(self, word: u64) -> Self {
        Self((self.0 ^ word).wrapping_mul(MULTIPLIER).rotate_left(29))
    }

    /// Adds bytes as little-endian words; the last word is filled up with zeros.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        // The kernel's accesses are aligned ones: bytes that may lie anywhere are read one by one, which takes four times as long.
        let mut sum = match bytemuck::try_cast_slice::<[u8; 8], u64>(words) {
            Ok(aligned) => aligned.iter().fold(self, |sum, word| sum.word(u64::from_le(*word))),
            Err(_) => words.iter().fold(self, |sum, word| sum.word(u64::from_le_bytes(*word))),
        };
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            sum = sum.word(u64::from_le_bytes(word));
        }
        sum
    }

    /// The sum.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_counts() {
        let bytes = [0x5A_u8; 43];
        let sum = Checksum::new().bytes(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Checksum::new().bytes(&changed), sum, "bit {bit}");
        }
    }

    #[test]
    fn the_order_counts() {
        let sum = |first, second| Checksum::new().word(first).word(second);
        assert_ne!(sum(1, 2), sum(2, 1));
        assert_ne!(sum(0, 0), Checksum::new());
    }

    #[test]
    fn bytes_count_the_same_wherever_they_lie() {
        let bytes: [u8; 43] = core::array::from_fn(|index| index as u8);
        let mut room = [0; 43 + 8];
        for start in 0..8 {
            room[start..start + 43].copy_from_slice(&bytes);
            assert_eq!(Checksum::new().bytes(&room[start..start + 43]), Checksum::new().bytes(&bytes), "{start}");
        }
    }

    #[test]
    fn slices_of_whole_words_can_be_added_one_after_the_other() {
        let bytes: [u8; 32] = core::array::from_fn(|index| index as u8);
        assert_eq!(Checksum::new().bytes(&bytes[..16]).bytes(&bytes[16..]), Checksum::new().bytes(&bytes));
    }
}
