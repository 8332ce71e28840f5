//! The kept inputs, without libFuzzer: what once broke a promise must not break it again.

use std::fs;
use std::path::PathBuf;

use barellama_fuzz::TARGETS;
use barellama_fuzz::engine_bench::{CheckingKernel, make_arena, open_and_serve};
use barellama_fuzz::model_file::{Weights, smallest};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_kept_input_keeps_the_promises() {
    for target in &TARGETS {
        let corpus = folder().join("corpus").join(target.name);
        for entry in fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display())) {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            (target.run)(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn the_list_of_the_script_is_the_list_of_targets() {
    let list = fs::read_to_string(folder().join("targets.txt")).unwrap();
    let names = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next());
    assert!(names.eq(TARGETS.map(|target| target.name)));
}

/// Fuzzing starts from models that go all the way.
#[test]
fn the_smallest_models_answer() {
    make_arena();
    for weights in Weights::ALL {
        assert!(open_and_serve(&CheckingKernel::default(), &smallest(weights).build()), "{weights:?}");
    }
}
