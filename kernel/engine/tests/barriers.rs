//! How often the cores wait for each other: once for each stage that depends on the one before.

mod support;

use barellama_engine::compute::linear::Arithmetic;
use barellama_gguf::TensorType;
use barellama_models::{Model, Shape, Vocabulary};
use support::{Bench, interleaved, root, with_crew};

/// Queries, keys and values; attention; back to the residual stream; gate and up; down.
const STAGES: u32 = 5;
const CORES: usize = 4;

/// Barriers of passes of one token each through a model with that many layers; logits are wanted from index `wanted` on.
fn barriers(layers: usize, tokens: &[u32], wanted: usize, cores: usize) -> u32 {
    let vocabulary = Vocabulary::from_file(&root().join("tests/reference/tiny/q4_0.gguf")).unwrap();
    let shape = Shape { layers, ..Shape::small(64) };
    let file = interleaved(Model::uniform("small", &shape, TensorType::Q4_0, &vocabulary).to_bytes());
    with_crew(cores, |crew| {
        let mut bench = Bench::new(&file, Arithmetic::Product, 1, cores, tokens.len());
        bench.run(crew, tokens, 0, wanted, &mut |_, _| {});
        crew.team.tasks()
    })
}

#[test]
fn a_generated_token_has_one_barrier_for_each_dependent_stage() {
    for layers in [1, 3] {
        assert_eq!(barriers(layers, &[1, 529, 127], 3, CORES), 3 * STAGES * layers as u32, "{layers} layers");
    }
}

#[test]
fn the_head_has_one_barrier() {
    assert_eq!(barriers(1, &[1], 0, CORES) - barriers(1, &[1], 1, CORES), 1);
}

#[test]
fn one_core_has_no_barrier() {
    assert_eq!(barriers(2, &[1, 529], 0, 1), 0);
}
