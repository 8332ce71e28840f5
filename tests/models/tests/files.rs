//! The files: sizes as real ones have them, the same bytes each time, readable in both versions.

use barellama_gguf::{Gguf, ModelConfig, ModelTensors};
use barellama_models::{Mix, Model, Shape, Vocabulary};

fn llama2() -> Vocabulary {
    Vocabulary::reference("ggml-vocab-llama-spm.gguf").unwrap()
}

/// Sizes of TinyLlama-1.1B's files in MB, as its publishers list them.
const TINYLLAMA_MB: [(&str, f64); 10] = [
    ("Q8_0", 1169.0),
    ("Q4_K_M", 667.0),
    ("Q4_0", 636.0),
    ("IQ4_XS", 609.0),
    ("Q3_K_M", 548.0),
    ("IQ3_XXS", 459.0),
    ("Q2_K", 431.0),
    ("IQ2_XS", 351.0),
    ("TQ2_0", 341.0),
    ("IQ2_XXS", 322.0),
];

#[test]
fn tinyllama_has_the_sizes_of_the_real_files() {
    let vocabulary = llama2();
    for (name, expected) in TINYLLAMA_MB {
        let model = Model::new("TinyLlama", &Shape::TINYLLAMA, name.parse().unwrap(), &vocabulary);
        // Metadata, vocabulary included, take less than 0.8 MB.
        let found = model.tensor_bytes() as f64 / 1e6 + 0.74;
        assert!((found / expected - 1.0).abs() < 0.01, "{name}: {found:.1} MB, not {expected}");
    }
}

#[test]
fn every_mix_is_understood() {
    let vocabulary = llama2();
    for mix in Mix::all() {
        let file = Model::new("small", &Shape::small(64), *mix, &vocabulary).to_bytes();
        let gguf = Gguf::parse(&file).unwrap();
        let config = ModelConfig::from_gguf(&gguf).unwrap();
        assert_eq!((config.blocks, config.head, config.vocabulary), (2, 64, 32_000));
        ModelTensors::from_gguf(&gguf, &config).unwrap_or_else(|error| panic!("{}: {error}", mix.name()));
    }
}

#[test]
fn files_are_the_same_each_time_and_in_both_versions() {
    let model = Model::new("small", &Shape::small(64), "Q4_K_M".parse().unwrap(), &llama2());
    let file = model.to_bytes();
    assert!(file == model.to_bytes());
    let old = model.in_version(2).to_bytes();
    assert_eq!(Gguf::parse(&old).unwrap().version(), 2);
    // Version 3 only adds that files may be big-endian.
    assert!(old[8..] == file[8..]);
}

#[test]
fn an_unknown_type_is_refused_with_the_list() {
    let error = "Q9_9".parse::<Mix>().unwrap_err();
    assert!(error.contains("Q9_9") && error.contains("Q4_K_M"), "{error}");
}
