//! The types of weights that no reference file has: one model of them all answers as its twin with the weights dequantized.

use std::path::Path;

use barellama_ggml_sys::WeightKernel;
use barellama_gguf::{Gguf, TensorType};
use barellama_models::{Model, Shape, Vocabulary};
use barellama_tests::{Machine, artifacts};
use serde_json::json;

const RARE: [TensorType; 14] = [
    TensorType::IQ1_S,
    TensorType::IQ1_M,
    TensorType::IQ2_XXS,
    TensorType::IQ2_S,
    TensorType::IQ3_XXS,
    TensorType::IQ3_S,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
    TensorType::TQ1_0,
    TensorType::TQ2_0,
    TensorType::MXFP4,
    TensorType::NVFP4,
    TensorType::Q1_0,
    TensorType::Q2_0,
];
/// Heads of 128: a row of blocks of 256 is two of them.
const SHAPE: Shape = Shape::small(128);
/// The logits spread by about 0.4; activations are rounded to 8 bits.
const LOGIT_ERROR: f64 = 0.08;
const CANDIDATES: u32 = 60;

#[test]
fn a_model_of_all_rare_types_answers_as_its_f32_twin() {
    let vocabulary = Vocabulary::from_file(&artifacts::tiny("q4_0")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (mixed, twin) = (directory.path().join("mixed.gguf"), directory.path().join("f32.gguf"));
    let file = Model::mixed("rare", &SHAPE, &RARE, &vocabulary).to_bytes();
    std::fs::write(&mixed, &file).unwrap();
    std::fs::write(&twin, dequantized(&file, &Model::uniform("rare", &SHAPE, TensorType::F32, &vocabulary))).unwrap();
    let (found, exact) = (first_logits(&mixed), first_logits(&twin));
    for (id, expected) in &exact[..5] {
        let logit = found.iter().find(|(other, _)| other == id).map(|(_, logit)| *logit);
        let logit = logit.unwrap_or_else(|| panic!("{id} is not among the best: {found:?}, F32 {exact:?}"));
        assert!((logit - expected).abs() < LOGIT_ERROR, "logit of {id}: {logit} instead of {expected}");
    }
}

/// The same model with F32 weights.
fn dequantized(file: &[u8], twin: &Model) -> Vec<u8> {
    let gguf = Gguf::parse(file).unwrap();
    let filled = twin.write_with(Vec::new(), &mut |entry, data| {
        let tensor = gguf.tensor(&entry.name).unwrap();
        let kernel = WeightKernel::of(tensor.kind).unwrap();
        let mut weights = vec![0.0; tensor.dimensions[0]];
        // Rows have an even number of bytes, so they lie at even addresses, as the kernels want them.
        for (row, out) in tensor.data.chunks_exact(tensor.row_bytes()).zip(data.chunks_exact_mut(weights.len() * 4)) {
            kernel.dequantize(row, &mut weights);
            weights.iter().zip(out.as_chunks_mut().0).for_each(|(weight, bytes)| *bytes = weight.to_le_bytes());
        }
    });
    filled.unwrap()
}

/// The best candidates of the first step.
fn first_logits(model: &Path) -> Vec<(u32, f64)> {
    let mut machine = Machine::with_model(model);
    let score = machine.score(&json!({"ids": [1, 529, 127, 1792, 127, 65, 12], "steps": 1, "top": CANDIDATES}));
    score.steps[0].top.clone()
}
