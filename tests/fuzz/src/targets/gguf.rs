//! The GGUF reader: whatever it accepts lies inside the file, apart from everything else.

use barellama_gguf::{Gguf, ModelConfig, ModelTensors, Value};

use crate::heap;

/// Index entries are at most three times as long as what they stand for in the file.
const HEAP_PER_BYTE: usize = 3;
const HEAP_FIXED: usize = 1024;

/// Any bytes as a model file.
pub fn run(data: &[u8]) {
    let (parsed, peak) = heap::peak_of(|| Gguf::parse(data));
    assert!(peak <= HEAP_PER_BYTE * data.len() + HEAP_FIXED, "{peak} bytes of heap for {}", data.len());
    let gguf = match parsed {
        Ok(gguf) => gguf,
        Err(error) => {
            assert!(!error.to_string().contains('\n') || error.name.contains('\n'), "an error is one line");
            return;
        }
    };
    check_values(&gguf);
    check_tensors(&gguf, data);
    let Ok(config) = ModelConfig::from_gguf(&gguf) else { return };
    assert_eq!(config.heads % config.kv_heads, 0);
    assert!(config.rope_dimensions <= config.head && config.kv_elements_per_token() > 0);
    if let Ok(tensors) = ModelTensors::from_gguf(&gguf, &config) {
        assert_eq!(tensors.layers.len(), config.blocks);
        assert_eq!(tensors.embedding.rows(), config.vocabulary);
    }
}

/// Every key has a value; every array has as many elements as it says.
fn check_values(gguf: &Gguf<'_>) {
    let mut before = None;
    for key in gguf.keys() {
        assert!(before < Some(key), "keys are sorted and single");
        before = Some(key);
        match gguf.get(key) {
            Some(Value::Array(array)) => assert_eq!(array.iter().count(), array.len()),
            value => assert!(value.is_some()),
        }
        if let Some(strings) = gguf.strings(key) {
            assert_eq!(strings.iter().count(), strings.len());
        }
    }
}

/// Tensors lie in the file, aligned, apart from each other.
fn check_tensors(gguf: &Gguf<'_>, data: &[u8]) {
    let mut places: Vec<_> = gguf.tensors().iter().map(|tensor| (tensor.offset, tensor.data.len())).collect();
    places.sort_unstable();
    let mut end = 0;
    for (offset, length) in places {
        assert!(offset >= end && offset.is_multiple_of(8) && length > 0);
        end = offset + length;
    }
    assert!(end <= data.len());
    for tensor in gguf.tensors() {
        assert_eq!(tensor.rows() * tensor.row_bytes(), tensor.data.len());
        assert_eq!(gguf.tensor(tensor.name).map(|found| found.offset), Some(tensor.offset));
    }
}
