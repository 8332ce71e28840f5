//! The reference models, whole and with single metadata changed.

use std::path::PathBuf;

use barellama_gguf::{ConfigError, Gguf, ModelConfig, ModelTensors, TensorError};

fn tiny(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces the only occurrence of `from` by as many bytes.
fn replaced(mut file: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|window| window == from).expect("the file has those bytes");
    file[at..at + to.len()].copy_from_slice(to);
    file
}

fn with_u32(file: Vec<u8>, key: &str, from: u32, to: u32) -> Vec<u8> {
    let field = |value: u32| [key.as_bytes(), &4u32.to_le_bytes(), &value.to_le_bytes()].concat();
    replaced(file, &field(from), &field(to))
}

fn config(file: &[u8]) -> Result<ModelConfig, ConfigError> {
    ModelConfig::from_gguf(&Gguf::parse(file).expect("the structure is whole"))
}

#[test]
fn every_tiny_model_is_understood() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/tiny");
    let mut models = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gguf") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        let gguf = Gguf::parse(&file).unwrap();
        let config = ModelConfig::from_gguf(&gguf).unwrap();
        assert_eq!((config.blocks, config.embedding, config.feed_forward), (2, 256, 768));
        assert_eq!((config.heads, config.kv_heads, config.head, config.vocabulary), (4, 2, 64, 4096));
        let tensors = ModelTensors::from_gguf(&gguf, &config).unwrap();
        assert_eq!(tensors.layers.len(), 2);
        models += 1;
    }
    assert_eq!(models, 13);
}

#[test]
fn other_architectures_are_refused_by_name() {
    let file = replaced(tiny("q4_0.gguf"), b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0qwen2");
    let error = config(&file).unwrap_err();
    assert!(matches!(&error, ConfigError::Architecture(name) if name == "qwen2"), "{error}");
}

#[test]
fn contradicting_metadata_are_refused() {
    let cases = [
        ("llama.attention.head_count_kv", 2, 3),
        ("llama.rope.dimension_count", 64, 63),
        ("llama.rope.dimension_count", 64, 66),
        ("llama.vocab_size", 4096, 4095),
    ];
    for (key, from, to) in cases {
        let error = config(&with_u32(tiny("q4_0.gguf"), key, from, to)).unwrap_err();
        assert!(matches!(error, ConfigError::Contradiction(_)), "{key} = {to}: {error}");
    }
}

#[test]
fn values_out_of_range_are_refused() {
    let cases = [
        ("llama.block_count", 2, 0),
        ("llama.block_count", 2, 1025),
        ("llama.embedding_length", 256, u32::MAX),
        ("llama.feed_forward_length", 768, 0),
        ("llama.context_length", 2048, 0),
    ];
    for (key, from, to) in cases {
        let error = config(&with_u32(tiny("q4_0.gguf"), key, from, to)).unwrap_err();
        assert!(matches!(error, ConfigError::OutOfRange { .. }), "{key} = {to}: {error}");
    }
}

#[test]
fn tensors_must_have_the_shapes_of_the_metadata() {
    let tensors = |file: &[u8]| {
        let gguf = Gguf::parse(file).unwrap();
        let config = ModelConfig::from_gguf(&gguf).unwrap();
        ModelTensors::from_gguf(&gguf, &config).map(|_| ()).unwrap_err()
    };
    let narrow = with_u32(tiny("q4_0.gguf"), "llama.feed_forward_length", 768, 767);
    assert!(matches!(tensors(&narrow), TensorError::Shape { found: [_, 768] | [768, _], .. }));
    let deep = with_u32(tiny("q4_0.gguf"), "llama.block_count", 2, 3);
    assert!(matches!(tensors(&deep), TensorError::Missing(name) if name.starts_with("blk.2.")));
    let shallow = with_u32(tiny("q4_0.gguf"), "llama.block_count", 2, 1);
    assert!(matches!(tensors(&shallow), TensorError::Unknown(name) if name.starts_with("blk.1.")));
}

/// As soon as the tables are there, the beginning of a file tells what the whole file tells; without them it is refused.
#[test]
fn the_beginning_of_a_file_tells_where_its_tensors_will_be() {
    let bytes = tiny("q4_0.gguf");
    let whole = Gguf::parse(&bytes).unwrap();
    let tables_end = whole.tensors().iter().map(|tensor| tensor.offset).min().unwrap();
    let beginning = Gguf::parse_beginning(&bytes[..tables_end], bytes.len()).unwrap();
    assert_eq!(beginning.file_bytes(), bytes.len());
    for (early, late) in beginning.tensors().iter().zip(whole.tensors()) {
        assert_eq!((early.name, early.offset, early.data_bytes()), (late.name, late.offset, late.data.len()));
        assert!(early.data.is_empty());
    }
    assert!(Gguf::parse_beginning(&bytes[..tables_end / 2], bytes.len()).is_err());
    assert!(
        Gguf::parse_beginning(&bytes[..tables_end], bytes.len() - 1).is_err(),
        "the last tensor ends behind the file"
    );
}
