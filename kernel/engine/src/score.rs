//! Score: what the model would choose at each step, as JSON lines, through the path that answers take.

use alloc::vec::Vec;
use core::fmt::Write;

use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RequestHeader, TOP_MAX};
use barellama_abi::syscall::EmitKind;

use crate::job::Chosen;
use crate::kernel_calls::Kernel;
use crate::kernels::search::{argmax, first_above};
use crate::output::Output;
use crate::request_error::RequestError;
use crate::sampler;

/// Writes a JSON line for each row of logits.
pub struct Scores<'e> {
    output: Output<'e>,
    top: usize,
    steps: usize,
    most: usize,
}

impl<'e> Scores<'e> {
    /// The scores that a request asks for: a step for each of `forced` ids, or as many as it says.
    ///
    /// # Errors
    /// If it asks for too many logits.
    pub fn new(kernel: &'e dyn Kernel, header: &RequestHeader, forced: usize) -> Result<Self, RequestError> {
        if header.top > TOP_MAX {
            return Err(RequestError::TooManyTop(header.top));
        }
        let most = match header.max_tokens as usize {
            0 => forced.max(1),
            steps => steps,
        };
        let output = Output::new(kernel, header.id, EmitKind::Json);
        Ok(Self { output, top: header.top as usize, steps: 0, most })
    }

    /// Steps so far.
    #[must_use]
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// Steps in all.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Writes the line of a step. The greedy choice is run next, unless the token `is_given`.
    ///
    /// # Errors
    /// A logit that is no finite number.
    pub fn choose(&mut self, is_given: bool, logits: &[f32]) -> Result<Chosen, RequestError> {
        sampler::check(logits)?;
        let choice = u32::try_from(argmax(logits)).unwrap_or(0);
        // Writing to an output cannot fail.
        let _ = self.write(choice, logits);
        self.steps += 1;
        self.output.flush();
        Ok(match (self.steps >= self.most, is_given) {
            (true, _) => Chosen::End(StopReason::Complete),
            (false, true) => Chosen::Given,
            (false, false) => Chosen::Token(choice),
        })
    }

    fn write(&mut self, choice: u32, logits: &[f32]) -> core::fmt::Result {
        let steps = self.steps;
        let output = &mut self.output;
        write!(output, "{{\"step\":{steps},\"id\":{choice},\"top\":[")?;
        for (index, (id, logit)) in best(logits, self.top).iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(output, "{comma}[{id},{logit}]")?;
        }
        writeln!(output, "],\"crc\":\"{:08x}\"}}", crc32fast::hash(bytemuck::cast_slice(logits)))
    }
}

/// The `count` largest of finite logits with their ids, largest first; of equals the smaller id first.
fn best(logits: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    let mut start = 0;
    loop {
        let least = match best.last() {
            Some(&(_, least)) if best.len() == count => least,
            None if count == 0 => break,
            _ => f32::NEG_INFINITY,
        };
        let Some(above) = first_above(&logits[start..], least) else { break };
        let (id, logit) = (start + above, logits[start + above]);
        let place = best.partition_point(|&(_, other)| other >= logit);
        best.insert(place, (id, logit));
        best.truncate(count);
        start = id + 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_best_come_in_order() {
        let logits = [0.5, 3.0, -1.0, 3.0, 2.0];
        assert_eq!(best(&logits, 3), vec![(1, 3.0), (3, 3.0), (4, 2.0)]);
        assert_eq!(best(&logits, 9).len(), 5);
        assert!(best(&logits, 0).is_empty());
    }
}
