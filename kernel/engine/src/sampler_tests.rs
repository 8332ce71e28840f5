//! Hand-computed choices, and what each filter promises on random logits.

use super::*;

/// Everything off: draws from all tokens by their probabilities.
const OPEN: Sampling =
    Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, repeat_last: 64, seed: 1 };
const GREEDY: Sampling = Sampling { temperature: 0.0, ..OPEN };

/// ln of 8, 4, 2, 1, 1: probabilities 1/2, 1/4, 1/8, 1/16, 1/16.
const HALVES: [f32; 5] = [2.079_441_5, 1.386_294_4, core::f32::consts::LN_2, 0.0, 0.0];

fn greedy(settings: Sampling, logits: &[f32], history: &[u32]) -> u32 {
    Sampler::new(Sampling { temperature: 0.0, ..settings }).sample(logits, history).unwrap()
}

/// How often each token is drawn in 8000 draws.
fn counts(settings: Sampling, logits: &[f32]) -> Vec<usize> {
    let mut sampler = Sampler::new(settings);
    let mut counts = alloc::vec![0; logits.len()];
    for _ in 0..8000 {
        counts[sampler.sample(logits, &[]).unwrap() as usize] += 1;
    }
    counts
}

fn random_logits(random: &mut Pcg32) -> Vec<f32> {
    let count = 1 + random.next_u32() % 60;
    (0..count).map(|_| (random.next_u32() % 100) as f32 / 10.0 - 5.0).collect()
}

#[test]
fn greedy_takes_the_best_and_the_lowest_id_of_equals() {
    assert_eq!(greedy(GREEDY, &[1.0, 3.0, 2.0], &[]), 1);
    assert_eq!(greedy(GREEDY, &[1.0, 3.0, 3.0], &[]), 1);
    assert_eq!(greedy(GREEDY, &[-0.0, 0.0, -1.0], &[]), 0);
    assert_eq!(greedy(Sampling { temperature: f32::NAN, ..OPEN }, &[1.0, 3.0], &[]), 1);
}

#[test]
fn logits_that_are_not_finite_are_an_error() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for settings in [GREEDY, OPEN] {
            assert_eq!(Sampler::new(settings).sample(&[0.0, bad, 1.0], &[]), Err(SampleError::NotFinite(1)));
        }
    }
    assert_eq!(Sampler::new(OPEN).sample(&[], &[]), Err(SampleError::Empty));
}

#[test]
fn the_repetition_penalty_divides_positive_and_multiplies_negative_logits_once() {
    let penalized = Sampling { repeat_penalty: 2.0, ..OPEN };
    assert_eq!(greedy(penalized, &[3.0, 2.0], &[0]), 1);
    assert_eq!(greedy(penalized, &[3.0, 1.4], &[0]), 0);
    assert_eq!(greedy(penalized, &[-1.0, -1.5], &[0]), 1);
    // Once, however often it occurs: 3 / 2 is still above 1.
    assert_eq!(greedy(penalized, &[3.0, 1.0], &[0, 0, 0]), 0);
    // Only among the last ones, and ids outside the vocabulary do not matter.
    assert_eq!(greedy(Sampling { repeat_last: 1, ..penalized }, &[3.0, 2.0], &[0, 9]), 0);
    assert_eq!(greedy(Sampling { repeat_last: 0, ..penalized }, &[3.0, 2.0], &[0]), 0);
    assert_eq!(greedy(Sampling { repeat_penalty: 0.0, ..OPEN }, &[3.0, 2.0], &[0]), 0);
    assert_eq!(greedy(Sampling { repeat_penalty: f32::MIN_POSITIVE, ..OPEN }, &[3.0, 2.0], &[1]), 1);
}

#[test]
fn draws_follow_the_probabilities() {
    for (count, expected) in counts(OPEN, &HALVES).into_iter().zip([4000, 2000, 1000, 500, 500]) {
        assert!(count.abs_diff(expected) < expected / 5 + 20, "{count} instead of {expected}");
    }
    // At half the temperature the probabilities are squared: 64, 16, 4, 1, 1 of 86.
    let cold = counts(Sampling { temperature: 0.5, ..OPEN }, &HALVES);
    assert!(cold[0].abs_diff(8000 * 64 / 86) < 300 && cold[1].abs_diff(8000 * 16 / 86) < 200);
    let flat = counts(Sampling { temperature: 1e9, ..OPEN }, &HALVES);
    assert!(flat.iter().all(|count| count.abs_diff(1600) < 200));
}

#[test]
fn each_filter_keeps_what_it_promises() {
    let drawn = |settings| counts(settings, &HALVES).iter().filter(|count| **count > 0).count();
    assert_eq!(drawn(OPEN), 5);
    assert_eq!(drawn(Sampling { top_k: 3, ..OPEN }), 3);
    assert_eq!(drawn(Sampling { top_k: 9, ..OPEN }), 5);
    assert_eq!(drawn(Sampling { top_p: 0.49, ..OPEN }), 1);
    assert_eq!(drawn(Sampling { top_p: 0.7, ..OPEN }), 2);
    assert_eq!(drawn(Sampling { top_p: 0.0, ..OPEN }), 1);
    assert_eq!(drawn(Sampling { top_p: f32::NAN, ..OPEN }), 5);
    assert_eq!(drawn(Sampling { min_p: 0.24, ..OPEN }), 3);
    assert_eq!(drawn(Sampling { min_p: 5.0, ..OPEN }), 1);
    // Top-p sees only what top-k left: 8 of 12 are less than 0.7.
    assert_eq!(drawn(Sampling { top_k: 2, top_p: 0.6, ..OPEN }), 1);
    assert_eq!(drawn(Sampling { top_k: 2, top_p: 0.7, ..OPEN }), 2);
}

#[test]
fn the_lowest_ids_of_equals_survive_top_k() {
    let drawn = counts(Sampling { top_k: 2, ..OPEN }, &[1.0; 20]);
    assert!(drawn[0] > 3500 && drawn[1] > 3500);
}

#[test]
fn random_settings_keep_every_promise() {
    let mut random = Pcg32::seed_from_u64(3);
    for seed in 0..2000 {
        let logits = random_logits(&mut random);
        let settings = Sampling {
            temperature: (random.next_u32() % 20) as f32 / 10.0,
            top_k: random.next_u32() % 10,
            top_p: (random.next_u32() % 11) as f32 / 10.0,
            min_p: (random.next_u32() % 11) as f32 / 10.0,
            seed,
            ..OPEN
        };
        let id = Sampler::new(settings).sample(&logits, &[]).unwrap();
        assert_eq!(Sampler::new(settings).sample(&logits, &[]), Ok(id), "the same seed gives the same token");
        let chosen = logits[id as usize];
        let better = logits.iter().filter(|logit| **logit > chosen).count();
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        assert!(settings.top_k == 0 || better < settings.top_k as usize);
        assert!(libm::expf(chosen - top) >= settings.min_p.min(1.0) * 0.999);
        assert!(settings.temperature > 0.0 || better == 0);
        assert!(settings.top_p > 0.0 || better == 0);
    }
}

#[test]
fn one_sampler_draws_a_sequence_that_its_seed_decides() {
    let sequence = |seed| {
        let mut sampler = Sampler::new(Sampling { seed, ..OPEN });
        (0..64).map(|_| sampler.sample(&HALVES, &[]).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(sequence(5), sequence(5));
    assert_ne!(sequence(5), sequence(6));
}
