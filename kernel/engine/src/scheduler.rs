//! Several requests in one pass over the weights: who takes part, and what becomes of those who must stop.
//!
//! Every pass runs the next token (and its draft) of each answer, and fills up with the oldest prompts that are not through yet.
//! A request that is told to stop ends within a step: the pass is given up, and run again for the others.

use alloc::format;
use alloc::vec::Vec;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::control;

use crate::compute::batch::Batch;
use crate::compute::workspace::LOGIT_ROWS;
use crate::job::{Job, PassShare};
use crate::kernel_calls::Kernel;
use crate::machine::{Machine, Ticket};
use crate::prepare::Prepared;
use crate::request_error::RequestError;
use crate::serve::refuse;
use crate::speculation::PassCosts;

/// The requests that compute.
#[derive(Default)]
pub struct Scheduler<'e> {
    jobs: Vec<Job<'e>>,
    batch: Batch,
    /// The job of each segment of [`Self::batch`].
    parts: Vec<usize>,
    costs: PassCosts,
}

impl<'e> Scheduler<'e> {
    /// Takes a job.
    pub fn push(&mut self, job: Job<'e>) {
        self.jobs.push(job);
    }

    /// How many jobs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is no job.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Runs a pass and ends the jobs that are through or were told to stop. The pass is given up if a `waiting` request is.
    pub fn step(&mut self, machine: &mut Machine<'e>, prepared: &Prepared<'_>, waiting: &[Ticket]) {
        let kernel = machine.kernel();
        self.stop_asked(kernel);
        self.end_jobs(machine);
        if self.jobs.is_empty() {
            return;
        }
        self.fill(machine);
        let was_decoding: Vec<bool> = self.jobs.iter().map(Job::is_decoding).collect();
        let instructions = kernel.instructions();
        if !self.run(machine, prepared, waiting) {
            self.parts.iter().for_each(|&index| self.jobs[index].give_up_pass(machine));
        } else {
            let parts = self.parts.len().max(1) as u64;
            let share = PassShare {
                bytes: machine.bytes_read(&self.batch) / parts,
                instructions: kernel.instructions().saturating_sub(instructions) / parts,
            };
            for &index in &self.parts {
                self.jobs[index].end_pass(machine, was_decoding[index], share);
            }
            self.report(kernel);
        }
        self.stop_asked(kernel);
        self.end_jobs(machine);
    }

    /// Puts the next pass together: a token of each answer first, drafts and prompts as far as there is room.
    fn fill(&mut self, machine: &Machine<'e>) {
        self.batch.clear();
        self.parts.clear();
        let (context, most) = (machine.context(), machine.chunk());
        let answers = self.jobs.iter().filter(|job| job.is_decoding()).count();
        let mut ahead = LOGIT_ROWS.saturating_sub(answers);
        for (index, job) in self.jobs.iter_mut().enumerate().filter(|(_, job)| job.is_decoding()) {
            let before = self.batch.tokens.len();
            job.fill(&mut self.batch, 1, ahead, context, &self.costs);
            ahead -= self.batch.tokens.len() - before - 1;
            self.parts.push(index);
        }
        for (index, job) in self.jobs.iter_mut().enumerate().filter(|(_, job)| !job.is_decoding()) {
            let used = self.batch.tokens.len();
            let room = match job.ticket.header.chunk_tokens as usize {
                0 => machine.short_chunk().max(1 + answers),
                asked => asked.saturating_add(answers),
            };
            let room = room.min(most).saturating_sub(used);
            if room > 0 {
                job.fill(&mut self.batch, room, 0, context, &self.costs);
                self.parts.push(index);
            }
        }
    }

    /// Runs the pass. `false` if it was given up because a request was told to stop.
    fn run(&mut self, machine: &mut Machine<'e>, prepared: &Prepared<'_>, waiting: &[Ticket]) -> bool {
        let Self { jobs, batch, parts, costs, .. } = self;
        let kernel = machine.kernel();
        let context = machine.context();
        let tickets: Vec<Ticket> = jobs.iter().map(|job| job.ticket).chain(waiting.iter().copied()).collect();
        let first = jobs.first().map(|job| (job.ticket.header.id, job.progress()));
        let cores =
            parts.iter().map(|&index| jobs[index].ticket.header.cores as usize).filter(|cores| *cores > 0).min();
        let mut check = || {
            if let Some((id, (phase, done, total))) = first {
                kernel.progress(id, phase, done, total);
            }
            tickets.iter().all(|ticket| kernel.control(ticket.slot) == control::RUN)
        };
        let is_decode_only = parts.iter().all(|&index| jobs[index].is_decoding());
        let start_ns = kernel.clock_ns();
        let segments = batch.segments.clone();
        let mut each = |row: usize, logits: &[f32]| {
            let found = segments.iter().zip(parts.iter()).find(|(segment, _)| segment.rows.contains(&row));
            if let Some((segment, &index)) = found {
                jobs[index].take_logits(prepared, context, segment.position(row), logits, kernel.clock_ns());
            }
        };
        if machine.run(batch, cores.unwrap_or(0), &mut check, &mut each).is_err() {
            return false;
        }
        if is_decode_only {
            costs.note(batch.tokens.len(), kernel.clock_ns().saturating_sub(start_ns));
        }
        true
    }

    /// Tells the kernel how far the others are: the first one was named at every step.
    fn report(&self, kernel: &dyn Kernel) {
        for job in self.parts.iter().map(|&index| &self.jobs[index]).skip(1) {
            let (phase, done, total) = job.progress();
            kernel.progress(job.ticket.header.id, phase, done, total);
        }
    }

    fn stop_asked(&mut self, kernel: &dyn Kernel) {
        for job in &mut self.jobs {
            if let Some(reason) = asked_to_stop(kernel, &job.ticket) {
                job.stop(reason);
            }
        }
    }

    fn end_jobs(&mut self, machine: &mut Machine<'e>) {
        let kernel = machine.kernel();
        while let Some(index) = self.jobs.iter().position(Job::has_ended) {
            let job = self.jobs.remove(index);
            let id = job.ticket.header.id;
            end(kernel, id, job.finish(machine, kernel));
        }
    }
}

/// Why a request has to stop, if it was told to.
#[must_use]
pub fn asked_to_stop(kernel: &dyn Kernel, ticket: &Ticket) -> Option<StopReason> {
    match kernel.control(ticket.slot) {
        control::RUN => None,
        control::DEADLINE => Some(StopReason::Deadline),
        _ => Some(StopReason::Cancelled),
    }
}

/// Tells the kernel how a request ended.
pub fn end(kernel: &dyn Kernel, id: u32, result: Result<Outcome, RequestError>) {
    match result {
        Ok(outcome) => kernel.finish(id, &outcome),
        Err(error) => refuse(kernel, id, &format!("{error}")),
    }
}
