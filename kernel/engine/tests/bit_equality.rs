//! A token's logits depend only on the tokens before it: the same bits for any number of cores, any chunk, any reused prefix.

mod support;

use barellama_engine::compute::kv_cache::KvKind;
use barellama_engine::compute::linear::Arithmetic;
use support::{Bench, cases, tiny_model, with_crew};

/// Prompt tokens of the runs: crosses several attention tiles and chunks.
const TOKENS: usize = 150;

fn prompt() -> Vec<u32> {
    let case = cases("tiny/f16-f32.json").into_iter().find(|case| case.name == "long700").unwrap();
    case.prompt_ids[..TOKENS].to_vec()
}

/// Bits of the logits of every token.
fn logits(file: &[u8], arithmetic: Arithmetic, chunk: usize, cores: usize, parts: &[&[u32]]) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    with_crew(cores, |crew| {
        let mut bench = Bench::new(file, arithmetic, chunk, cores, TOKENS);
        let mut first = 0;
        for part in parts {
            bench.run(crew, part, first, 0, &mut |_, row| all.push(row.iter().map(|x| x.to_bits()).collect()));
            first += part.len();
        }
    });
    assert_eq!(all.len(), parts.iter().map(|part| part.len()).sum::<usize>());
    all
}

fn assert_equal(one: &[Vec<u32>], other: &[Vec<u32>], what: &str) {
    for (token, (a, b)) in one.iter().zip(other).enumerate() {
        assert!(a == b, "{what}: the logits of token {token} differ");
    }
}

/// Types of each kind of arithmetic: Q8_0, Q8_1 and Q8_K activations, and plain F16.
const MODELS: [&str; 4] = ["q4_0.gguf", "q4_1.gguf", "q4_k_m.gguf", "f16.gguf"];

#[test]
fn a_cache_in_q8_0_keeps_the_rule_too() {
    let prompt = prompt();
    let run = |file: &[u8], chunk, cores| {
        let mut all: Vec<Vec<u32>> = Vec::new();
        with_crew(cores, |crew| {
            let mut bench = Bench::new(file, Arithmetic::Product, chunk, cores, TOKENS);
            bench.kv_kind = KvKind::Q8_0;
            bench.run(crew, &prompt[..70], 0, 0, &mut |_, row| all.push(row.iter().map(|x| x.to_bits()).collect()));
            bench.run(crew, &prompt[70..], 70, 0, &mut |_, row| all.push(row.iter().map(|x| x.to_bits()).collect()));
        });
        all
    };
    let file = tiny_model("q4_0.gguf");
    let one = run(&file, 1, 1);
    for (chunk, cores) in [(32, 3), (13, 2)] {
        assert_equal(&one, &run(&file, chunk, cores), &format!("chunks of {chunk}, {cores} cores"));
    }
    let f16 = logits(&file, Arithmetic::Product, 32, 2, &[&prompt]);
    assert!(one != f16, "the cache is rounded to eight bits");
}

#[test]
fn the_number_of_cores_does_not_matter() {
    let prompt = prompt();
    for model in MODELS {
        let file = tiny_model(model);
        let one = logits(&file, Arithmetic::Product, 32, 1, &[&prompt]);
        for cores in 2..=4 {
            let many = logits(&file, Arithmetic::Product, 32, cores, &[&prompt]);
            assert_equal(&one, &many, &format!("{model}, {cores} cores"));
        }
    }
}

#[test]
fn the_chunk_does_not_matter() {
    let prompt = prompt();
    for model in MODELS {
        let file = tiny_model(model);
        let single = logits(&file, Arithmetic::Product, 1, 2, &[&prompt]);
        for chunk in [2, 7, 32, 33, 64, 150] {
            let chunked = logits(&file, Arithmetic::Product, chunk, 2, &[&prompt]);
            assert_equal(&single, &chunked, &format!("{model}, chunks of {chunk}"));
        }
    }
}

#[test]
fn a_kept_prefix_does_not_matter() {
    let prompt = prompt();
    for model in MODELS {
        let file = tiny_model(model);
        let whole = logits(&file, Arithmetic::Product, 32, 2, &[&prompt]);
        for cut in [1, 31, 32, 100, 149] {
            let (before, after) = prompt.split_at(cut);
            let parts = logits(&file, Arithmetic::Product, 32, 2, &[before, after]);
            assert_equal(&whole, &parts, &format!("{model}, prefix of {cut}"));
        }
    }
}

#[test]
fn the_exact_mode_keeps_the_rule_too() {
    let prompt = prompt();
    let file = tiny_model("q6_k.gguf");
    let one = logits(&file, Arithmetic::Exact, 150, 1, &[&prompt]);
    let other = logits(&file, Arithmetic::Exact, 13, 3, &[&prompt]);
    assert_equal(&one, &other, "exact");
}
