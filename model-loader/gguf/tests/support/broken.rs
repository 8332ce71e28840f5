//! Broken model files: each breaks one thing of an intact one and names the check that must catch it.
//!
//! The error is given as its `Debug` form: the check with its numbers, then (for the structure of the file) the key or tensor.

use super::model_file::{Key, ModelFile, Weights, header, kind, smallest, string};

/// A broken file.
pub struct Broken {
    /// What was broken.
    pub name: &'static str,
    /// The error that names it.
    pub error: &'static str,
    /// The file.
    pub file: Vec<u8>,
}

/// An intact file.
#[must_use]
pub fn intact() -> ModelFile {
    smallest(Weights::ALL[0])
}

/// Every broken file.
#[must_use]
pub fn files() -> Vec<Broken> {
    [headers(), keys(), arrays(), places(), tensors(), shapes(), features(), model_tensors()]
        .into_iter()
        .flatten()
        .collect()
}

/// A name with which an entry without the rest has as many bytes as the least whole one.
const LONG: &[u8] = b"a.name.of.thirty.bytes.or.more.";

fn broken(name: &'static str, error: &'static str, file: impl Into<Vec<u8>>) -> Broken {
    Broken { name, error, file: file.into() }
}

/// The intact file, changed.
fn with(name: &'static str, error: &'static str, change: impl FnOnce(ModelFile) -> ModelFile) -> Broken {
    broken(name, error, change(intact()).build())
}

/// The same with a first key of that type and value, and nothing behind it.
fn cut_key(name: &'static str, error: &'static str, kind: u32, value: &[u8]) -> Broken {
    let key = Key { name: LONG.to_vec(), kind, value: value.to_vec() };
    let file = ModelFile { keys: vec![key], ..ModelFile::default() };
    broken(name, error, file.front())
}

/// A file whose only key has that value, with padding behind it.
fn key(name: &'static str, error: &'static str, kind: u32, value: &[u8]) -> Broken {
    with(name, error, |file| file.key("k", kind, value))
}

