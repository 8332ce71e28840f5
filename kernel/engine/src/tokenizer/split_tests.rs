//! The words must be those of llama.cpp: `splits.json` was written by a program around its `unicode_regex_split`.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::tokenizer::tests::reference;

fn word_lengths(name: &str, text: &str) -> Vec<usize> {
    let mut lengths = Vec::new();
    PreTokenizer::named(name)
        .unwrap()
        .split(text, &mut |word: &str| {
            lengths.push(word.len());
            Ok::<_, ()>(())
        })
        .unwrap();
    lengths
}

#[test]
fn words_are_those_of_llama_cpp() {
    let cases: serde_json::Value = serde_json::from_slice(&reference("tokenizer/splits.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 300);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        for name in ["smollm", "gpt-2", "default", "llama-bpe", "qwen2"] {
            let expected: Vec<usize> = serde_json::from_value(case[name].clone()).unwrap();
            assert_eq!(word_lengths(name, text), expected, "{name} on {text:?}");
        }
    }
}

#[test]
fn an_unknown_pre_tokenizer_is_refused() {
    assert_eq!(PreTokenizer::named("no such thing"), None);
}

#[test]
fn long_runs_are_cut_in_linear_time() {
    for unit in ["a", " ", "\n", "1", "!", "'", "é", " \n"] {
        let text: String = unit.repeat(200_000);
        for name in ["smollm", "gpt-2", "default", "llama-bpe"] {
            assert_eq!(word_lengths(name, &text).iter().sum::<usize>(), text.len());
        }
    }
}
