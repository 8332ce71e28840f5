//! A llama as the papers write it, in double precision, one token after the other: slow and simple.
//!
//! Sources: "LLaMA: Open and Efficient Foundation Language Models" (pre-norm, SwiGLU), "Root Mean Square Layer Normalization",
//! "RoFormer" (rotation of neighbouring pairs, as GGUF files of the llama architecture have them), "GQA".

use barellama_gguf::Gguf;
use barellama_models::Shape;

/// How queries and keys are rotated.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Elements of a head that are rotated.
    pub dimensions: usize,
    /// Base of the frequencies.
    pub base: f64,
    /// Positions are multiplied by it.
    pub scale: f64,
    /// Each frequency is divided by its own.
    pub divisors: Vec<f64>,
}

pub struct Textbook<'f> {
    gguf: Gguf<'f>,
    shape: &'f Shape,
    rotation: &'f Rotation,
}

impl<'f> Textbook<'f> {
    pub fn new(file: &'f [u8], shape: &'f Shape, rotation: &'f Rotation) -> Self {
        Self { gguf: Gguf::parse(file).unwrap(), shape, rotation }
    }

    /// The logits behind the last token.
    pub fn logits(&self, tokens: &[u32]) -> Vec<f64> {
        let shape = self.shape;
        let embedding = self.tensor("token_embd.weight");
        let rows = |token: u32| embedding[token as usize * shape.embedding..][..shape.embedding].to_vec();
        let mut stream: Vec<Vec<f64>> = tokens.iter().map(|token| rows(*token)).collect();
        for layer in 0..shape.layers {
            self.attend(layer, &mut stream);
            for state in &mut stream {
                self.feed_forward(layer, state);
            }
        }
        let last = normalized(stream.last().unwrap(), &self.tensor("output_norm.weight"));
        if shape.is_tied { product(&embedding, &last) } else { product(&self.tensor("output.weight"), &last) }
    }

    fn attend(&self, layer: usize, stream: &mut [Vec<f64>]) {
        let Shape { heads, kv_heads, head, .. } = *self.shape;
        let part = |name: &str| self.tensor(&format!("blk.{layer}.{name}.weight"));
        let norm = part("attn_norm");
        let inputs: Vec<Vec<f64>> = stream.iter().map(|state| normalized(state, &norm)).collect();
        let all = |matrix: &[f64]| inputs.iter().map(|input| product(matrix, input)).collect::<Vec<_>>();
        let (mut queries, mut keys, values) = (all(&part("attn_q")), all(&part("attn_k")), all(&part("attn_v")));
        for (position, (query, key)) in queries.iter_mut().zip(&mut keys).enumerate() {
            query.chunks_mut(head).chain(key.chunks_mut(head)).for_each(|values| self.rotate(values, position));
        }
        let output = part("attn_output");
        for (position, state) in stream.iter_mut().enumerate() {
            let mut joined = Vec::new();
            for query_head in 0..heads {
                let shared = query_head / (heads / kv_heads);
                let of = |vectors: &[Vec<f64>], at: usize| vectors[at][shared * head..][..head].to_vec();
                let query = &queries[position][query_head * head..][..head];
                let scores = (0..=position).map(|at| dot(query, &of(&keys, at)) / (head as f64).sqrt());
                let weights: Vec<f64> = scores.map(f64::exp).collect();
                let sum: f64 = weights.iter().sum();
                for element in 0..head {
                    let mixed = weights.iter().enumerate().map(|(at, weight)| weight * of(&values, at)[element]);
                    joined.push(mixed.sum::<f64>() / sum);
                }
            }
            add(state, &product(&output, &joined));
        }
    }

    fn feed_forward(&self, layer: usize, state: &mut [f64]) {
        let part = |name: &str| self.tensor(&format!("blk.{layer}.{name}.weight"));
        let input = normalized(state, &part("ffn_norm"));
        let (gate, up) = (product(&part("ffn_gate"), &input), product(&part("ffn_up"), &input));
        let inner: Vec<f64> = gate.iter().zip(&up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
        add(state, &product(&part("ffn_down"), &inner));
    }

    fn rotate(&self, values: &mut [f64], position: usize) {
        let Rotation { dimensions, base, scale, divisors } = self.rotation;
        for pair in 0..dimensions / 2 {
            let frequency = base.powf(-2.0 * pair as f64 / *dimensions as f64) / divisors[pair];
            let (sine, cosine) = (position as f64 * scale * frequency).sin_cos();
            let (x, y) = (values[2 * pair], values[2 * pair + 1]);
            values[2 * pair] = x * cosine - y * sine;
            values[2 * pair + 1] = x * sine + y * cosine;
        }
    }

    fn tensor(&self, name: &str) -> Vec<f64> {
        let tensor = self.gguf.tensor(name).unwrap_or_else(|| panic!("no {name}"));
        tensor.data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(matrix: &[f64], input: &[f64]) -> Vec<f64> {
    matrix.chunks(input.len()).map(|row| dot(row, input)).collect()
}

fn add(state: &mut [f64], change: &[f64]) {
    state.iter_mut().zip(change).for_each(|(state, change)| *state += change);
}

fn normalized(state: &[f64], weights: &[f64]) -> Vec<f64> {
    let mean_square = dot(state, state) / state.len() as f64;
    let factor = 1.0 / (mean_square + f64::from(1e-5f32)).sqrt();
    state.iter().zip(weights).map(|(value, weight)| value * factor * weight).collect()
}