fn array(element: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&element.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

fn headers() -> Vec<Broken> {
    let padded = |tensors, keys| [header(3, tensors, keys), vec![0; 1 << 20]].concat();
    let version = |version| ModelFile { version, ..intact() }.build();
    let name = |bytes: &[u8]| [header(3, 0, 1), bytes.to_vec(), vec![0; 64]].concat();
    vec![
        broken("another magic", "Magic ", *b"GGML\x03\0\0\0"),
        broken("ends behind the magic", "Truncated ", *b"GGUF\x03"),
        broken("big-endian", "BigEndian ", version(3 << 24)),
        broken("version 1", "Version(1) ", version(1)),
        broken("version 4", "Version(4) ", version(4)),
        broken("ends before the number of tensors", "Truncated ", &intact().build()[..12]),
        broken("ends before the number of keys", "Truncated ", &intact().build()[..20]),
        broken("more tensors than allowed", "TensorCount(16385) ", padded(16_385, 0)),
        broken("more tensors than bytes", "TensorCount(2) ", [header(3, 2, 0), vec![0; 65]].concat()),
        broken("more keys than allowed", "MetadataCount(4097) ", padded(0, 4097)),
        broken("more keys than bytes", "MetadataCount(2) ", [header(3, 0, 2), vec![0; 27]].concat()),
        broken("a name without bytes", "NameLength(0) ", name(&0u64.to_le_bytes())),
        broken("a name of 257 bytes", "NameLength(257) ", name(&string(&[b'k'; 257]))),
        broken("a name of 2^64 bytes", "NameLength(18446744073709551615) ", name(&u64::MAX.to_le_bytes())),
        broken("a name that is not UTF-8", "Utf8 ", name(&string(&[0xFF, 0xFE]))),
        broken(
            "ends inside a name",
            "Truncated ",
            [header(3, 0, 1), 200u64.to_le_bytes().into(), vec![b'k'; 60]].concat(),
        ),
    ]
}

fn keys() -> Vec<Broken> {
    vec![
        broken(
            "ends before a key's type",
            "Truncated kkkkkkkk",
            [header(3, 0, 1), string(&[b'k'; 8]), vec![0; 3]].concat(),
        ),
        key("a type that does not exist", "ValueType(13) k", 13, &[0; 8]),
        cut_key("ends inside a number", "Truncated a.name.of.thirty.bytes.or.more.", kind::U64, &[0; 7]),
        cut_key("ends before a boolean", "Truncated a.name.of.thirty.bytes.or.more.", kind::BOOL, &[]),
        key("a boolean that is 2", "Boolean(2) k", kind::BOOL, &[2]),
        cut_key("ends inside a string's length", "Truncated a.name.of.thirty.bytes.or.more.", kind::STRING, &[0; 7]),
        key("a string of 2^64 bytes", "StringLength(18446744073709551615) k", kind::STRING, &u64::MAX.to_le_bytes()),
        cut_key(
            "a string behind the end",
            "StringLength(9) a.name.of.thirty.bytes.or.more.",
            kind::STRING,
            &[&9u64.to_le_bytes()[..], b"12345678"].concat(),
        ),
        key("a string that is not UTF-8", "Utf8 k", kind::STRING, &string(&[0xC3])),
        with("two keys of one name", "DuplicateKey general.name", |mut file| {
            file.keys.push(file.keys[1].clone());
            file
        }),
    ]
}

fn arrays() -> Vec<Broken> {
    let one = |name, error, value: Vec<u8>| key(name, error, kind::ARRAY, &value);
    vec![
        cut_key("ends before an array's type", "Truncated a.name.of.thirty.bytes.or.more.", kind::ARRAY, &[0; 3]),
        one("an array of a type that does not exist", "ValueType(99) k", array(99, 1, &[0; 8])),
        cut_key(
            "ends before an array's length",
            "Truncated a.name.of.thirty.bytes.or.more.",
            kind::ARRAY,
            &[4, 0, 0, 0, 1, 0, 0],
        ),
        one("an array of arrays", "NestedArray k", array(kind::ARRAY, 1, &array(kind::U32, 0, &[]))),
        one("an array whose size overflows", "ArrayLength(18446744073709551615) k", array(kind::U32, u64::MAX, &[])),
        one("an array behind the end", "ArrayLength(1099511627776) k", array(kind::U32, 1 << 40, &[])),
        cut_key(
            "more strings than bytes",
            "ArrayLength(2) a.name.of.thirty.bytes.or.more.",
            kind::ARRAY,
            &array(kind::STRING, 2, &string(b"a")),
        ),
        one("a boolean in an array that is 7", "Boolean(7) k", array(kind::BOOL, 2, &[1, 7])),
        one("a string in an array that is not UTF-8", "Utf8 k", array(kind::STRING, 1, &string(&[0x80]))),
        one(
            "a string in an array behind the end",
            "StringLength(1152921504606846976) k",
            array(kind::STRING, 1, &(1u64 << 60).to_le_bytes()),
        ),
    ]
}

fn places() -> Vec<Broken> {
    const NAME: &str = "token_embd.weight";
    let alignment = |name, error, value| with(name, error, |file| file.u32("general.alignment", value));
    let place = |name, error, offset| with(name, error, |file| file.change(NAME, |tensor| tensor.offset = offset));
    vec![
        with("one of three parts", "Split(3) split.count", |file| file.key("split.count", 2, &3u16.to_le_bytes())),
        alignment("an alignment of 0", "Alignment(0) general.alignment", 0),
        alignment("an alignment of 4", "Alignment(4) general.alignment", 4),
        alignment("an alignment of 48", "Alignment(48) general.alignment", 48),
        alignment("an alignment of 128 KiB", "Alignment(131072) general.alignment", 1 << 17),
        with("an alignment that is a text", "Alignment(0) general.alignment", |file| {
            file.text("general.alignment", "32")
        }),
        place("data that is not aligned", "TensorAlignment(8) token_embd.weight", 8),
        place("data behind the end", "TensorOutsideFile { start: 1073744032, bytes: 1394 } token_embd.weight", 1 << 30),
        place(
            "data at an offset that overflows",
            "TensorOutsideFile { start: 18446744073709551615, bytes: 1394 } token_embd.weight",
            u64::MAX - 31,
        ),
        with(
            "data that ends behind the end",
            "TensorOutsideFile { start: 11616, bytes: 2176 } blk.0.ffn_down.weight",
            |mut file| {
                file.data.truncate(file.data.len() - 1);
                file
            },
        ),
        with("data of two tensors at one place", "TensorOverlap token_embd.weight", |file| {
            file.change("output_norm.weight", |tensor| tensor.offset = 0)
        }),
        with("data that begins in another tensor's", "TensorOverlap output_norm.weight", |file| {
            file.change("output_norm.weight", |tensor| tensor.offset = 32)
        }),
    ]
}

fn tensors() -> Vec<Broken> {
    const NAME: &str = "output_norm.weight";
    let dimensions = |name, error, dimensions: &[u64]| {
        with(name, error, |file| file.change(NAME, |tensor| tensor.dimensions = dimensions.to_vec()))
    };
    let kind = |name, error, kind| with(name, error, |file| file.change(NAME, |tensor| tensor.kind = kind));
    let cut = |name, error, bytes: usize| {
        let mut file = ModelFile::default().tensor("a.name.of.thirty.bytes.or.more.", &[8], 0, &[]);
        file.data.clear();
        let front = file.front();
        // Enough in front for the table to be begun: a key that says nothing.
        let front =
            [header(3, 1, 1), string(b"k"), vec![7, 0, 0, 0, 0], front[24..front.len() - bytes].to_vec()].concat();
        broken(name, error, front)
    };
    vec![
        cut("ends before a tensor's dimensions", "Truncated a.name.of.thirty.bytes.or.more.", 8 + 4 + 8 + 4),
        cut("ends inside a dimension", "Truncated a.name.of.thirty.bytes.or.more.", 8 + 4 + 4),
        cut("ends before a tensor's type", "Truncated a.name.of.thirty.bytes.or.more.", 8 + 4),
        cut("ends inside a tensor's offset", "Truncated a.name.of.thirty.bytes.or.more.", 1),
        dimensions("a tensor without dimensions", "DimensionCount(0) output_norm.weight", &[]),
        dimensions("a tensor of five dimensions", "DimensionCount(5) output_norm.weight", &[1; 5]),
        dimensions("a dimension of 0", "Dimensions output_norm.weight", &[0]),
        dimensions("a number of elements that overflows", "Dimensions output_norm.weight", &[1 << 33, 1 << 33]),
        dimensions("a number of bytes that overflows", "Dimensions output_norm.weight", &[1 << 62, 2]),
        kind("a type that was removed", "RemovedType(\"q4_2\") output_norm.weight", 4),
        kind("a type that is not known", "UnknownType(43) output_norm.weight", 43),
        with("a row of half a block", "RowBlocks(Q8_0) token_embd.weight", |file| {
            file.change("token_embd.weight", |tensor| tensor.dimensions[0] = 16)
        }),
        with("two tensors of one name", "DuplicateTensor output_norm.weight", |file| {
            file.change("blk.0.attn_norm.weight", |tensor| tensor.name = String::from(NAME))
        }),
    ]
}

fn shapes() -> Vec<Broken> {
    let set = |name, error, key: &'static str, value| with(name, error, |file| file.u32(key, value));
    let without = |name, error, key: &'static str| with(name, error, |file| file.without(key));
    vec![
        with("an adapter", "NotAModel(\"adapter\")", |file| file.text("general.type", "adapter")),
        without("no architecture", "Missing(\"general.architecture\")", "general.architecture"),
        with("another architecture", "Architecture(\"qwen2\")", |file| file.text("general.architecture", "qwen2")),
        without("no number of layers", "Missing(\"llama.block_count\")", "llama.block_count"),
        with("a number of layers that is a text", "Missing(\"llama.block_count\")", |file| {
            file.text("llama.block_count", "1")
        }),
        set(
            "no layers",
            "OutOfRange { key: \"llama.block_count\", value: 0, least: 1, most: 1024 }",
            "llama.block_count",
            0,
        ),
        set(
            "too many layers",
            "OutOfRange { key: \"llama.block_count\", value: 1025, least: 1, most: 1024 }",
            "llama.block_count",
            1025,
        ),
        set(
            "too wide",
            "OutOfRange { key: \"llama.embedding_length\", value: 65537, least: 1, most: 65536 }",
            "llama.embedding_length",
            65_537,
        ),
        set(
            "too wide a feed-forward layer",
            "OutOfRange { key: \"llama.feed_forward_length\", value: 262145, least: 1, most: 262144 }",
            "llama.feed_forward_length",
            262_145,
        ),
        set(
            "too many heads",
            "OutOfRange { key: \"llama.attention.head_count\", value: 1025, least: 1, most: 1024 }",
            "llama.attention.head_count",
            1025,
        ),
        set(
            "too many key-value heads",
            "OutOfRange { key: \"llama.attention.head_count_kv\", value: 1025, least: 1, most: 1024 }",
            "llama.attention.head_count_kv",
            1025,
        ),
        set(
            "heads that key-value heads do not divide",
            "Contradiction(\"the number of heads is not a multiple of the key-value heads\")",
            "llama.attention.head_count_kv",
            3,
        ),
        set(
            "heads that do not divide the width",
            "Contradiction(\"the embedding is not a multiple of the heads\")",
            "llama.attention.head_count",
            3,
        ),
        set(
            "too wide a head",
            "OutOfRange { key: \"llama.attention.key_length\", value: 1025, least: 1, most: 1024 }",
            "llama.attention.key_length",
            1025,
        ),
        with("a head of more than 1024", "Contradiction(\"a head is empty or too wide\")", |file| {
            file.u32("llama.embedding_length", 4096).u32("llama.attention.head_count", 2)
        }),
        set(
            "values of another width than keys",
            "Contradiction(\"keys and values have different widths, which is not supported\")",
            "llama.attention.value_length",
            8,
        ),
        set(
            "an odd part of a head that rotates",
            "Contradiction(\"the rotated part of a head is odd or wider than the head\")",
            "llama.rope.dimension_count",
            7,
        ),
        set(
            "more than a head that rotates",
            "Contradiction(\"the rotated part of a head is odd or wider than the head\")",
            "llama.rope.dimension_count",
            18,
        ),
        without("no context", "Missing(\"llama.context_length\")", "llama.context_length"),
        set(
            "too long a context",
            "OutOfRange { key: \"llama.context_length\", value: 16777217, least: 1, most: 16777216 }",
            "llama.context_length",
            (1 << 24) + 1,
        ),
        set(
            "another size of the vocabulary",
            "Contradiction(\"llama.vocab_size is not the number of rows of token_embd.weight\")",
            "llama.vocab_size",
            40,
        ),
    ]
}

fn features() -> Vec<Broken> {
    let layers = |values: [u32; 2]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let float = |name, error, key: &'static str, value| with(name, error, |file| file.f32(key, value));
    vec![
        with(
            "heads that differ per layer",
            "Unsupported(\"llama.attention.head_count_kv\", \"different values per layer\")",
            |file| file.array("llama.attention.head_count_kv", kind::U32, 2, &layers([1, 2])),
        ),
        with("heads per no layer", "Missing(\"llama.attention.head_count_kv\")", |file| {
            file.array("llama.attention.head_count_kv", kind::U32, 0, &[])
        }),
        with("a mixture of experts", "Unsupported(\"llama.expert_count\", \"mixture of experts\")", |file| {
            file.u32("llama.expert_count", 8)
        }),
        with("positions scaled by YaRN", "Unsupported(\"llama.rope.scaling.type\", \"yarn\")", |file| {
            file.text("llama.rope.scaling.type", "yarn")
        }),
        float("a negative base of the rotation", "NotPositive(\"llama.rope.freq_base\")", "llama.rope.freq_base", -1.0),
        float(
            "an infinite base of the rotation",
            "NotPositive(\"llama.rope.freq_base\")",
            "llama.rope.freq_base",
            f32::INFINITY,
        ),
        float(
            "a scale of positions that is no number",
            "NotPositive(\"llama.rope.scaling.factor\")",
            "llama.rope.scaling.factor",
            f32::NAN,
        ),
        with("a scale of positions that is text", "Missing(\"llama.rope.scaling.factor\")", |file| {
            file.text("llama.rope.scaling.factor", "8")
        }),
        float(
            "positions scaled backwards",
            "NotPositive(\"llama.rope.scaling.factor\")",
            "llama.rope.scaling.factor",
            -8.0,
        ),
        float(
            "positions scaled to nothing",
            "NotPositive(\"llama.rope.scaling.factor\")",
            "llama.rope.scaling.factor",
            f32::INFINITY,
        ),
        float(
            "positions scaled to infinity",
            "NotPositive(\"llama.rope.scaling.factor\")",
            "llama.rope.scaling.factor",
            1e-40,
        ),
        with("no epsilon", "Missing(\"llama.attention.layer_norm_rms_epsilon\")", |file| {
            file.without("llama.attention.layer_norm_rms_epsilon")
        }),
        float(
            "an epsilon of 0",
            "NotPositive(\"llama.attention.layer_norm_rms_epsilon\")",
            "llama.attention.layer_norm_rms_epsilon",
            0.0,
        ),
        with("an epsilon that is a text", "Missing(\"llama.attention.layer_norm_rms_epsilon\")", |file| {
            file.text("llama.attention.layer_norm_rms_epsilon", "1e-5")
        }),
        with(
            "a vocabulary of a million and one",
            "OutOfRange { key: \"token_embd.weight\", value: 1048577, least: 1, most: 1048576 }",
            |file| {
                let file = file.change("token_embd.weight", |tensor| tensor.name = String::from("token_embd.other"));
                file.tensor("token_embd.weight", &[1, (1 << 20) + 1], 24, &vec![0; (1 << 20) + 1])
            },
        ),
        with(
            "fewer tokens than rows",
            "Contradiction(\"the number of tokens is not the number of rows of token_embd.weight\")",
            |file| file.texts("tokenizer.ggml.tokens", &["<unk>", "<s>"]),
        ),
    ]
}

fn model_tensors() -> Vec<Broken> {
    let rename = |name, error, from: &'static str, to: &'static str| {
        with(name, error, move |file| file.change(from, |tensor| tensor.name = String::from(to)))
    };
    vec![
        rename("no embedding", "MissingTensor(\"token_embd.weight\")", "token_embd.weight", "token_embd.other"),
        rename("no last norm", "Missing(\"output_norm.weight\")", "output_norm.weight", "output_norm.other"),
        rename(
            "no values in a layer",
            "Missing(\"blk.0.attn_v.weight\")",
            "blk.0.attn_v.weight",
            "blk.0.attn_x.weight",
        ),
        with("a layer less than the metadata say", "Missing(\"blk.1.attn_norm.weight\")", |file| {
            file.u32("llama.block_count", 2)
        }),
        with("a tensor of no llama", "Unknown(\"blk.0.attn_q.bias\")", |file| {
            file.tensor("blk.0.attn_q.bias", &[32], 0, &[0; 128])
        }),
        with(
            "a matrix of another shape",
            "Shape { name: \"blk.0.ffn_gate.weight\", found: [32, 64], expected: [32, 32] }",
            |file| file.u32("llama.feed_forward_length", 32),
        ),
        with(
            "a matrix of three dimensions",
            "Shape { name: \"blk.0.attn_q.weight\", found: [32, 32], expected: [32, 32] }",
            |file| file.change("blk.0.attn_q.weight", |tensor| tensor.dimensions = vec![32, 16, 2]),
        ),
        with("a matrix of integers", "Type(\"blk.0.attn_k.weight\", I8)", |file| {
            file.change("blk.0.attn_k.weight", |tensor| tensor.kind = 24)
        }),
        with("a norm that is not F32", "Type(\"output_norm.weight\", F16)", |file| {
            file.change("output_norm.weight", |tensor| tensor.kind = 1)
        }),
        with(
            "a head of another shape",
            "Shape { name: \"output.weight\", found: [32, 1], expected: [32, 41] }",
            |file| file.tensor("output.weight", &[32, 1], 0, &[0; 128]),
        ),
        with(
            "factors of the rotation of another length",
            "Shape { name: \"rope_freqs.weight\", found: [9, 1], expected: [8, 1] }",
            |file| file.tensor("rope_freqs.weight", &[9], 0, &[0; 36]),
        ),
    ]
}
