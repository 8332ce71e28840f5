//! How close is close enough: a score against reference answers.
//!
//! The choice at a step counts only if the reference's margin there is clear: with a smaller one, two correct programs may
//! choose differently. Logits are compared by id at the first step.

use crate::reference::Case;
use crate::score::Score;

/// What is demanded.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// A step counts if the reference's margin is above this.
    pub margin: f64,
    /// Most that a logit of the first step may be off.
    pub logit_error: f64,
}

/// What was found for a case.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// How many steps counted.
    pub counted_steps: usize,
    /// What does not meet the demand, one sentence each.
    pub problems: Vec<String>,
    /// Errors of the logits of the first step, in the order of the reference's five best.
    pub errors: Vec<f64>,
}

/// Compares a score, with the reference's ids forced, with the exact reference.
#[must_use]
pub fn compare(score: &Score, exact: &Case, demand: Demand) -> Finding {
    let mut finding = Finding::default();
    if score.steps.len() != exact.greedy_ids.len() {
        finding.problems.push(format!("{} steps instead of {}", score.steps.len(), exact.greedy_ids.len()));
    }
    for ((step, expected), margin) in score.steps.iter().zip(&exact.greedy_ids).zip(&exact.margins) {
        if *margin <= demand.margin {
            continue;
        }
        finding.counted_steps += 1;
        if step.id != *expected {
            let number = step.step;
            finding.problems.push(format!("step {number}: {} instead of {expected}, margin {margin}", step.id));
        }
    }
    for (id, expected) in &exact.top5_first_step {
        match score.steps.first().and_then(|step| step.logit(*id)) {
            Some(logit) => {
                let error = (logit - expected).abs();
                finding.errors.push(error);
                if error > demand.logit_error {
                    finding.problems.push(format!("logit of {id}: {logit} instead of {expected}"));
                }
            }
            None => finding.problems.push(format!("{id} is not among the candidates of the first step")),
        }
    }
    finding
}

/// Errors of llama.cpp's own first-step logits, for the ids that both files list.
#[must_use]
pub fn peer_errors(peer: &Case, exact: &Case) -> Vec<f64> {
    let both = exact.top5_first_step.iter().filter_map(|(id, logit)| Some((peer.first_logit(*id)? - logit).abs()));
    both.collect()
}

/// The mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Step;

    const DEMAND: Demand = Demand { margin: 0.15, logit_error: 0.1 };

    fn exact() -> Case {
        Case {
            name: "case".to_owned(),
            prompt: String::new(),
            messages: None,
            templated: String::new(),
            prompt_ids: vec![1],
            greedy_ids: vec![5, 6],
            text: String::new(),
            top5_first_step: vec![(5, 2.0), (9, 1.0)],
            margins: vec![1.0, 0.1],
            eog_at: None,
        }
    }

    fn score(first: u32, second: u32, logit: f64) -> Score {
        let step = |step, id| Step { step, id, top: vec![(5, logit), (9, 1.0)], crc: String::new() };
        Score { steps: vec![step(0, first), step(1, second)] }
    }

    #[test]
    fn only_clear_steps_count() {
        let finding = compare(&score(5, 7, 2.0), &exact(), DEMAND);
        assert!(finding.problems.is_empty(), "{:?}", finding.problems);
        assert_eq!(finding.counted_steps, 1);
    }

    #[test]
    fn a_wrong_choice_a_wrong_logit_and_a_missing_step_are_found() {
        assert_eq!(compare(&score(6, 6, 2.0), &exact(), DEMAND).problems.len(), 1);
        assert_eq!(compare(&score(5, 6, 2.2), &exact(), DEMAND).problems.len(), 1);
        let mut short = score(5, 6, 2.0);
        short.steps.pop();
        assert_eq!(compare(&short, &exact(), DEMAND).problems.len(), 1);
    }

    #[test]
    fn the_peer_is_compared_where_both_have_the_id() {
        let mut peer = exact();
        peer.top5_first_step = vec![(5, 2.5), (8, 1.0)];
        assert_eq!(peer_errors(&peer, &exact()), [0.5]);
        assert!((mean(&[1.0, 2.0]) - 1.5).abs() < 1e-9);
        assert!(mean(&[]).abs() < 1e-9);
    }
}
