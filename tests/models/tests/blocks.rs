//! What the generated blocks mean: ordinary numbers around zero, in every type that weights can have.

use barellama_ggml_sys::WeightKernel;
use barellama_gguf::TensorType;
use barellama_models::{WEIGHT_DEVIATION, random_blocks};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

const ELEMENTS: usize = 256 * 256;

#[test]
fn weights_are_around_zero_with_the_wanted_deviation() {
    let mut checked = 0;
    for &kind in TensorType::ALL {
        let Some(kernel) = WeightKernel::of(kind) else { continue };
        let mut data = vec![0; kind.row_bytes(ELEMENTS).unwrap()];
        random_blocks(kind, &mut Pcg64Mcg::seed_from_u64(1), &mut data);
        let mut weights = vec![0.0; ELEMENTS];
        kernel.dequantize(&data, &mut weights);
        let count = ELEMENTS as f64;
        let mean = weights.iter().copied().map(f64::from).sum::<f64>() / count;
        let deviation = (weights.iter().map(|weight| (f64::from(*weight) - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (mean, deviation) = (mean / f64::from(WEIGHT_DEVIATION), deviation / f64::from(WEIGHT_DEVIATION));
        println!("{}: mean {mean:.3}, deviation {deviation:.3} of the wanted one", kind.name());
        assert!((0.7..1.4).contains(&deviation), "{}: deviation {deviation}", kind.name());
        // Quants that reach further below zero than above shift the mean by half a step or one; Q2_0 has -1, 0, 1, 2.
        assert!(mean.abs() < 0.5, "{}: mean {mean}", kind.name());
        checked += 1;
    }
    assert_eq!(checked, 25);
}

#[test]
fn plain_weights_too() {
    for kind in [TensorType::F32, TensorType::F16, TensorType::BF16] {
        let mut data = vec![0; kind.row_bytes(ELEMENTS).unwrap()];
        random_blocks(kind, &mut Pcg64Mcg::seed_from_u64(1), &mut data);
        let squares = |weights: Vec<f32>| weights.iter().map(|weight| f64::from(weight * weight)).sum::<f64>();
        let sum = squares(match kind {
            TensorType::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            TensorType::F16 => {
                data.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            _ => data.as_chunks().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect(),
        });
        let deviation = (sum / ELEMENTS as f64).sqrt() / f64::from(WEIGHT_DEVIATION);
        assert!((0.95..1.05).contains(&deviation), "{}: {deviation}", kind.name());
    }
}
