//! Writes model files field by field, right or wrong: intact ones, and those around what a test breaks.

/// Numbers of the value types in the file.
pub mod kind {
    /// `u32`.
    pub const U32: u32 = 4;
    /// `i32`.
    pub const I32: u32 = 5;
    /// `f32`.
    pub const F32: u32 = 6;
    /// One byte, 0 or 1.
    pub const BOOL: u32 = 7;
    /// Length as `u64`, then the bytes.
    pub const STRING: u32 = 8;
    /// Element type, count, elements.
    pub const ARRAY: u32 = 9;
    /// `u64`.
    pub const U64: u32 = 10;
}

/// A metadata entry.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: Vec<u8>,
    /// Number of its type.
    pub kind: u32,
    /// Its value, as in the file.
    pub value: Vec<u8>,
}

/// An entry of the tensor table.
#[derive(Clone, Debug)]
pub struct TensorEntry {
    /// Its name.
    pub name: String,
    /// Its dimensions, fastest first.
    pub dimensions: Vec<u64>,
    /// Number of its type.
    pub kind: u32,
    /// Offset from the start of the data.
    pub offset: u64,
}

/// A model file that is being written.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Version of the format.
    pub version: u32,
    /// The metadata, in their order.
    pub keys: Vec<Key>,
    /// The tensors, in their order.
    pub tensors: Vec<TensorEntry>,
    /// What the tensors' offsets point into.
    pub data: Vec<u8>,
}

impl Default for ModelFile {
    fn default() -> Self {
        Self { version: 3, keys: Vec::new(), tensors: Vec::new(), data: Vec::new() }
    }
}

impl ModelFile {
    /// Sets a key to the bytes of a value.
    #[must_use]
    pub fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        let entry = Key { name: name.as_bytes().to_vec(), kind, value: value.to_vec() };
        match self.keys.iter_mut().find(|key| key.name == entry.name) {
            Some(key) => *key = entry,
            None => self.keys.push(entry),
        }
        self
    }

    /// Sets a `u32`.
    #[must_use]
    pub fn u32(self, key: &str, value: u32) -> Self {
        self.key(key, kind::U32, &value.to_le_bytes())
    }

    /// Sets an `f32`.
    #[must_use]
    pub fn f32(self, key: &str, value: f32) -> Self {
        self.key(key, kind::F32, &value.to_le_bytes())
    }

    /// Sets a string.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        self.key(key, kind::STRING, &string(value.as_bytes()))
    }

    /// Sets an array of strings.
    #[must_use]
    pub fn texts<T: AsRef<[u8]>>(self, key: &str, values: &[T]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| string(value.as_ref())).collect();
        self.array(key, kind::STRING, values.len() as u64, &elements)
    }

    /// Sets an array whose elements are given as bytes.
    #[must_use]
    pub fn array(self, key: &str, element: u32, count: u64, elements: &[u8]) -> Self {
        self.key(key, kind::ARRAY, &[&element.to_le_bytes()[..], &count.to_le_bytes(), elements].concat())
    }

    /// Takes a key out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.keys.retain(|key| key.name != name.as_bytes());
        self
    }

    /// Adds a tensor with its data.
    #[must_use]
    pub fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, data: &[u8]) -> Self {
        let offset = self.data.len() as u64;
        self.tensors.push(TensorEntry { name: name.to_owned(), dimensions: dimensions.to_vec(), kind, offset });
        self.data.extend(data);
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        self
    }

    /// Changes the table's entry of a tensor.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn change(mut self, name: &str, change: impl FnOnce(&mut TensorEntry)) -> Self {
        change(self.tensors.iter_mut().find(|tensor| tensor.name == name).expect("the file has the tensor"));
        self
    }

    /// Everything before the tensors' data, without the padding.
    #[must_use]
    pub fn front(&self) -> Vec<u8> {
        let mut file = header(self.version, self.tensors.len() as u64, self.keys.len() as u64);
        for key in &self.keys {
            file.extend(string(&key.name));
            file.extend(key.kind.to_le_bytes());
            file.extend(&key.value);
        }
        for tensor in &self.tensors {
            file.extend(string(tensor.name.as_bytes()));
            file.extend((tensor.dimensions.len() as u32).to_le_bytes());
            file.extend(tensor.dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()));
            file.extend(tensor.kind.to_le_bytes());
            file.extend(tensor.offset.to_le_bytes());
        }
        file
    }

    /// The bytes of the file.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut file = self.front();
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(&self.data);
        file
    }
}

/// The first bytes of a file.
#[must_use]
pub fn header(version: u32, tensors: u64, keys: u64) -> Vec<u8> {
    [&b"GGUF"[..], &version.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat()
}

/// A string as the format has it.
#[must_use]
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// A type of weights with blocks of 32, or none: number, bytes of 32 weights, and what each 32 begin with.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    kind: u32,
    bytes: usize,
    /// Scales: binary16 0x1C00 is 2^-8, the byte 120 is 2^-7 as E8M0.
    prefix: &'static [u8],
}

