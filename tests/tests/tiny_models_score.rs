//! The tiny models choose what llama.cpp's exact reference chooses, over the serial line.

use barellama_tests::closeness::{Demand, compare, mean, peer_errors};
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

const F16: Demand = Demand { margin: 0.02, logit_error: 0.01 };
const QUANTIZED: Demand = Demand { margin: 0.15, logit_error: 0.15 };
const QUANTIZED_KINDS: [&str; 5] = ["q4_0", "q8_0", "q4_k_m", "q6_k", "q2_k"];
/// Candidates per step: enough to hold the reference's five.
const CANDIDATES: u32 = 24;
/// Our mean error may be this much of llama.cpp's own.
const PEER_FACTOR: f64 = 1.25;

/// Scores all cases of a type; returns the errors of the first-step logits.
#[track_caller]
fn score(kind: &str, demand: Demand) -> Vec<f64> {
    let mut machine = Machine::with_model(&artifacts::tiny(kind));
    let (mut problems, mut errors, mut counted) = (Vec::new(), Vec::new(), 0);
    for case in reference::cases(&format!("tiny/{kind}-f32.json")) {
        let score = machine.score(&json!({"ids": case.prompt_ids, "forced": case.greedy_ids, "top": CANDIDATES}));
        let finding = compare(&score, &case, demand);
        problems.extend(finding.problems.iter().map(|problem| format!("{}: {problem}", case.name)));
        errors.extend(finding.errors);
        counted += finding.counted_steps;
    }
    println!("{kind}: {counted} steps compared, mean error of first-step logits {:.4}", mean(&errors));
    assert!(problems.is_empty(), "{kind}:\n{}", problems.join("\n"));
    assert!(counted > 100, "{kind}: only {counted} steps were clear enough to be compared");
    errors
}

#[test]
fn f16() {
    score("f16", F16);
}

#[test]
fn quantized_types_and_their_mean_error() {
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for kind in QUANTIZED_KINDS {
        ours.extend(score(kind, QUANTIZED));
        let exact = reference::cases(&format!("tiny/{kind}-f32.json"));
        let peer = reference::cases(&format!("tiny/{kind}.json"));
        peers.extend(peer.iter().zip(&exact).flat_map(|(peer, exact)| peer_errors(peer, exact)));
    }
    let (ours, peers) = (mean(&ours), mean(&peers));
    println!("mean error of first-step logits: ours {ours:.4}, llama.cpp's {peers:.4}");
    assert!(ours <= PEER_FACTOR * peers, "ours {ours}, llama.cpp's {peers}");
}

#[test]
fn every_other_type_runs() {
    for kind in ["q4_1", "q5_0", "q5_1", "q5_k_m", "q3_k_m", "iq2_xs", "iq2_m"] {
        let mut machine = Machine::with_model(&artifacts::tiny(kind));
        let score = machine.score(&json!({"prompt": "The quick brown fox", "steps": 4}));
        assert_eq!(score.steps.len(), 4, "{kind}");
        let finite = score.steps.iter().flat_map(|step| &step.top).all(|(_, logit)| logit.is_finite());
        assert!(finite, "{kind}: {score:?}");
    }
}
