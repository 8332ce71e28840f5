//! Searches through logits against their scalar twins.

use barellama_engine::compute::float;
use barellama_engine::kernels::search;

use crate::random::Random;

/// The longest table; every beginning and some ends of it are searched.
const VALUES: usize = 64;
const ROUNDS: usize = 64;
/// What random numbers hardly ever are.
const EXTREMES: [f32; 6] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX];

/// How many searches were the same, or the round in which one differs.
pub fn compare() -> Result<usize, usize> {
    let mut random = Random(0x5EED);
    let mut same = 0;
    for round in 0..ROUNDS {
        let mut values: [f32; VALUES] = core::array::from_fn(|_| random.float());
        // From no extreme to a table full of them.
        for _ in 0..round {
            values[usize::from(random.byte()) % VALUES] = EXTREMES[usize::from(random.byte()) % EXTREMES.len()];
        }
        for cut in 0..VALUES {
            let part = if random.byte().is_multiple_of(2) { &values[cut..] } else { &values[..cut] };
            let bound = random.float();
            let is_same = search::first_above(part, bound) == search::first_above_portable(part, bound)
                && search::first_not_finite(part) == search::first_not_finite_portable(part)
                && search::argmax(part) == float::argmax(part);
            if !is_same {
                return Err(round);
            }
            same += 3;
        }
    }
    Ok(same)
}
