//! Shapes and rotations of the family against the textbook: a transformer in double precision that shares no code with the
//! engine, on F32 weights.

mod support;
mod textbook;

use barellama_engine::compute::linear::Arithmetic;
use barellama_gguf::TensorType;
use barellama_models::{KeyValue, Model, Shape, Vocabulary};
use support::{Bench, interleaved, root, with_crew};
use textbook::{Rotation, Textbook};

const PROMPT: [u32; 12] = [1, 529, 127, 1792, 127, 65, 12, 4095, 300, 2, 77, 1000];
/// In F32 throughout, and with the KV cache rounded to F16, as shares of the spread of the logits.
const BOUNDS: [(Arithmetic, f64); 2] = [(Arithmetic::Exact, 1e-4), (Arithmetic::Product, 0.01)];

/// Compares the last logits of the prompt.
#[track_caller]
fn check(shape: &Shape, rotation: &Rotation, change: impl Fn(Model) -> Model) {
    let vocabulary = Vocabulary::from_file(&root().join("tests/reference/tiny/q4_0.gguf")).unwrap();
    let model = change(Model::uniform("small", shape, TensorType::F32, &vocabulary));
    let file = interleaved(model.to_bytes());
    let expected = Textbook::new(&file, shape, rotation).logits(&PROMPT);
    let spread = (expected.iter().map(|logit| logit * logit).sum::<f64>() / expected.len() as f64).sqrt();
    assert!(spread > 0.1, "the logits spread by {spread}");
    for (arithmetic, bound) in BOUNDS {
        with_crew(2, |crew| {
            let mut bench = Bench::new(&file, arithmetic, 5, 2, PROMPT.len());
            bench.run(crew, &PROMPT, 0, PROMPT.len() - 1, &mut |_, logits| {
                let errors = logits.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
                let worst = errors.fold(0.0, f64::max) / spread;
                assert!(worst < bound, "{arithmetic:?}: a logit is off by {worst} of the spread {spread}");
            });
        });
    }
}

fn plain(shape: &Shape) -> Rotation {
    Rotation { dimensions: shape.head, base: 10_000.0, scale: 1.0, divisors: vec![1.0; shape.head / 2] }
}

#[test]
fn heads_of_64_80_96_100_and_128() {
    for head in [64, 80, 96, 100, 128] {
        let shape = Shape::small(head);
        check(&shape, &plain(&shape), |model| model);
    }
}

/// As in Llama 2: as many key-value heads as query heads.
#[test]
fn a_key_value_head_for_each_head() {
    let shape = Shape { kv_heads: 4, ..Shape::small(64) };
    check(&shape, &plain(&shape), |model| model);
}

/// As in SmolLM2-135M: nine heads, three key-value heads, the embedding table is the head.
#[test]
fn nine_heads_and_a_tied_head() {
    let shape = Shape { heads: 9, kv_heads: 3, is_tied: true, ..Shape::small(64) };
    check(&shape, &plain(&shape), |model| model);
}

#[test]
fn a_part_of_the_head_is_rotated() {
    let shape = Shape::small(64);
    let rotation = Rotation { dimensions: 32, ..plain(&shape) };
    check(&shape, &rotation, |model| model.with(KeyValue::u32("llama.rope.dimension_count", 32)));
}

#[test]
fn positions_are_scaled() {
    let shape = Shape::small(64);
    let rotation = Rotation { scale: 0.25, ..plain(&shape) };
    check(&shape, &rotation, |model| {
        model
            .with(KeyValue::string("llama.rope.scaling.type", "linear"))
            .with(KeyValue::f32("llama.rope.scaling.factor", 4.0))
    });
    check(&shape, &rotation, |model| model.with(KeyValue::f32("llama.rope.scale_linear", 4.0)));
}

/// llama.cpp takes a factor of 0 for none, and `none` for none whatever the factor.
#[test]
fn positions_are_not_scaled_by_nothing() {
    let shape = Shape::small(64);
    for (kind, factor) in [("linear", 0.0), ("none", 4.0)] {
        check(&shape, &plain(&shape), |model| {
            model
                .with(KeyValue::string("llama.rope.scaling.type", kind))
                .with(KeyValue::f32("llama.rope.scaling.factor", factor))
        });
    }
}

/// As in Llama 3.2 1B: base 500000, factors that slow the low frequencies down, a tied head. The factors are those of
/// "Llama 3.1" scaling (factor 32, low 1, high 4, original context 8192), computed from its description.
#[test]
fn frequencies_are_divided_by_the_files_factors() {
    let shape = Shape { rope_base: 500_000.0, is_tied: true, ..Shape::small(64) };
    let divisors: Vec<f64> = (0..32).map(|pair| llama3_divisor(500_000f64.powf(-f64::from(pair) / 32.0))).collect();
    assert!(divisors.contains(&1.0) && divisors.contains(&32.0) && divisors.iter().any(|d| *d > 1.5 && *d < 31.0));
    let rotation = Rotation { base: 500_000.0, divisors: divisors.clone(), ..plain(&shape) };
    let factors: Vec<f32> = divisors.iter().map(|divisor| *divisor as f32).collect();
    check(&shape, &rotation, |model| model.with_vector("rope_freqs.weight", &factors));
}

/// What divides a frequency in the scaling of Llama 3.1 and later.
fn llama3_divisor(frequency: f64) -> f64 {
    let (factor, low, high, context) = (32.0, 1.0, 4.0, 8192.0);
    let wavelength = core::f64::consts::TAU / frequency;
    if wavelength < context / high {
        1.0
    } else if wavelength > context / low {
        factor
    } else {
        let smooth = (context / wavelength - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    }
}
