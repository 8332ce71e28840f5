//! Intact and broken inputs to begin with, where code makes them: model files.

use crate::broken;
use crate::model_file::{Weights, smallest};

/// Longest broken file that is worth mutating, in bytes.
const BYTES_MAX: usize = 16 << 10;

/// Inputs of a target; those of the others are in its corpus.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    if !matches!(target, "gguf" | "open_model") {
        return Vec::new();
    }
    let intact = Weights::ALL.into_iter().map(|weights| smallest(weights).build());
    let broken = broken::files().into_iter().map(|broken| broken.file).filter(|file| file.len() <= BYTES_MAX);
    intact.chain(broken).collect()
}
