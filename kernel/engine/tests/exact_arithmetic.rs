//! The mathematics of the transformer: F32 mode against the exact F32 answers of the same files, reference tokens forced.

mod support;

use std::path::PathBuf;

use barellama_engine::compute::float::argmax;
use barellama_engine::compute::linear::Arithmetic;
use support::{Bench, Case, cases, root, tiny_model, with_crew};

/// The same choice is expected wherever the reference's best logit leads by more than this.
const MARGIN: f64 = 0.01;
/// First-step logits agree within this.
const LOGIT: f64 = 0.005;

/// Runs all cases of a file and checks each step.
fn check(file: &[u8], cases: &[Case]) {
    with_crew(2, |crew| {
        for case in cases {
            let tokens: Vec<u32> = case.prompt_ids.iter().chain(&case.greedy_ids).copied().collect();
            let mut bench = Bench::new(file, Arithmetic::Exact, 64, 2, tokens.len());
            let prompt = case.prompt_ids.len();
            let mut steps = 0;
            // The last forced token's own logits have no reference.
            bench.run(crew, &tokens[..tokens.len() - 1], 0, prompt - 1, &mut |position, logits| {
                check_step(case, position + 1 - prompt, logits);
                steps += 1;
            });
            assert_eq!(steps, case.greedy_ids.len(), "{}", case.name);
        }
    });
}

fn check_step(case: &Case, step: usize, logits: &[f32]) {
    if step == 0 {
        for &(id, expected) in &case.top {
            let found = f64::from(logits[id as usize]);
            assert!((found - expected).abs() <= LOGIT, "{}: logit of {id} is {found}, not {expected}", case.name);
        }
    }
    if case.margins[step] > MARGIN {
        let found = argmax(logits) as u32;
        assert_eq!(found, case.greedy_ids[step], "{}: step {step}, margin {}", case.name, case.margins[step]);
    }
}

macro_rules! tiny {
    ($($name:ident: $model:literal;)*) => {
        $(
            #[test]
            fn $name() {
                check(&tiny_model(concat!($model, ".gguf")), &cases(concat!("tiny/", $model, "-f32.json")));
            }
        )*
    };
}

tiny! {
    f16: "f16";
    q2_k: "q2_k";
    q4_0: "q4_0";
    q4_k_m: "q4_k_m";
    q6_k: "q6_k";
    q8_0: "q8_0";
}

/// The file of SmolLM2, if it is on this machine.
fn smollm2() -> Option<PathBuf> {
    let path = match std::env::var_os("BARELLAMA_SMOLLM2") {
        Some(path) => PathBuf::from(path),
        None => root().join(".work/models/SmolLM2-135M-Instruct.Q4_1.gguf"),
    };
    path.is_file().then_some(path)
}

#[test]
#[cfg_attr(not(smollm2), ignore = "SmolLM2 is not here: `make setup` fetches it, or set BARELLAMA_SMOLLM2")]
fn smollm2_q4_1() {
    let path = smollm2().expect("the build found the file");
    check(&support::interleaved(support::read(path)), &cases("smollm2/cases-f32.json"));
}
