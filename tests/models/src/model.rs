//! A whole model: metadata, tensor table, random weights.

use std::io::{self, Write};

use barellama_gguf::TensorType;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::blocks::random_blocks;
use crate::file::{GgufWriter, KeyValue, TensorEntry};
use crate::mix::Mix;
use crate::shape::Shape;
use crate::vocabulary::Vocabulary;

/// What every generated file says of itself.
const DESCRIPTION: &str =
    "Random weights in the shape of a real model: shows size and speed, says nothing about quality. Not trained.";
/// RMS epsilon of the family.
const NORM_EPSILON: f32 = 1e-5;

/// A model that can be written to a file, the same bytes each time.
#[derive(Clone, Debug)]
pub struct Model {
    metadata: Vec<KeyValue>,
    tensors: Vec<TensorEntry>,
    /// Vectors of given values; all others are 1.
    vectors: Vec<(String, Vec<f32>)>,
    version: u32,
}

impl Model {
    /// A model with the types of one of llama.cpp's mixes.
    #[must_use]
    pub fn new(name: &str, shape: &Shape, mix: Mix, vocabulary: &Vocabulary) -> Self {
        let of_layer = |layer, matrix: &str| mix.of_layer(shape, layer, matrix);
        let mut model = Self::with_types(name, shape, vocabulary, mix.embedding(), mix.head(), of_layer);
        model.metadata.push(KeyValue::u32("general.file_type", mix.number() as usize));
        model
    }

    /// A model all of whose matrices have one type.
    #[must_use]
    pub fn uniform(name: &str, shape: &Shape, kind: TensorType, vocabulary: &Vocabulary) -> Self {
        Self::with_types(name, shape, vocabulary, kind, kind, |_, _| kind)
    }

    /// A model whose matrices take the types in turn.
    ///
    /// # Panics
    /// If there are no types.
    #[must_use]
    pub fn mixed(name: &str, shape: &Shape, kinds: &[TensorType], vocabulary: &Vocabulary) -> Self {
        let matrices = shape.layer_matrices();
        let index = |layer: usize, matrix: &str| {
            layer * matrices.len() + matrices.iter().position(|(name, ..)| *name == matrix).unwrap_or(0)
        };
        let kind = |index: usize| kinds[index % kinds.len()];
        let count = shape.layers * matrices.len();
        Self::with_types(name, shape, vocabulary, kind(count), kind(count + 1), |layer, matrix| {
            kind(index(layer, matrix))
        })
    }

    fn with_types(
        name: &str,
        shape: &Shape,
        vocabulary: &Vocabulary,
        embedding: TensorType,
        head: TensorType,
        of_layer: impl Fn(usize, &str) -> TensorType,
    ) -> Self {
        let matrix =
            |name: &str, columns, rows, kind| TensorEntry { name: name.into(), dimensions: vec![columns, rows], kind };
        let norm = |name: String| TensorEntry { name, dimensions: vec![shape.embedding], kind: TensorType::F32 };
        let tokens = vocabulary.tokens();
        let mut tensors = Vec::new();
        let embedding = if shape.is_tied { head } else { embedding };
        tensors.push(matrix("token_embd.weight", shape.embedding, tokens, embedding));
        for layer in 0..shape.layers {
            tensors.push(norm(format!("blk.{layer}.attn_norm.weight")));
            tensors.push(norm(format!("blk.{layer}.ffn_norm.weight")));
            for (part, columns, rows) in shape.layer_matrices() {
                tensors.push(matrix(&format!("blk.{layer}.{part}.weight"), columns, rows, of_layer(layer, part)));
            }
        }
        tensors.push(norm("output_norm.weight".into()));
        if !shape.is_tied {
            tensors.push(matrix("output.weight", shape.embedding, tokens, head));
        }
        Self { metadata: metadata(name, shape, vocabulary), tensors, vectors: Vec::new(), version: 3 }
    }

    /// With a chat template.
    #[must_use]
    pub fn with_template(self, template: &str) -> Self {
        self.with(KeyValue::string("tokenizer.chat_template", template))
    }

