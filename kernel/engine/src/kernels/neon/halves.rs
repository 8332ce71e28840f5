//! Rows in half precision: FCVTL on the way to the multiplication.

use core::arch::aarch64::*;

use super::super::halves::TOKENS;

/// As [`super::super::halves::products_portable`], the same bits. `weights` is a multiple of 16 long.
pub(in super::super) fn half_products(weights: &[u16], values: &[f32], products: &mut [f32]) {
    let mut rows = values.chunks_exact(weights.len().max(1));
    match products {
        [a, b, c, d] => {
            if let (Some(x), Some(y), Some(z), Some(w)) = (rows.next(), rows.next(), rows.next(), rows.next()) {
                // SAFETY: NEON is part of every core that this target runs on.
                [*a, *b, *c, *d] = unsafe { row_times::<TOKENS>(weights, [x, y, z, w]) };
            }
        }
        products => {
            for (product, row) in products.iter_mut().zip(rows) {
                // SAFETY: as above.
                [*product] = unsafe { row_times::<1>(weights, [row]) };
            }
        }
    }
}

/// The row times several rows of the same length, a multiple of 16.
#[target_feature(enable = "neon")]
fn row_times<const COUNT: usize>(weights: &[u16], values: [&[f32]; COUNT]) -> [f32; COUNT] {
    let mut sums = [[vdupq_n_f32(0.0); 4]; COUNT];
    for (index, weights) in weights.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: LD1 reads the 16 halves of the chunk from any address that their type allows.
        let halves = unsafe { vld1q_u16_x2(weights.as_ptr()) };
        let [first, second] = [halves.0, halves.1].map(|eight| vreinterpretq_f16_u16(eight));
        let weights = [
            vcvt_f32_f16(vget_low_f16(first)),
            vcvt_high_f32_f16(first),
            vcvt_f32_f16(vget_low_f16(second)),
            vcvt_high_f32_f16(second),
        ];
        for (sums, values) in sums.iter_mut().zip(values) {
            let Some(values) = values.as_chunks::<16>().0.get(index) else { continue };
            // SAFETY: LD1 reads the 16 values of the chunk.
            let values = unsafe { vld1q_f32_x4(values.as_ptr()) };
            sums[0] = vaddq_f32(sums[0], vmulq_f32(weights[0], values.0));
            sums[1] = vaddq_f32(sums[1], vmulq_f32(weights[1], values.1));
            sums[2] = vaddq_f32(sums[2], vmulq_f32(weights[2], values.2));
            sums[3] = vaddq_f32(sums[3], vmulq_f32(weights[3], values.3));
        }
    }
    sums.map(|sums| {
        // The tree of `float::dot`: halves of 16, 8, 4 and 2 sums are added.
        let four = vaddq_f32(vaddq_f32(sums[0], sums[2]), vaddq_f32(sums[1], sums[3]));
        let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
    })
}
