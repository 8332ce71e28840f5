//! Rotary position embedding: pairs of neighbouring elements are rotated by an angle that grows with the position.

use barellama_gguf::ModelConfig;

/// Cosine and sine of each pair of a head, for the rows of a pass.
#[derive(Debug)]
pub struct RopeTable<'w> {
    /// `[token][pair]` = (cosine, sine), interleaved.
    values: &'w mut [f32],
    pairs: usize,
}

impl<'w> RopeTable<'w> {
    /// A table in `values`, which holds `rope_dimensions` values per token.
    #[must_use]
    pub fn new(values: &'w mut [f32], config: &ModelConfig) -> Self {
        Self { values, pairs: config.rope_dimensions / 2 }
    }

    /// Fills in the position of each row of a pass. `factors` divides the frequency of each pair.
    ///
    /// Angles are products of F32 in the order of ggml (`ggml_rope_cache_init`), so that long contexts agree.
    pub fn fill(&mut self, config: &ModelConfig, factors: Option<&[f32]>, positions: impl Iterator<Item = usize>) {
        let step = libm::powf(config.rope_base, -2.0 / config.rope_dimensions as f32);
        for (row, position) in self.values.chunks_exact_mut(self.pairs * 2).zip(positions) {
            let mut angle = position as f32;
            for (pair, value) in row.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let factor = factors.and_then(|factors| factors.get(pair)).copied().unwrap_or(1.0);
                let scaled = config.rope_scale * (angle / factor);
                *value = [libm::cosf(scaled), libm::sinf(scaled)];
                angle *= step;
            }
        }
    }

    /// Rotates a head of that row of the pass; elements behind the rotated part stay.
    pub fn rotate(&self, token: usize, head: &mut [f32]) {
        let row = &self.values[token * self.pairs * 2..(token + 1) * self.pairs * 2];
        for (pair, [cosine, sine]) in head.as_chunks_mut::<2>().0.iter_mut().zip(row.as_chunks().0) {
            let [x, y] = *pair;
            *pair = [x * cosine - y * sine, x * sine + y * cosine];
        }
    }
}
