//! Products with weight matrices: the one door to all linear algebra.
//!
//! Quantized weights times quantized activations by ggml's kernels (product arithmetic), or dequantized rows times F32
//! activations (plain types always, every type in the F32 mode that tests the mathematics). Each output is one sum over one
//! row in one order, whatever the number of tokens or cores.

use barellama_ggml_sys::{ActivationType, TensorType, WeightKernel};
use barellama_gguf::Tensor;

use super::float;
use super::half;
use super::team::Crew;

/// How weights and activations meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// As the product computes: activations rounded as the weight type wants it, F16 KV cache.
    Product,
    /// Everything in F32: the mathematics without rounding, for tests.
    Exact,
}

/// A weight matrix: `rows` outputs of `columns` inputs.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'m> {
    /// Number of outputs.
    pub rows: usize,
    /// Number of inputs.
    pub columns: usize,
    kind: TensorType,
    row_bytes: usize,
    data: &'m [u8],
    /// `None`: rows are dequantized and multiplied in F32.
    product: Option<WeightKernel>,
    quantized: Option<WeightKernel>,
}

impl<'m> Matrix<'m> {
    /// The matrix of a tensor whose shape was checked; `None` if there is no arithmetic for its type.
    #[must_use]
    pub fn new(tensor: &Tensor<'m>, arithmetic: Arithmetic) -> Option<Self> {
        let quantized = WeightKernel::of(tensor.kind);
        let is_plain = matches!(tensor.kind, TensorType::F32 | TensorType::F16 | TensorType::BF16);
        if quantized.is_none() && !is_plain {
            return None;
        }
        Some(Self {
            rows: tensor.rows(),
            columns: tensor.dimensions[0],
            kind: tensor.kind,
            row_bytes: tensor.row_bytes(),
            data: tensor.data,
            product: quantized.filter(|_| arithmetic == Arithmetic::Product),
            quantized,
        })
    }

    /// The format that activations must have beside F32.
    #[must_use]
    pub fn activation(&self) -> Option<ActivationType> {
        self.product.as_ref().map(WeightKernel::activation)
    }

    /// A row as F32. `values` is `columns` long.
    pub fn dequantize_row(&self, row: usize, values: &mut [f32]) {
        let bytes = self.row(row);
        match (&self.quantized, self.kind) {
            (Some(kernel), _) => kernel.dequantize(bytes, values),
            (None, TensorType::F32) => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            (None, kind) => widen_row(kind, bytes, values),
        }
    }

    /// One output for each token: `output(token, product)`. `scratch` holds at least `columns` values.
    #[inline]
    fn products(&self, row: usize, inputs: &Inputs<'_>, scratch: &mut [f32], mut output: impl FnMut(usize, f32)) {
        if let Some(kernel) = &self.product {
            let weights = self.row(row);
            let blocks = inputs.blocks(kernel.activation());
            let stride = blocks.len() / inputs.tokens;
            for (token, activations) in blocks.chunks_exact(stride).enumerate() {
                output(token, kernel.dot(self.columns, weights, activations));
            }
        } else {
            let weights = &mut scratch[..self.columns];
            self.dequantize_row(row, weights);
            for (token, values) in inputs.values.chunks_exact(self.columns).enumerate() {
                output(token, float::dot(weights, values));
            }
        }
    }

    fn row(&self, row: usize) -> &'m [u8] {
        &self.data[row * self.row_bytes..(row + 1) * self.row_bytes]
    }
}

/// F16 or BF16, which lie at even addresses: tensors are aligned in the file and the file is aligned in memory.
fn widen_row(kind: TensorType, bytes: &[u8], values: &mut [f32]) {
    let widen = if kind == TensorType::BF16 { half::widen_bf16 } else { half::widen };
    match bytemuck::try_cast_slice(bytes) {
        Ok(halves) => widen(halves, values),
        Err(_) => {
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                widen(&[u16::from_le_bytes(*bytes)], core::slice::from_mut(value));
            }
        }
    }
}

/// Activations of some tokens, in F32 and in the formats that the weights want.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    tokens: usize,
    values: &'a [f32],
    q8_0: &'a [u8],
    q8_1: &'a [u8],
    q8_k: &'a [u8],
}

impl Inputs<'_> {
    fn blocks(&self, kind: ActivationType) -> &[u8] {
        match kind {
            ActivationType::Q8_0 => self.q8_0,
            ActivationType::Q8_1 => self.q8_1,
            ActivationType::Q8K => self.q8_k,
        }
    }
}

