//! Reference answers made by llama.cpp; `tests/reference/README.md` says how.

use serde::Deserialize;

use crate::artifacts;

/// A chat message.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// One prompt and its answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Short name.
    pub name: String,
    /// The message, or raw text.
    pub prompt: String,
    /// The messages; none for raw text.
    pub messages: Option<Vec<Message>>,
    /// The rendered chat template, or the raw text.
    pub templated: String,
    /// Its token ids, with the special tokens that the model adds.
    pub prompt_ids: Vec<u32>,
    /// Greedy choices, not stopped at the end of generation.
    pub greedy_ids: Vec<u32>,
    /// The text of these.
    pub text: String,
    /// The five best ids of the first step with their logits.
    pub top5_first_step: Vec<(u32, f64)>,
    /// At each step the logit of the best minus that of the second.
    pub margins: Vec<f64>,
    /// After how many ids the answer would have ended.
    pub eog_at: Option<usize>,
}

impl Case {
    /// The logit of an id at the first step, if it is among the five best.
    #[must_use]
    pub fn first_logit(&self, id: u32) -> Option<f64> {
        self.top5_first_step.iter().find(|(candidate, _)| *candidate == id).map(|(_, logit)| *logit)
    }
}

/// Reads the cases of a file such as `tiny/q4_0-f32.json`.
///
/// # Panics
/// If the file is missing or damaged.
#[must_use]
pub fn cases(name: &str) -> Vec<Case> {
    let path = artifacts::reference(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