    /// With one more metadata entry, instead of one of the same key.
    #[must_use]
    pub fn with(mut self, entry: KeyValue) -> Self {
        self.metadata.retain(|other| other.key() != entry.key());
        self.metadata.push(entry);
        self
    }

    /// With one more vector of F32.
    #[must_use]
    pub fn with_vector(mut self, name: &str, values: &[f32]) -> Self {
        let entry = TensorEntry { name: name.into(), dimensions: vec![values.len()], kind: TensorType::F32 };
        self.tensors.push(entry);
        self.vectors.push((name.into(), values.to_vec()));
        self
    }

    /// In another version of the format.
    #[must_use]
    pub const fn in_version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Its tensors.
    #[must_use]
    pub fn tensors(&self) -> &[TensorEntry] {
        &self.tensors
    }

    /// Bytes of all tensor data.
    #[must_use]
    pub fn tensor_bytes(&self) -> usize {
        self.tensors.iter().map(TensorEntry::bytes).sum()
    }

    /// Writes the file with random weights. Those of a tensor depend only on its name and type.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write<W: Write>(&self, output: W) -> io::Result<W> {
        self.write_with(output, &mut |tensor, data| {
            random_blocks(tensor.kind, &mut Pcg64Mcg::seed_from_u64(seed(tensor)), data);
        })
    }

    /// Writes the file with the matrices that `fill` makes.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write_with<W: Write>(&self, output: W, fill: &mut dyn FnMut(&TensorEntry, &mut [u8])) -> io::Result<W> {
        let mut writer = GgufWriter::start(output, self.version, &self.metadata, self.tensors.clone())?;
        let mut data = Vec::new();
        for tensor in &self.tensors {
            data.resize(tensor.bytes(), 0);
            if tensor.dimensions.len() == 1 {
                let given = self.vectors.iter().find(|(name, _)| *name == tensor.name).map(|(_, values)| values);
                for (index, bytes) in data.as_chunks_mut().0.iter_mut().enumerate() {
                    *bytes = given.map_or(1.0, |values| values[index]).to_le_bytes();
                }
            } else {
                fill(tensor, &mut data);
            }
            writer.tensor(&data)?;
        }
        writer.finish()
    }

    /// The file in memory.
    ///
    /// # Panics
    /// If a row is not whole blocks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Vec::new()).expect("memory takes everything")
    }
}

fn metadata(name: &str, shape: &Shape, vocabulary: &Vocabulary) -> Vec<KeyValue> {
    let mut metadata = vec![
        KeyValue::string("general.architecture", "llama"),
        KeyValue::string("general.name", name),
        KeyValue::string("general.description", DESCRIPTION),
        KeyValue::u32("general.quantization_version", 2),
        KeyValue::u32("llama.block_count", shape.layers),
        KeyValue::u32("llama.context_length", shape.context),
        KeyValue::u32("llama.embedding_length", shape.embedding),
        KeyValue::u32("llama.feed_forward_length", shape.feed_forward),
        KeyValue::u32("llama.attention.head_count", shape.heads),
        KeyValue::u32("llama.attention.head_count_kv", shape.kv_heads),
        KeyValue::u32("llama.rope.dimension_count", shape.head),
        KeyValue::f32("llama.rope.freq_base", shape.rope_base),
        KeyValue::f32("llama.attention.layer_norm_rms_epsilon", NORM_EPSILON),
        KeyValue::u32("llama.vocab_size", vocabulary.tokens()),
    ];
    if shape.head * shape.heads != shape.embedding {
        metadata.push(KeyValue::u32("llama.attention.key_length", shape.head));
        metadata.push(KeyValue::u32("llama.attention.value_length", shape.head));
    }
    metadata.extend_from_slice(vocabulary.entries());
    metadata
}

/// FNV-1a over the tensor's name and type.
fn seed(tensor: &TensorEntry) -> u64 {
    let bytes = tensor.name.bytes().chain([tensor.kind as u32 as u8]);
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
