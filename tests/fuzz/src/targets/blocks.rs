//! ggml's C over hostile blocks: every type, any bytes, rows of one block and more, buffers of exactly their length.

use barellama_ggml_sys::WeightKernel;
use barellama_gguf::TensorType;

use crate::input::Input;

/// Most elements of a row.
const ELEMENTS_MAX: usize = 1024;
/// Weights and activations up to this magnitude give finite products: ggml keeps an activation block's scale and sum as binary16.
const MODERATE: f32 = 1e3;

/// A byte for the type, one for the length, then weights and activations; what is missing repeats what is there.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let kind = TensorType::ALL[usize::from(input.byte()) % TensorType::ALL.len()];
    let Some(kernel) = WeightKernel::of(kind) else { return };
    let block = kind.block_elements().max(kernel.activation().tensor_type().block_elements());
    let elements = block * (usize::from(input.byte()) % (ELEMENTS_MAX / block) + 1);
    let row = filled(kind.row_bytes(elements).expect("whole blocks"), &mut input);
    let values: Vec<f32> =
        filled(elements * 4, &mut input).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();

    let mut weights = vec![0.0; elements];
    kernel.dequantize(&row, &mut weights);
    let mut activations = vec![0; kernel.activation().row_bytes(elements).expect("whole blocks")];
    kernel.activation().quantize(&values, &mut activations);
    let product = kernel.dot(elements, &row, &activations);

    let is_moderate = |values: &[f32]| values.iter().all(|value| value.abs() <= MODERATE);
    if is_moderate(&weights) && is_moderate(&values) && has_moderate_scales(kind, &row) {
        assert!(product.is_finite(), "{}: {product}", kind.name());
    }
    if values.iter().any(|value| !value.is_finite()) {
        assert!(!product.is_finite(), "{}: what is no number does not become one", kind.name());
    }
}

/// Minimums and scales that cancel out in the weights may still overflow apart from each other.
fn has_moderate_scales(kind: TensorType, row: &[u8]) -> bool {
    row.chunks_exact(kind.block_bytes()).all(|block| block.as_chunks::<2>().0.iter().all(|half| half[1] & 0x7C != 0x7C))
}

fn filled(length: usize, input: &mut Input<'_>) -> Vec<u8> {
    let bytes = input.take(length);
    let pattern = if bytes.is_empty() { &[0] } else { bytes };
    pattern.iter().copied().cycle().take(length).collect()
}
