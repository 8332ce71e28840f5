//! The product's arithmetic on the PC (ggml's portable C) against the exact F32 answers, reference tokens forced.
//!
//! The same comparison runs against the Pi's kernels in QEMU; this one is faster and finds mistakes that are not of the Pi.

mod support;

use barellama_engine::compute::float::argmax;
use barellama_engine::compute::linear::Arithmetic;
use support::{Bench, cases, tiny_model, with_crew};

/// How close a type has to come.
struct Bound {
    model: &'static str,
    reference: &'static str,
    /// The same choice is expected wherever the reference's best logit leads by more than this.
    margin: f64,
    /// First-step logits agree within this.
    logit: f64,
}

const fn quantized(model: &'static str, reference: &'static str) -> Bound {
    Bound { model, reference, margin: 0.15, logit: 0.15 }
}

const BOUNDS: [Bound; 6] = [
    Bound { model: "f16.gguf", reference: "tiny/f16-f32.json", margin: 0.02, logit: 0.01 },
    quantized("q2_k.gguf", "tiny/q2_k-f32.json"),
    quantized("q4_0.gguf", "tiny/q4_0-f32.json"),
    quantized("q4_k_m.gguf", "tiny/q4_k_m-f32.json"),
    quantized("q6_k.gguf", "tiny/q6_k-f32.json"),
    quantized("q8_0.gguf", "tiny/q8_0-f32.json"),
];

#[test]
fn choices_and_logits_are_close_to_the_exact_ones() {
    with_crew(2, |crew| {
        for bound in &BOUNDS {
            let file = tiny_model(bound.model);
            for case in cases(bound.reference) {
                let tokens: Vec<u32> = case.prompt_ids.iter().chain(&case.greedy_ids).copied().collect();
                let mut bench = Bench::new(&file, Arithmetic::Product, 32, 2, tokens.len());
                let prompt = case.prompt_ids.len();
                bench.run(crew, &tokens[..tokens.len() - 1], 0, prompt - 1, &mut |position, logits| {
                    let step = position + 1 - prompt;
                    let what = format!("{}, {}, step {step}", bound.model, case.name);
                    if step == 0 {
                        for &(id, expected) in &case.top {
                            let error = (f64::from(logits[id as usize]) - expected).abs();
                            assert!(error <= bound.logit, "{what}: the logit of {id} is {error} off");
                        }
                    }
                    if case.margins[step] > bound.margin {
                        assert_eq!(
                            argmax(logits) as u32,
                            case.greedy_ids[step],
                            "{what}, margin {}",
                            case.margins[step]
                        );
                    }
                });
            }
        }
    });
}

#[test]
fn every_tiny_model_runs() {
    let prompt = [1, 529, 127, 1792, 127, 65];
    with_crew(2, |crew| {
        for model in ["iq2_m", "iq2_xs", "q3_k_m", "q4_1", "q5_0", "q5_1", "q5_k_m"] {
            let file = tiny_model(&format!("{model}.gguf"));
            let mut exact = Vec::new();
            let mut bench = Bench::new(&file, Arithmetic::Exact, 8, 2, prompt.len());
            bench.run(crew, &prompt, 0, prompt.len() - 1, &mut |_, logits| exact = logits.to_vec());
            let mut bench = Bench::new(&file, Arithmetic::Product, 8, 2, prompt.len());
            bench.run(crew, &prompt, 0, prompt.len() - 1, &mut |_, logits| {
                let worst = logits.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 0.3, "{model}: a logit is {worst} from its exact value");
                assert!(logits.iter().any(|logit| logit.abs() > 1.0), "{model}: the logits are not flat");
            });
        }
    });
}
