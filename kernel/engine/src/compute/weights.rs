//! The weights of a model, ready to be multiplied.

use alloc::vec::Vec;

use barellama_gguf::{LayerTensors, ModelConfig, ModelTensors, Tensor};

use super::inputs::InputFormat;
use super::linear::{Arithmetic, Matrix, RowLayout};

/// The weights of one layer.
#[derive(Debug)]
pub struct Layer<'m> {
    /// Norm before attention.
    pub attention_norm: Vec<f32>,
    /// Queries.
    pub query: Matrix<'m>,
    /// Keys.
    pub key: Matrix<'m>,
    /// Values.
    pub value: Matrix<'m>,
    /// Back to the residual stream.
    pub attention_output: Matrix<'m>,
    /// Norm before the feed-forward layer.
    pub feed_forward_norm: Vec<f32>,
    /// Gate.
    pub gate: Matrix<'m>,
    /// Up.
    pub up: Matrix<'m>,
    /// Down.
    pub down: Matrix<'m>,
}

/// All weights.
#[derive(Debug)]
pub struct Weights<'m> {
    /// The shape.
    pub config: ModelConfig,
    /// How weights and activations meet.
    pub arithmetic: Arithmetic,
    /// A row per token.
    pub embedding: Matrix<'m>,
    /// The layers.
    pub layers: Vec<Layer<'m>>,
    /// Norm before the head.
    pub output_norm: Vec<f32>,
    /// The head.
    pub output: Matrix<'m>,
    /// Divisors of the rotation frequencies.
    pub rope_factors: Option<Vec<f32>>,
}

impl<'m> Weights<'m> {
    /// The weights in the tensors; the name of the first tensor whose type has no arithmetic otherwise.
    ///
    /// # Errors
    /// The tensor that cannot be multiplied.
    pub fn new(
        config: ModelConfig,
        tensors: &ModelTensors<'m>,
        arithmetic: Arithmetic,
        layout: RowLayout,
    ) -> Result<Self, Tensor<'m>> {
        let matrix = |tensor: &Tensor<'m>| Matrix::new(tensor, arithmetic, layout).ok_or(*tensor);
        let layers =
            tensors.layers.iter().map(|layer| Layer::new(layer, arithmetic, layout)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            config,
            arithmetic,
            embedding: matrix(&tensors.embedding)?,
            layers,
            output_norm: vector(&tensors.output_norm),
            output: matrix(&tensors.output)?,
            rope_factors: tensors.rope_factors.as_ref().map(vector),
        })
    }

    /// Bytes that every pass reads: of all layers, and of the head (once for each group of rows whose logits are wanted).
    #[must_use]
    pub fn streamed_bytes(&self) -> (u64, u64) {
        let layers = self.layers.iter().flat_map(Layer::matrices).map(Matrix::bytes).sum();
        (layers, self.output.bytes())
    }

    /// Whether any matrix wants activations in that format.
    #[must_use]
    pub fn wants(&self, format: InputFormat) -> bool {
        let layers = self.layers.iter().flat_map(Layer::matrices);
        layers.chain([&self.output]).any(|matrix| matrix.input() == Some(format))
    }
}

impl<'m> Layer<'m> {
    fn new(tensors: &LayerTensors<'m>, arithmetic: Arithmetic, layout: RowLayout) -> Result<Self, Tensor<'m>> {
        let matrix = |tensor: &Tensor<'m>| Matrix::new(tensor, arithmetic, layout).ok_or(*tensor);
        Ok(Self {
            attention_norm: vector(&tensors.attention_norm),
            query: matrix(&tensors.query)?,
            key: matrix(&tensors.key)?,
            value: matrix(&tensors.value)?,
            attention_output: matrix(&tensors.attention_output)?,
            feed_forward_norm: vector(&tensors.feed_forward_norm),
            gate: matrix(&tensors.gate)?,
            up: matrix(&tensors.up)?,
            down: matrix(&tensors.down)?,
        })
    }

    fn matrices(&self) -> [&Matrix<'m>; 7] {
        [&self.query, &self.key, &self.value, &self.attention_output, &self.gate, &self.up, &self.down]
    }
}

/// An F32 tensor as values; norms are small, a copy keeps their use free of byte order and alignment.
fn vector(tensor: &Tensor<'_>) -> Vec<f32> {
    tensor.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
