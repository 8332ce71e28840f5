//! Every type of weights: what the product computes against the same model computed in F32 with its weights dequantized.

mod support;

use barellama_engine::compute::linear::Arithmetic;
use barellama_ggml_sys::WeightKernel;
use barellama_gguf::TensorType;
use barellama_models::{Model, Shape, Vocabulary};
use support::{Bench, interleaved, root, with_crew};

const PROMPT: [u32; 9] = [1, 529, 127, 1792, 127, 65, 12, 4095, 300];
/// The product rounds activations to 8 bits: its error (root of the mean square) may be this much of the spread of the logits.
const ERROR_MAX: f32 = 0.03;
/// F16 and BF16 weights meet F32 activations; only the KV cache is rounded.
const PLAIN_ERROR_MAX: f32 = 0.001;

fn logits(file: &[u8], arithmetic: Arithmetic) -> Vec<f32> {
    with_crew(2, |crew| {
        let mut found = Vec::new();
        let mut bench = Bench::new(file, arithmetic, 4, 2, PROMPT.len());
        bench.run(crew, &PROMPT, 0, PROMPT.len() - 1, &mut |_, logits| found = logits.to_vec());
        found
    })
}

/// Root of the mean square.
fn size(values: &[f32]) -> f32 {
    (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt()
}

#[test]
fn the_product_agrees_with_the_dequantized_weights() {
    let vocabulary = Vocabulary::from_file(&root().join("tests/reference/tiny/q4_0.gguf")).unwrap();
    let mut checked = 0;
    for &kind in TensorType::ALL {
        let is_plain = matches!(kind, TensorType::F32 | TensorType::F16 | TensorType::BF16);
        if !is_plain && WeightKernel::of(kind).is_none() {
            continue;
        }
        let file = interleaved(Model::uniform("small", &Shape::small(64), kind, &vocabulary).to_bytes());
        let (exact, product) = (logits(&file, Arithmetic::Exact), logits(&file, Arithmetic::Product));
        let errors: Vec<f32> = exact.iter().zip(&product).map(|(a, b)| a - b).collect();
        let spread = size(&exact);
        let error = size(&errors) / spread;
        println!("{}: error {error:.4} of the spread {spread:.3}", kind.name());
        assert!(spread > 0.1 && spread.is_finite(), "{}: the logits spread by {spread}", kind.name());
        let most = if is_plain { PLAIN_ERROR_MAX } else { ERROR_MAX };
        assert!(error < most, "{}: the logits are off by {error} of their spread", kind.name());
        checked += 1;
    }
    assert_eq!(checked, 28);
}
