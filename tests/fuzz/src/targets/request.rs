//! A request as it lies in a slot, served by a whole engine.

use crate::engine_bench::{CheckingKernel, make_arena, open_and_serve};
use crate::model_file::{Weights, smallest};

/// Any bytes as two requests, one after the other: the second meets what the first left in the session.
pub fn run(data: &[u8]) {
    make_arena();
    let first = data.len() / 2;
    let (first, second) = data.split_at(first);
    let kernel = CheckingKernel::with(vec![data.to_vec(), second.to_vec(), first.to_vec()]);
    assert!(open_and_serve(&kernel, &smallest(Weights::ALL[0]).build()));
    assert_eq!(kernel.finished(), 3, "every request is ended once");
}
