//! Random numbers that are the same in every run, so that failures repeat.

/// Xorshift. The seed is not 0.
pub struct Random(pub u64);

impl Random {
    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }

    /// From -4 to 4, any bits behind the point.
    pub fn float(&mut self) -> f32 {
        ((self.next() >> 32) as u32).cast_signed() as f32 / 536_870_912.0
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
