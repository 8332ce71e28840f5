//! The ids must be those of llama.cpp: vectors and vocabularies in `tests/reference`.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::path::Path;
use std::time::{Duration, Instant};

use barellama_gguf::Gguf;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::*;

const SMOLLM2: &str = "vocab/smollm2-vocab.gguf";
const LLAMA_SPM: &str = "vocab/ggml-vocab-llama-spm.gguf";
const LLAMA_BPE: &str = "vocab/ggml-vocab-llama-bpe.gguf";

/// A file of `tests/reference`.
pub(crate) fn reference(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with_tokenizer<T>(name: &str, test: impl FnOnce(&Tokenizer<'_>) -> T) -> T {
    let bytes = reference(name);
    let gguf = Gguf::parse(&bytes).unwrap();
    test(&Tokenizer::new(&gguf).unwrap())
}

fn plain(tokenizer: &Tokenizer<'_>, text: &str) -> Vec<u32> {
    tokenizer.encode(text, Encode::default()).unwrap()
}

fn decoded(tokenizer: &Tokenizer<'_>, ids: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in ids {
        tokenizer.piece(*id, true, &mut bytes);
    }
    bytes
}

fn check_vectors(vocabulary: &str, vectors: &str) {
    let cases: serde_json::Value = serde_json::from_slice(&reference(vectors)).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 122);
    with_tokenizer(vocabulary, |tokenizer| {
        for case in cases {
            let text = case["text"].as_str().unwrap();
            for (key, add_special) in [("ids", false), ("ids_special", true)] {
                let expected: Vec<u32> = serde_json::from_value(case[key].clone()).unwrap();
                let ids = tokenizer.encode(text, Encode { add_special, parse_special: true }).unwrap();
                assert_eq!(ids, expected, "{vocabulary}, {key} of {text:?}");
            }
        }
    });
}

fn check_llama_cpp_vectors(vocabulary: &str) {
    let texts = String::from_utf8(reference(&format!("{vocabulary}.inp"))).unwrap();
    let ids = String::from_utf8(reference(&format!("{vocabulary}.out"))).unwrap();
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids: Vec<&str> = ids.lines().collect();
    assert!(ids.len() > 40 && texts.len() >= ids.len());
    with_tokenizer(vocabulary, |tokenizer| {
        for (text, ids) in texts.iter().zip(ids) {
            let expected: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
            assert_eq!(plain(tokenizer, text), expected, "{vocabulary} on {text:?}");
        }
    });
}

#[test]
fn smollm2_ids_are_those_of_llama_cpp() {
    check_vectors(SMOLLM2, "tokenizer/smollm2.json");
}

#[test]
fn llama_sentencepiece_ids_are_those_of_llama_cpp() {
    check_vectors(LLAMA_SPM, "tokenizer/llama-spm.json");
    check_llama_cpp_vectors(LLAMA_SPM);
}

#[test]
fn llama_3_ids_are_those_of_llama_cpp() {
    check_vectors(LLAMA_BPE, "tokenizer/llama-bpe.json");
    check_llama_cpp_vectors(LLAMA_BPE);
}

#[test]
fn special_tokens_are_parsed_only_on_request() {
    with_tokenizer(SMOLLM2, |tokenizer| {
        let text = "<|im_start|>user\nHi<|im_end|>";
        let parsed = tokenizer.encode(text, Encode { add_special: false, parse_special: true }).unwrap();
        assert_eq!((parsed.first(), parsed.last()), (Some(&1), Some(&2)));
        let unparsed = plain(tokenizer, text);
        assert!(unparsed.iter().all(|id| !tokenizer.is_special(*id)));
        assert_eq!(decoded(tokenizer, &unparsed), text.as_bytes());
    });
}

#[test]
fn a_space_is_put_in_front_after_each_special_token() {
    with_tokenizer(LLAMA_SPM, |tokenizer| {
        let options = Encode { add_special: true, parse_special: true };
        assert_eq!(tokenizer.encode("a</s>a", options).unwrap(), [1, 263, 2, 263]);
        assert_eq!(tokenizer.encode("", options).unwrap(), [1]);
        assert_eq!(plain(tokenizer, ""), [0u32; 0]);
    });
}

#[test]
fn pieces_of_special_tokens_are_rendered_only_on_request() {
    with_tokenizer(SMOLLM2, |tokenizer| {
        let mut bytes = Vec::new();
        tokenizer.piece(1, false, &mut bytes);
        tokenizer.piece(u32::MAX, true, &mut bytes);
        assert_eq!(bytes, b"");
        tokenizer.piece(1, true, &mut bytes);
        assert_eq!(bytes, b"<|im_start|>");
    });
}