impl Weights {
    /// Those of which a row may be 32 wide.
    pub const ALL: [Self; 8] = [
        Self { kind: 8, bytes: 34, prefix: &[0x00, 0x1C] },
        Self { kind: 2, bytes: 18, prefix: &[0x00, 0x1C] },
        Self { kind: 3, bytes: 20, prefix: &[0x00, 0x1C, 0x00, 0x1C] },
        Self { kind: 6, bytes: 22, prefix: &[0x00, 0x1C] },
        Self { kind: 7, bytes: 24, prefix: &[0x00, 0x1C, 0x00, 0x1C] },
        Self { kind: 20, bytes: 18, prefix: &[0x00, 0x1C] },
        Self { kind: 39, bytes: 17, prefix: &[120] },
        Self { kind: 1, bytes: 64, prefix: &[] },
    ];

    /// Blocks of small weights that differ.
    fn blocks(&self, count: u64) -> Vec<u8> {
        let byte = |index: u64, at: usize| match self.prefix.get(at) {
            Some(byte) => *byte,
            // Plain binary16 keeps its exponents small.
            None if self.prefix.is_empty() && at % 2 == 1 => 0x20 | (index as u8).wrapping_mul(37) & 0x83,
            None => ((index * 37 + at as u64 * 11) % 251) as u8,
        };
        (0..count).flat_map(|index| (0..self.bytes).map(move |at| byte(index, at))).collect()
    }
}

/// Width of the residual stream of [`smallest`].
const EMBEDDING: u64 = 32;
const FEED_FORWARD: u64 = 64;

/// A whole model of about 12 KiB that answers: one layer, 32 wide, two heads, a SentencePiece vocabulary with bytes.
#[must_use]
pub fn smallest(weights: Weights) -> ModelFile {
    let tokens = smallest_vocabulary();
    let scores: Vec<u8> = (0..tokens.len()).flat_map(|id| (-(id as f32)).to_le_bytes()).collect();
    let kind_of = |id: usize| match id {
        0 => 2i32,
        1 | 2 => 3,
        3..9 => 1,
        _ => 6,
    };
    let types: Vec<u8> = (0..tokens.len()).flat_map(|id| kind_of(id).to_le_bytes()).collect();
    let count = tokens.len() as u64;
    let file = ModelFile::default()
        .text("general.architecture", "llama")
        .text("general.name", "smallest")
        .u32("llama.block_count", 1)
        .u32("llama.embedding_length", EMBEDDING as u32)
        .u32("llama.feed_forward_length", FEED_FORWARD as u32)
        .u32("llama.attention.head_count", 2)
        .u32("llama.attention.head_count_kv", 1)
        .u32("llama.context_length", 64)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .array("tokenizer.ggml.scores", kind::F32, count, &scores)
        .array("tokenizer.ggml.token_type", kind::I32, count, &types)
        .text("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
    with_tensors(file, weights, count)
}

/// Unknown, begin, end, a few pieces, then bytes.
fn smallest_vocabulary() -> Vec<String> {
    let words = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab", "c"].map(String::from);
    let bytes = (0..=255u8).step_by(8).map(|byte| format!("<0x{byte:02X}>"));
    words.into_iter().chain(bytes).collect()
}

fn with_tensors(file: ModelFile, weights: Weights, vocabulary: u64) -> ModelFile {
    let norm: Vec<u8> = [1.0f32; EMBEDDING as usize].iter().flat_map(|value| value.to_le_bytes()).collect();
    let matrix = |file: ModelFile, name: &str, columns: u64, rows: u64| {
        file.tensor(name, &[columns, rows], weights.kind, &weights.blocks(columns / 32 * rows))
    };
    let mut file = matrix(file, "token_embd.weight", EMBEDDING, vocabulary);
    file = file.tensor("output_norm.weight", &[EMBEDDING], 0, &norm);
    for name in ["attn_norm", "ffn_norm"] {
        file = file.tensor(&format!("blk.0.{name}.weight"), &[EMBEDDING], 0, &norm);
    }
    let matrices = [
        ("attn_q", EMBEDDING, EMBEDDING),
        ("attn_k", EMBEDDING, EMBEDDING / 2),
        ("attn_v", EMBEDDING, EMBEDDING / 2),
        ("attn_output", EMBEDDING, EMBEDDING),
        ("ffn_gate", EMBEDDING, FEED_FORWARD),
        ("ffn_up", EMBEDDING, FEED_FORWARD),
        ("ffn_down", FEED_FORWARD, EMBEDDING),
    ];
    for (name, columns, rows) in matrices {
        file = matrix(file, &format!("blk.0.{name}.weight"), columns, rows);
    }
    file
}
