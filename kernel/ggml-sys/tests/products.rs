//! Each kernel against the same product in double precision.

use barellama_ggml_sys::{ActivationType, TensorType, WeightKernel};

const ELEMENTS: usize = 768;

/// Blocks on an address that is a multiple of 4.
#[repr(align(4))]
struct Aligned([u8; 4096]);

/// A small generator of pseudo-random bytes (xorshift), so that failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn activations() -> Vec<f32> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..ELEMENTS).map(|_| (random.next() % 2001) as f32 / 1000.0 - 1.0).collect()
}

/// A row of random blocks whose scales are small ordinary numbers wherever the format keeps them.
fn random_row(kernel: &WeightKernel, row: &mut [u8]) {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut weights = vec![0.0; ELEMENTS];
    loop {
        for byte in row.iter_mut() {
            *byte = (random.next() >> 24) as u8;
        }
        // Random scales may be huge or not a number; clearing the top bits of every second byte tames all formats sooner or later.
        for block in row.chunks_mut(kernel.kind().block_bytes()) {
            let length = block.len();
            for field in [0, 2, length - 4, length - 2] {
                block[field + 1] = 0x2C | (block[field + 1] & 3);
            }
            if kernel.kind() == TensorType::MXFP4 {
                block[0] = 120 + (block[0] & 7);
            }
        }
        kernel.dequantize(row, &mut weights);
        if weights.iter().all(|weight| weight.is_finite() && weight.abs() < 1e4) {
            return;
        }
    }
}

#[test]
fn every_product_is_the_product_of_the_dequantized_rows() {
    let values = activations();
    let mut checked = 0;
    for &kind in TensorType::ALL {
        let Some(kernel) = WeightKernel::of(kind) else { continue };
        let mut row = Aligned([0; 4096]);
        let mut blocks = Aligned([0; 4096]);
        let row = &mut row.0[..kind.row_bytes(ELEMENTS).unwrap()];
        let blocks = &mut blocks.0[..kernel.activation().row_bytes(ELEMENTS).unwrap()];
        random_row(&kernel, row);
        kernel.activation().quantize(&values, blocks);
        let product = f64::from(kernel.dot(ELEMENTS, row, blocks));

        let mut weights = vec![0.0; ELEMENTS];
        kernel.dequantize(row, &mut weights);
        let exact: f64 = weights.iter().zip(&values).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
        let size: f64 = weights.iter().zip(&values).map(|(w, x)| (f64::from(*w) * f64::from(*x)).abs()).sum();
        assert!(size > 0.0, "{}: the row is not all zero", kind.name());
        // Activations are rounded to 1/254 of the largest of their block, at random: far less than 1 % of the absolute sum.
        assert!((product - exact).abs() <= 0.01 * size, "{}: {product} is not {exact} (of {size})", kind.name());
        checked += 1;
    }
    assert_eq!(checked, 25);
}

#[test]
fn plain_and_activation_types_have_no_kernel() {
    for kind in
        [TensorType::F32, TensorType::F16, TensorType::BF16, TensorType::Q8_1, TensorType::Q8_K, TensorType::I32]
    {
        assert!(WeightKernel::of(kind).is_none());
    }
}

#[test]
#[should_panic(expected = "a row is whole blocks")]
fn a_short_row_is_caught() {
    let kernel = WeightKernel::of(TensorType::Q4_0).unwrap();
    let blocks = Aligned([0; 4096]);
    let _ = kernel.dot(64, &blocks.0[..18], &blocks.0[..68]);
}

#[test]
fn activations_survive_the_round_trip() {
    let values = activations();
    let mut blocks = Aligned([0; 4096]);
    let blocks = &mut blocks.0[..ActivationType::Q8_0.row_bytes(ELEMENTS).unwrap()];
    ActivationType::Q8_0.quantize(&values, blocks);
    let mut back = vec![0.0; ELEMENTS];
    WeightKernel::of(TensorType::Q8_0).unwrap().dequantize(blocks, &mut back);
    for (value, copy) in values.iter().zip(&back) {
        assert!((value - copy).abs() <= 0.5 / 127.0 + 1e-3);
    }
}

/// Behind a row of an odd number of Q8_0 blocks lies an address that is a multiple of 2 only.
#[test]
fn rows_may_follow_an_odd_number_of_blocks() {
    let kernel = WeightKernel::of(TensorType::Q4_0).unwrap();
    let values = &activations()[..32];
    let mut blocks = Aligned([0; 4096]);
    kernel.activation().quantize(values, &mut blocks.0[34..68]);
    let (mut row, mut other) = (Aligned([0; 4096]), Aligned([0; 4096]));
    random_row(&kernel, &mut row.0[..kernel.kind().row_bytes(ELEMENTS).unwrap()]);
    kernel.activation().quantize(values, &mut other.0[..34]);
    assert_eq!(blocks.0[34..68], other.0[..34]);
    assert_eq!(kernel.dot(32, &row.0[..18], &blocks.0[34..68]), kernel.dot(32, &row.0[..18], &other.0[..34]));
}