#[test]
fn ends_of_generation_are_those_of_llama_cpp() {
    let ends = |name| {
        with_tokenizer(name, |tokenizer| {
            (0..tokenizer.len() as u32).filter(|id| tokenizer.is_end_of_generation(*id)).collect::<Vec<_>>()
        })
    };
    // <|endoftext|>, <|im_end|>, and <reponame>, with which a code model ends a file.
    assert_eq!(ends(SMOLLM2), [0, 2, 4]);
    assert_eq!(ends(LLAMA_SPM), [2]);
    // <|end_of_text|>, <|eot_id|>.
    assert_eq!(ends(LLAMA_BPE), [128_001, 128_009]);
}

#[test]
fn the_vocabulary_takes_little_memory() {
    let heap_bytes = |name| with_tokenizer(name, |tokenizer| tokenizer.heap_bytes());
    assert!(heap_bytes(LLAMA_SPM) < 600 << 10);
    assert!(heap_bytes(SMOLLM2) < 1600 << 10);
    assert!(heap_bytes(LLAMA_BPE) < 6 << 20);
}

/// Text of words, digits, white space, scripts, joiners and pieces of special tokens, from a seed.
fn random_text(random: &mut Pcg32, parts_max: u32) -> String {
    const PARTS: [&str; 24] = [
        "the",
        " of",
        "Straße",
        "日本",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "'s",
        "'LL",
        "12345",
        "0",
        "é",
        "e\u{301}",
        "😀",
        "👨\u{200D}👩",
        "<|im_",
        "start|>",
        "</s>",
        "<s",
        "▁",
        "\u{0}",
        "€",
    ];
    let count = random.next_u32() % parts_max;
    (0..count).map(|_| PARTS[random.next_u32() as usize % PARTS.len()]).collect()
}

#[test]
fn random_texts_survive_the_round_trip() {
    let mut random = Pcg32::seed_from_u64(1);
    with_tokenizer(SMOLLM2, |smollm2| {
        with_tokenizer(LLAMA_BPE, |llama_3| {
            with_tokenizer(LLAMA_SPM, |llama_2| {
                for _ in 0..300 {
                    let text = random_text(&mut random, 40);
                    for tokenizer in [smollm2, llama_3] {
                        assert_eq!(decoded(tokenizer, &plain(tokenizer, &text)), text.as_bytes());
                    }
                    // The prefix is a space; a written U+2581 cannot be told from a space.
                    let expected = if text.is_empty() { text } else { format!(" {}", text.replace('▁', " ")) };
                    assert_eq!(
                        decoded(llama_2, &plain(llama_2, &expected[expected.len().min(1)..])),
                        expected.as_bytes()
                    );
                }
            });
        });
    });
}

#[test]
fn adversarial_texts_take_no_more_than_linear_logarithmic_time() {
    // Quadratic merging of 100 KB takes minutes; this takes well under a second even without optimization.
    let limit = Duration::from_secs(20);
    let start = Instant::now();
    for name in [SMOLLM2, LLAMA_SPM, LLAMA_BPE] {
        with_tokenizer(name, |tokenizer| {
            for unit in ["a", " ", "\n", "<", "<|", "7", "é", "\u{FFFD}", "aB"] {
                let text = unit.repeat(100_000 / unit.len());
                let ids = tokenizer.encode(&text, Encode { add_special: false, parse_special: true }).unwrap();
                assert!(!ids.is_empty() && ids.len() <= text.len() + 1);
                assert!(start.elapsed() < limit, "{name} on many {unit:?}");
            }
        });
    }
}

#[test]
fn too_long_texts_are_refused() {
    with_tokenizer(LLAMA_SPM, |tokenizer| {
        let bytes = TEXT_BYTES_MAX + 1;
        assert_eq!(tokenizer.encode(&"a".repeat(bytes), Encode::default()), Err(EncodeError::TextTooLong { bytes }));
    });
}

/// Writes small GGUF files without tensors.
#[derive(Default)]
struct Metadata {
    count: u64,
    bytes: Vec<u8>,
}

