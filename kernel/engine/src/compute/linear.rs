//! Products with weight matrices: the one door to all linear algebra.
//!
//! Quantized weights times quantized activations (product arithmetic): by the engine's own kernels where eight rows are
//! interleaved, by ggml's where rows lie as in the file. Or dequantized rows times F32 activations: plain types always, every
//! type in the F32 mode that tests the mathematics. Each output is one sum over one row in one order, whatever the number of
//! tokens or cores.

use core::ops::Range;

use barellama_ggml_sys::{TensorType, WeightKernel};
use barellama_gguf::Tensor;

use crate::kernels::{self, Fetch, GroupFormat, GroupKernel, Interleaving, Outputs, ROWS, halves, swiglu};

use super::float;
use super::half;
use super::inputs::{InputFormat, Inputs};
use super::team::Crew;

/// Tokens whose outputs of a group are computed at once.
const GROUP_TOKENS: usize = 32;
/// Longest block of a weight type, in bytes.
const BLOCK_BYTES_MAX: usize = 512;

/// How weights and activations meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// As the product computes: activations rounded as the weight type wants it, F16 KV cache.
    Product,
    /// Everything in F32: the mathematics without rounding, for tests.
    Exact,
}

/// How the rows of matrices lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLayout {
    /// As in the file.
    Plain,
    /// Interleaved by eight wherever [`kernels::interleavable`] says so, as in the file elsewhere. Who fetches
    /// weights ahead is decided by the same processor as the order.
    Interleaved(Interleaving, Fetch),
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
    quantized: Option<WeightKernel>,
    /// The kernel of rows that are interleaved.
    groups: Option<GroupKernel>,
    arithmetic: Arithmetic,
}

impl<'m> Matrix<'m> {
    /// The matrix of a tensor whose shape was checked; `None` if there is no arithmetic for its type.
    #[must_use]
    pub fn new(tensor: &Tensor<'m>, arithmetic: Arithmetic, layout: RowLayout) -> Option<Self> {
        let quantized = WeightKernel::of(tensor.kind);
        let is_plain = matches!(tensor.kind, TensorType::F32 | TensorType::F16 | TensorType::BF16);
        if quantized.is_none() && !is_plain {
            return None;
        }
        let groups = match layout {
            RowLayout::Plain => None,
            RowLayout::Interleaved(order, fetch) => {
                let weights = kernels::interleavable(tensor);
                weights.map(|weights| GroupKernel::new(GroupFormat { weights, order }, fetch))
            }
        };
        Some(Self {
            rows: tensor.rows(),
            columns: tensor.dimensions[0],
            kind: tensor.kind,
            row_bytes: tensor.row_bytes(),
            data: tensor.data,
            quantized,
            groups,
            arithmetic,
        })
    }

    /// Size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// The format that activations must have beside F32.
    #[must_use]
    pub fn input(&self) -> Option<InputFormat> {
        if self.arithmetic == Arithmetic::Exact {
            return None;
        }
        match (&self.groups, &self.quantized) {
            (Some(kernel), _) => Some(InputFormat::Groups(kernel.activation())),
            (None, Some(kernel)) => Some(InputFormat::Rows(kernel.activation())),
            (None, None) => None,
        }
    }

