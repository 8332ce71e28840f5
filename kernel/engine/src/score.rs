//! Score: what the model would choose at each step, as JSON lines, through the path that answers take.

use alloc::vec::Vec;
use core::fmt::Write;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request, TOP_MAX};
use barellama_abi::syscall::{EmitKind, Phase};

use crate::compute::float::argmax;
use crate::machine::{Machine, Progress, Ticket};
use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt;
use crate::request_error::RequestError;

/// Runs the prompt and the forced ids, then goes on greedily to the number of steps asked for.
///
/// # Errors
/// Why the request is refused.
pub fn score(
    machine: &mut Machine<'_>,
    prepared: &Prepared<'_>,
    ticket: &Ticket,
    request: &Request<'_>,
) -> Result<Outcome, RequestError> {
    let header = &ticket.header;
    if header.top > TOP_MAX {
        return Err(RequestError::TooManyTop(header.top));
    }
    let mut start_ns = machine.kernel().clock_ns();
    let mut tokens = prompt::tokens(prepared, request)?;
    let forced = prompt::ids(prepared, request, RecordKind::ForcedIds)?.unwrap_or_default();
    let prompt_tokens = tokens.len();
    let steps = match header.max_tokens as usize {
        0 => forced.len().max(1),
        steps => steps,
    };
    // The id that follows the last step is never fed.
    tokens.extend(forced.iter().take(steps - 1));
    let session = &mut machine.sessions[header.session as usize];
    let context = session.context();
    let filled = header.filled_tokens as usize;
    if tokens.len().saturating_add(filled) > context {
        return Err(RequestError::PromptTooLong { tokens: tokens.len().saturating_add(filled), context });
    }
    let reused_tokens = if filled == 0 { session.reuse(&tokens, prompt_tokens - 1) } else { 0 };
    if filled > 0 {
        machine.fill(header.session as usize, filled);
        start_ns = machine.kernel().clock_ns();
    }

    let mut writer = StepWriter::new(machine.kernel(), header.id, header.top as usize);
    let mut stop = run(machine, ticket, &tokens[reused_tokens..], prompt_tokens - 1 - reused_tokens, &mut writer);
    let prompt_end_ns = machine.kernel().clock_ns();
    while stop == StopReason::Complete && writer.steps < steps {
        if machine.sessions[header.session as usize].tokens.len() >= context {
            stop = StopReason::ContextFull;
            break;
        }
        let token = writer.choice;
        stop = run(machine, ticket, &[token], 0, &mut writer);
    }
    let steps_done = u32::try_from(writer.steps).unwrap_or(u32::MAX);
    drop(writer);
    let context_used = machine.sessions[header.session as usize].tokens.len();
    if filled > 0 {
        // What was made up must not be taken for a prefix.
        machine.sessions[header.session as usize].tokens.clear();
    }
    Ok(Outcome {
        stop_reason: stop,
        prompt_tokens: count(prompt_tokens),
        reused_tokens: count(reused_tokens),
        generated_tokens: steps_done,
        context_used_tokens: count(context_used),
        context_tokens: count(context),
        prompt_ns: prompt_end_ns.saturating_sub(start_ns),
        decode_ns: machine.kernel().clock_ns().saturating_sub(prompt_end_ns),
    })
}

fn run(
    machine: &mut Machine<'_>,
    ticket: &Ticket,
    tokens: &[u32],
    wanted: usize,
    writer: &mut StepWriter<'_>,
) -> StopReason {
    let progress = Progress { phase: Phase::Prefill, done: 0, total: tokens.len() as u64 };
    let result = machine.advance(ticket, tokens, wanted, progress, &mut |_, logits| writer.step(logits));
    result.err().unwrap_or(StopReason::Complete)
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// Writes a JSON line for each row of logits.
struct StepWriter<'k> {
    output: Output<'k>,
    top: usize,
    steps: usize,
    /// The greedy choice of the last step.
    choice: u32,
}

impl<'k> StepWriter<'k> {
    fn new(kernel: &'k dyn crate::kernel_calls::Kernel, request_id: u32, top: usize) -> Self {
        Self { output: Output::new(kernel, request_id, EmitKind::Json), top, steps: 0, choice: 0 }
    }

    fn step(&mut self, logits: &[f32]) {
        self.choice = u32::try_from(argmax(logits)).unwrap_or(0);
        // Writing to an output cannot fail.
        let _ = self.write(logits);
        self.steps += 1;
        self.output.flush();
    }

    fn write(&mut self, logits: &[f32]) -> core::fmt::Result {
        let output = &mut self.output;
        write!(output, "{{\"step\":{},\"id\":{},\"top\":[", self.steps, self.choice)?;
        for (index, (id, logit)) in best(logits, self.top).iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if logit.is_finite() {
                write!(output, "{comma}[{id},{logit}]")?;
            } else {
                write!(output, "{comma}[{id},null]")?;
            }
        }
        writeln!(output, "],\"crc\":\"{:08x}\"}}", crc32fast::hash(bytemuck::cast_slice(logits)))
    }
}

/// The `count` largest logits with their ids, largest first; of equals the smaller id first.
fn best(logits: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    for (id, &logit) in logits.iter().enumerate() {
        if best.len() == count && best.last().is_none_or(|&(_, least)| logit <= least || logit.is_nan()) {
            continue;
        }
        let place = best.partition_point(|&(_, other)| other >= logit);
        best.insert(place, (id, logit));
        best.truncate(count);
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