/// Buffers for quantized activations, one for each format; a format that the model does not need has an empty one.
#[derive(Debug)]
pub struct Quantizer<'w> {
    /// 32 values per block with a scale.
    pub q8_0: &'w mut [u8],
    /// 32 values per block with a scale and a sum.
    pub q8_1: &'w mut [u8],
    /// 256 values per block.
    pub q8_k: &'w mut [u8],
}

impl Quantizer<'_> {
    /// Brings activations (`tokens` rows in `values`) into the formats that the matrices want.
    pub fn prepare<'a>(
        &'a mut self,
        crew: &Crew<'_>,
        tokens: usize,
        values: &'a [f32],
        matrices: &[&Matrix<'_>],
    ) -> Inputs<'a> {
        let width = values.len() / tokens;
        let wanted = |kind| matrices.iter().any(|matrix| matrix.activation() == Some(kind));
        let quantize = |kind: ActivationType, buffer: &'a mut [u8]| -> &'a [u8] {
            let Some(stride) = kind.row_bytes(width).filter(|_| wanted(kind)) else { return &[] };
            let blocks = &mut buffer[..stride * tokens];
            crew.for_tiles(blocks, stride, (1, stride), &mut [], |tile, _| {
                let token = tile.rows().start;
                kind.quantize(&values[token * width..(token + 1) * width], tile.row_mut(token));
            });
            blocks
        };
        let q8_0 = quantize(ActivationType::Q8_0, &mut *self.q8_0);
        let q8_1 = quantize(ActivationType::Q8_1, &mut *self.q8_1);
        let q8_k = quantize(ActivationType::Q8K, &mut *self.q8_k);
        Inputs { tokens, values, q8_0, q8_1, q8_k }
    }
}

/// Columns of a tile of `outputs`: enough tiles that no core waits long for the last one, few enough that handing them out
/// costs nothing. The result does not depend on it.
fn tile_columns(outputs: usize, cores: usize) -> usize {
    (outputs / (cores * 8)).clamp(4, 256)
}

/// `output[token][row] = matrices' rows . inputs[token]`, the matrices one below the other.
pub fn multiply(
    crew: &Crew<'_>,
    matrices: &[&Matrix<'_>],
    inputs: &Inputs<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
) {
    apply(crew, matrices, inputs, output, scratch, |place, product| *place = product);
}

/// `output[token][row] += matrix' row . inputs[token]`.
pub fn multiply_add(
    crew: &Crew<'_>,
    matrix: &Matrix<'_>,
    inputs: &Inputs<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
) {
    apply(crew, &[matrix], inputs, output, scratch, |place, product| *place += product);
}

fn apply(
    crew: &Crew<'_>,
    matrices: &[&Matrix<'_>],
    inputs: &Inputs<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
    put: impl Fn(&mut f32, f32) + Sync,
) {
    let width = matrices.iter().map(|matrix| matrix.rows).sum();
    let tile = (inputs.tokens, tile_columns(width, crew.cores));
    crew.for_tiles(output, width, tile, scratch, |tile, scratch| {
        let columns = tile.columns();
        let mut first = 0;
        for matrix in matrices {
            let rows = columns.start.max(first)..columns.end.min(first + matrix.rows);
            for row in rows {
                let place = row - columns.start;
                matrix.products(row - first, inputs, scratch, |token, product| {
                    put(&mut tile.row_mut(token)[place], product);
                });
            }
            first += matrix.rows;
        }
    });
}

/// `output[token][row] = silu(gate's row . inputs[token]) * (up's row . inputs[token])`.
pub fn multiply_gated(
    crew: &Crew<'_>,
    gate: &Matrix<'_>,
    up: &Matrix<'_>,
    inputs: &Inputs<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
) {
    let tile = (inputs.tokens, tile_columns(gate.rows, crew.cores));
    crew.for_tiles(output, gate.rows, tile, scratch, |tile, scratch| {
        let columns = tile.columns();
        for row in columns.clone() {
            let place = row - columns.start;
            gate.products(row, inputs, scratch, |token, product| {
                tile.row_mut(token)[place] = float::silu(product);
            });
            up.products(row, inputs, scratch, |token, product| {
                tile.row_mut(token)[place] *= product;
            });
        }
    });
}