    /// A row as F32. `values` is `columns` long.
    pub fn dequantize_row(&self, row: usize, values: &mut [f32]) {
        match (&self.quantized, self.kind) {
            (Some(kernel), _) if self.groups.is_some() => self.dequantize_interleaved(kernel, row, values),
            (Some(kernel), _) => kernel.dequantize(self.row(row), values),
            (None, TensorType::F32) => {
                for (value, bytes) in values.iter_mut().zip(self.row(row).as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            (None, kind) => widen_row(kind, self.row(row), values),
        }
    }

    fn dequantize_interleaved(&self, kernel: &WeightKernel, row: usize, values: &mut [f32]) {
        let Some(groups) = &self.groups else { return };
        let length = self.kind.block_bytes();
        let mut block = AlignedBlock([0; BLOCK_BYTES_MAX]);
        let block = &mut block.0[..length];
        let group_blocks = self.group(row / ROWS).chunks_exact(length * ROWS);
        for (group_block, values) in group_blocks.zip(values.chunks_exact_mut(self.kind.block_elements())) {
            groups.extract_block(group_block, row % ROWS, block);
            kernel.dequantize(block, values);
        }
    }

    /// The outputs of some rows for each token: `output(token, row, products)` with products of `row` and the rows behind it.
    /// `scratch` holds at least `columns` values.
    #[inline]
    fn products(
        &self,
        rows: Range<usize>,
        inputs: &Inputs<'_>,
        scratch: &mut [f32],
        mut output: impl FnMut(usize, usize, &[f32]),
    ) {
        match (self.input(), &self.groups, &self.quantized) {
            (Some(format), Some(kernel), _) => self.group_products(kernel, rows, inputs, inputs.blocks(format), output),
            (Some(format), None, Some(kernel)) => {
                let blocks = inputs.blocks(format);
                let stride = blocks.len() / inputs.tokens;
                for row in rows {
                    for (token, activations) in blocks.chunks_exact(stride).enumerate() {
                        output(token, row, &[kernel.dot(self.columns, self.row(row), activations)]);
                    }
                }
            }
            _ if self.kind == TensorType::F16 && self.half_row(0).is_some() => {
                for row in rows {
                    self.half_products(row, inputs, scratch, &mut output);
                }
            }
            _ => {
                let weights = &mut scratch[..self.columns];
                for row in rows {
                    self.dequantize_row(row, weights);
                    for (token, values) in inputs.values.chunks_exact(self.columns).enumerate() {
                        output(token, row, &[float::dot(weights, values)]);
                    }
                }
            }
        }
    }

    /// [`Self::products`] of one row in half precision.
    fn half_products(
        &self,
        row: usize,
        inputs: &Inputs<'_>,
        scratch: &mut [f32],
        output: &mut impl FnMut(usize, usize, &[f32]),
    ) {
        let Some(weights) = self.half_row(row) else { return };
        for (index, values) in inputs.values.chunks(self.columns * halves::TOKENS).enumerate() {
            let mut products = [0.0; halves::TOKENS];
            let products = &mut products[..values.len() / self.columns];
            halves::products(weights, values, scratch, products);
            for (token, product) in products.iter().enumerate() {
                output(index * halves::TOKENS + token, row, &[*product]);
            }
        }
    }

    /// A row as numbers of 16 bits, if it lies at an even address: all do or none.
    fn half_row(&self, row: usize) -> Option<&'m [u16]> {
        bytemuck::try_cast_slice(self.row(row)).ok()
    }

    /// [`Self::products`] of interleaved rows: whole groups are computed, the rows that were asked for are given.
    #[inline]
    fn group_products(
        &self,
        kernel: &GroupKernel,
        rows: Range<usize>,
        inputs: &Inputs<'_>,
        activations: &[u8],
        mut output: impl FnMut(usize, usize, &[f32]),
    ) {
        // A tile may lie beside the matrix.
        if rows.is_empty() {
            return;
        }
        let mut outputs = [Outputs::default(); GROUP_TOKENS];
        let group_bytes = ROWS * self.row_bytes;
        let groups = rows.start / ROWS..rows.end.div_ceil(ROWS);
        let data = &self.data[groups.start * group_bytes..groups.end * group_bytes];
        let products = kernel.with(activations, inputs.tokens, group_bytes);
        for (group, bytes) in groups.zip(data.chunks_exact(group_bytes)) {
            let start = group * ROWS;
            let is_whole = rows.start <= start && start + ROWS <= rows.end;
            let mut first = 0;
            while first < inputs.tokens {
                let outputs = &mut outputs[..GROUP_TOKENS.min(inputs.tokens - first)];
                products.of(bytes, first, outputs);
                if is_whole {
                    // Apart, so that the compiler knows how many there are.
                    for (index, products) in outputs.iter().enumerate() {
                        output(first + index, start, &products.0);
                    }
                } else {
                    let wanted = rows.start.max(start)..rows.end.min(start + ROWS);
                    let places = wanted.start - start..wanted.end - start;
                    for (index, products) in outputs.iter().enumerate() {
                        output(first + index, wanted.start, &products.0[places.clone()]);
                    }
                }
                first += outputs.len();
            }
        }
    }

    fn row(&self, row: usize) -> &'m [u8] {
        &self.data[row * self.row_bytes..(row + 1) * self.row_bytes]
    }

    fn group(&self, group: usize) -> &'m [u8] {
        &self.data[group * ROWS * self.row_bytes..(group + 1) * ROWS * self.row_bytes]
    }
}

/// A block on an address that ggml's C reads from.
#[repr(align(16))]
struct AlignedBlock([u8; BLOCK_BYTES_MAX]);

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

/// Outputs of a cache line: two cores never write into the same one.
const LINE: usize = 16;

/// Fewest tiles for each core: so many that a core which is held up leaves some of its own to the others.
const TILES_PER_CORE: usize = 4;
/// Most columns of a tile.
const TILE_COLUMNS_MAX: usize = 256;

/// Columns of a tile of `outputs`: as many tiles for each core, few enough that handing them out costs little (some 700 instructions
/// each), and whole groups of rows. The result does not depend on it.
fn tile_columns(outputs: usize, cores: usize) -> usize {
    let per_core = TILES_PER_CORE.max(outputs.div_ceil(cores * TILE_COLUMNS_MAX));
    outputs.div_ceil(cores * per_core).next_multiple_of(LINE)
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
            let rows = columns.start.max(first) - first..columns.end.clamp(first, first + matrix.rows) - first;
            matrix.products(rows, inputs, scratch, |token, row, products| {
                let places = &mut tile.row_mut(token)[first + row - columns.start..][..products.len()];
                for (place, product) in places.iter_mut().zip(products) {
                    put(place, *product);
                }
            });
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
        gate.products(columns.clone(), inputs, scratch, |token, row, products| {
            tile.row_mut(token)[row - columns.start..][..products.len()].copy_from_slice(products);
        });
        for token in tile.rows() {
            swiglu::silu(tile.row_mut(token));
        }
        up.products(columns.clone(), inputs, scratch, |token, row, products| {
            let places = &mut tile.row_mut(token)[row - columns.start..][..products.len()];
            for (place, product) in places.iter_mut().zip(products) {
                *place *= product;
            }
        });
    });
}
