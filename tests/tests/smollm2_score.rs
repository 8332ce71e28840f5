//! SmolLM2 chooses what llama.cpp's exact reference chooses, over the serial line.

use barellama_tests::closeness::{Demand, compare, mean, peer_errors};
use barellama_tests::{Machine, artifacts, reference};
use serde_json::json;

const DEMAND: Demand = Demand { margin: 0.5, logit_error: 0.7 };
/// Candidates per step: enough to hold the reference's five.
const CANDIDATES: u32 = 24;

#[test]
fn smollm2_q4_1() {
    let mut machine = Machine::with_model(&artifacts::smollm2());
    let exact = reference::cases("smollm2/cases-f32.json");
    let peer = reference::cases("smollm2/cases.json");
    let (mut problems, mut errors, mut peers, mut counted) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (case, peer) in exact.iter().zip(&peer) {
        let score = machine.score(&json!({"ids": case.prompt_ids, "forced": case.greedy_ids, "top": CANDIDATES}));
        let finding = compare(&score, case, DEMAND);
        problems.extend(finding.problems.iter().map(|problem| format!("{}: {problem}", case.name)));
        errors.extend(finding.errors);
        peers.extend(peer_errors(peer, case));
        counted += finding.counted_steps;
    }
    println!(
        "{counted} steps compared, mean error of first-step logits {:.4}, llama.cpp's {:.4}",
        mean(&errors),
        mean(&peers)
    );
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(counted > 200, "only {counted} steps were clear enough to be compared");
}