impl Metadata {
    fn string(&mut self, text: &str) {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        self.string(key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn with_string(mut self, key: &str, value: &str) -> Self {
        self.key(key, 8);
        self.string(value);
        self
    }

    fn with_u32(mut self, key: &str, value: u32) -> Self {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn with_bool(mut self, key: &str, value: bool) -> Self {
        self.key(key, 7);
        self.bytes.push(u8::from(value));
        self
    }

    fn with_array<T>(mut self, key: &str, kind: u32, values: &[T], write: impl Fn(&mut Self, &T)) -> Self {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((values.len() as u64).to_le_bytes());
        for value in values {
            write(&mut self, value);
        }
        self
    }

    fn with_strings(self, key: &str, values: &[&str]) -> Self {
        self.with_array(key, 8, values, |metadata, value| metadata.string(value))
    }

    fn with_f32s(self, key: &str, values: &[f32]) -> Self {
        self.with_array(key, 6, values, |metadata, value| metadata.bytes.extend(value.to_le_bytes()))
    }

    fn with_i32s(self, key: &str, values: &[i32]) -> Self {
        self.with_array(key, 5, values, |metadata, value| metadata.bytes.extend(value.to_le_bytes()))
    }

    fn file(&self) -> Vec<u8> {
        let mut file = Vec::from(*b"GGUF");
        file.extend(3u32.to_le_bytes());
        file.extend(0u64.to_le_bytes());
        file.extend(self.count.to_le_bytes());
        file.extend(&self.bytes);
        file
    }

    fn tokenizer_error(&self) -> Option<TokenizerError> {
        let file = self.file();
        Tokenizer::new(&Gguf::parse(&file).unwrap()).err()
    }
}

const TOKENS_KEY: &str = vocabulary::TOKENS_KEY;
const SCORES_KEY: &str = "tokenizer.ggml.scores";
const TYPES_KEY: &str = "tokenizer.ggml.token_type";
const MERGES_KEY: &str = "tokenizer.ggml.merges";

fn sentencepiece(tokens: &[&str]) -> Metadata {
    Metadata::default().with_string(MODEL_KEY, "llama").with_strings(TOKENS_KEY, tokens)
}

#[test]
fn malformed_vocabularies_are_refused_by_name() {
    let tokens = ["<unk>", "<s>", "</s>", "a"];
    let scores = [0.0; 4];
    let whole = || sentencepiece(&tokens).with_f32s(SCORES_KEY, &scores);
    assert_eq!(whole().tokenizer_error(), None);

    let error = |metadata: Metadata| metadata.tokenizer_error().unwrap();
    assert_eq!(error(Metadata::default()), TokenizerError::Missing(MODEL_KEY));
    assert_eq!(
        error(Metadata::default().with_string(MODEL_KEY, "bert")),
        TokenizerError::UnknownModel(String::from("bert"))
    );
    assert_eq!(error(Metadata::default().with_string(MODEL_KEY, "llama")), TokenizerError::Missing(TOKENS_KEY));
    assert_eq!(error(sentencepiece(&tokens)), TokenizerError::Missing(SCORES_KEY));
    assert!(matches!(error(sentencepiece(&[])), TokenizerError::Count { key: TOKENS_KEY, count: 0, .. }));
    assert_eq!(
        error(sentencepiece(&tokens).with_f32s(SCORES_KEY, &scores[1..])),
        TokenizerError::TooShort { key: SCORES_KEY, count: 3, tokens: 4 }
    );
    assert_eq!(
        error(sentencepiece(&tokens).with_f32s(SCORES_KEY, &[0.0, 0.0, f32::NAN, 0.0])),
        TokenizerError::BadScore(2)
    );
    assert_eq!(
        error(whole().with_i32s(TYPES_KEY, &[1])),
        TokenizerError::TooShort { key: TYPES_KEY, count: 1, tokens: 4 }
    );
    assert_eq!(error(whole().with_string(TYPES_KEY, "no array")), TokenizerError::Missing(TYPES_KEY));
    assert_eq!(error(whole().with_i32s(TYPES_KEY, &[2, 3, 3, 6])), TokenizerError::BadByteToken(3));
    assert_eq!(
        error(whole().with_u32("tokenizer.ggml.eos_token_id", 4)),
        TokenizerError::BadId { key: "tokenizer.ggml.eos_token_id", id: 4, tokens: 4 }
    );
    let whole_token = "x".repeat(special::WHOLE_BYTES_MAX + 1);
    let with_long = sentencepiece(&["<unk>", "<s>", "</s>", &whole_token]).with_f32s(SCORES_KEY, &scores);
    assert_eq!(
        error(with_long.with_i32s(TYPES_KEY, &[2, 3, 3, 4])),
        TokenizerError::WholeTokenTooLong { id: 3, bytes: special::WHOLE_BYTES_MAX + 1 }
    );
    let long = "x".repeat(vocabulary::TOKEN_BYTES_MAX + 1);
    assert!(matches!(error(sentencepiece(&["a", &long])), TokenizerError::TooLong { key: TOKENS_KEY, index: 1, .. }));
}

#[test]
fn malformed_byte_pair_vocabularies_are_refused_by_name() {
    let pairs = || Metadata::default().with_string(MODEL_KEY, "gpt2").with_strings(TOKENS_KEY, &["a", "b", "ab"]);
    let error = |metadata: Metadata| metadata.tokenizer_error().unwrap();
    assert_eq!(error(pairs()), TokenizerError::Missing(MERGES_KEY));
    assert_eq!(
        error(pairs().with_string("tokenizer.ggml.pre", "strange")),
        TokenizerError::UnknownPreTokenizer(String::from("strange"))
    );
    assert_eq!(
        error(pairs().with_strings(MERGES_KEY, &["a b"]).with_bool(ADD_BOS_KEY, true)),
        TokenizerError::NoSuchToken(ADD_BOS_KEY)
    );
    // Merges that make no sense are never applied.
    let file = pairs().with_strings(MERGES_KEY, &["", " ", "ab", "a b", "a b"]).file();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(plain(&Tokenizer::new(&gguf).unwrap(), "abbac"), [2, 1, 0]);
}

#[test]
fn bytes_without_a_token_are_an_error() {
    let file = sentencepiece(&["<unk>", "<s>", "</s>", "▁", "a", "<0xC3>"]).with_f32s(SCORES_KEY, &[0.0; 6]).file();
    let gguf = Gguf::parse(&file).unwrap();
    let tokenizer = Tokenizer::new(&gguf).unwrap();
    assert_eq!(plain(&tokenizer, "a"), [3, 4]);
    assert_eq!(tokenizer.encode("aä", Encode::default()), Err(EncodeError::NoByteToken(0xA4)));
}

#[test]
fn the_longest_whole_token_wins_wherever_it_stands() {
    let tokens = ["<unk>", "<s>", "</s>", "▁", "a", "ab", "bcd", "d"];
    let file =
        sentencepiece(&tokens).with_f32s(SCORES_KEY, &[0.0; 8]).with_i32s(TYPES_KEY, &[2, 3, 3, 1, 1, 4, 4, 1]).file();
    let gguf = Gguf::parse(&file).unwrap();
    let tokenizer = Tokenizer::new(&gguf).unwrap();
    assert_eq!(plain(&tokenizer, "abcd"), [3, 4, 6]);
    assert_eq!(plain(&tokenizer, "ab"), [5]);
}

/// A vocabulary that was made to be slow, with a text that was made for it: each byte of it begins a token of every length, and again
/// and again the longest one is not free. With a look for each length this took minutes.
#[test]
fn whole_tokens_of_every_length_do_not_make_a_long_text_slow() {
    let tokens: Vec<String> = (1..=special::WHOLE_BYTES_MAX).map(|length| "a".repeat(length)).collect();
    let mut tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    tokens.extend(["b", "\u{2581}"]);
    let file = sentencepiece(&tokens)
        .with_f32s(SCORES_KEY, &alloc::vec![0.0; tokens.len()])
        .with_i32s(TYPES_KEY, &[alloc::vec![4; tokens.len() - 1], alloc::vec![1]].concat())
        .file();
    let gguf = Gguf::parse(&file).unwrap();
    let tokenizer = Tokenizer::new(&gguf).unwrap();
    let text = ("a".repeat(700) + "b").repeat(180);
    let ids = plain(&tokenizer, &text);
    assert_eq!(ids[..5], [255, 255, 187, 256, 255]);
    assert_eq!(ids.len(), 180 * 4);
}

#[test]
fn damaged_vocabularies_never_panic() {
    let intact = sentencepiece(&["<unk>", "<s>", "</s>", "▁", "a", "▁a", "<0x0A>", "ab"])
        .with_f32s(SCORES_KEY, &[0.0, 0.0, 0.0, -1.0, -2.0, -0.5, 0.0, -3.0])
        .with_i32s(TYPES_KEY, &[2, 3, 3, 1, 1, 1, 6, 4])
        .with_strings(MERGES_KEY, &["a b", "b c"])
        .with_u32("tokenizer.ggml.bos_token_id", 1)
        .file();
    let mut random = Pcg32::seed_from_u64(2);
    let mut usable = 0;
    for _ in 0..20_000 {
        let mut file = intact.clone();
        for _ in 0..=random.next_u32() % 3 {
            let at = random.next_u32() as usize % file.len();
            file[at] = random.next_u32() as u8;
        }
        let Ok(gguf) = Gguf::parse(&file) else { continue };
        let Ok(tokenizer) = Tokenizer::new(&gguf) else { continue };
        usable += 1;
        let ids = tokenizer.encode("a b</s>\nab é", Encode { add_special: true, parse_special: true });
        decoded(&tokenizer, &ids.unwrap_or_default());
    }
    assert!(usable > 1000);
}
