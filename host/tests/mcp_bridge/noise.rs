//! A bad cable.

/// How often what happens to a byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noise {
    /// One in so many bytes has a bit flipped; 0: none.
    pub flip: u64,
    /// One in so many bytes is lost; 0: none.
    pub drop: u64,
    /// One in so many bytes comes twice; 0: none.
    pub double: u64,
    /// One in so many bytes starts a burst of 40 random bytes; 0: none.
    pub burst: u64,
}

/// A cable with its own sequence of accidents.
#[derive(Clone, Debug)]
pub struct Cable {
    noise: Noise,
    state: u64,
    /// How many accidents there were.
    pub accidents: u64,
}

impl Cable {
    /// A cable; the same seed has the same accidents.
    #[must_use]
    pub fn new(noise: Noise, seed: u64) -> Self {
        Self { noise, state: seed, accidents: 0 }
    }

    /// What comes out for what goes in.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in bytes {
            if self.happens(self.noise.drop) {
                continue;
            }
            let flipped = if self.happens(self.noise.flip) { byte ^ (1 << (self.random() % 8)) } else { byte };
            out.push(flipped);
            if self.happens(self.noise.double) {
                out.push(flipped);
            }
            if self.happens(self.noise.burst) {
                out.extend((0..40).map(|_| self.random().to_le_bytes()[0]));
            }
        }
        out
    }

    fn happens(&mut self, one_in: u64) -> bool {
        let happens = one_in > 0 && self.random().is_multiple_of(one_in);
        self.accidents += u64::from(happens);
        happens
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
