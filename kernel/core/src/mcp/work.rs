//! What the server asks the kernel to do.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::SESSION_ANY;
use barellama_arch::timer;
use barellama_mcp::server::{Ticket, Work};
use barellama_mcp::wire::Mode;

use super::answers::Read;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::loading::Asker;
use crate::requests::Origin;

impl Kernel {
    /// Carries out the server's work and moves its answers. Returns whether there was anything.
    pub fn step_mcp(&mut self) -> bool {
        if self.mcp.mode == Mode::Console {
            return self.mcp.answer_stranger(self.serial);
        }
        let mut has_worked = self.mcp.end_broken_line();
        while let Some(work) = self.mcp.server.next_work() {
            has_worked = true;
            self.take_work(work);
        }
        has_worked |= self.submit_waiting();
        has_worked |= self.answer_waiting();
        has_worked |= self.mcp.tell_log();
        let now_ns = timer::now_ns();
        if has_worked || self.mcp.server.next_flush_ns().is_some_and(|at_ns| at_ns <= now_ns) {
            self.mcp.server.flush(now_ns, &mut self.mcp.outbox);
        }
        let has_moved = self.mcp.pump(self.serial, now_ns);
        self.mcp.turnaround.end(has_moved, timer::now_ns());
        has_moved || has_worked
    }

    pub(super) fn take_work(&mut self, work: Work) {
        match work {
            Work::Submit(submission) => {
                if let Err(submission) = self.mcp.submissions.push_back(submission) {
                    self.mcp.server.fail(submission.ticket, "Too many calls wait.");
                }
            }
            Work::Cancel { ticket } => self.cancel_call(ticket),
            Work::ReadResource { ticket, resource } => self.read_later(Read::Resource(ticket, resource)),
            Work::Status { ticket } => self.read_later(Read::Status(ticket)),
            Work::ListModels { ticket } => {
                self.list_models(Asker::Client(ticket));
            }
            Work::LoadModel { ticket, name } => {
                if let Err(refusal) = self.load_model(&name, Asker::Client(ticket)) {
                    self.tell_refusal(Asker::Client(ticket), &refusal);
                }
            }
        }
    }

    /// The card was asked whether it is still there.
    pub fn answer_models_later(&mut self, ticket: Ticket) {
        self.read_later(Read::Models(ticket));
    }

    fn read_later(&mut self, read: Read) {
        if let Err(read) = self.mcp.reads.push_back(read) {
            self.mcp.server.fail(read.ticket(), "Too many calls wait.");
        }
    }

    fn cancel_call(&mut self, ticket: Ticket) {
        let asked = self.requests.cancel(Origin::Mcp(ticket), timer::now_ns());
        self.write_controls(asked);
        self.cancel_load(Asker::Client(ticket));
        let cancelled = Outcome { stop_reason: StopReason::Cancelled, ..Outcome::default() };
        for _ in 0..self.mcp.submissions.len() {
            let Some(submission) = self.mcp.submissions.pop_front() else { break };
            if submission.ticket == ticket {
                self.mcp.server.finish(ticket, &cancelled, timer::now_ns());
            } else {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.submissions.push_back(submission);
            }
        }
        for _ in 0..self.mcp.reads.len() {
            let Some(read) = self.mcp.reads.pop_front() else { break };
            if read.ticket() == ticket {
                self.mcp.server.finish(ticket, &cancelled, timer::now_ns());
            } else {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.reads.push_back(read);
            }
        }
    }

    /// Gives waiting calls to the engine as long as slots are free.
    fn submit_waiting(&mut self) -> bool {
        let mut has_worked = false;
        while !self.mcp.submissions.is_empty() {
            if self.engine.life == Life::Ready && self.requests.free_slot_for_calls().is_none() {
                break;
            }
            let Some(mut submission) = self.mcp.submissions.pop_front() else { break };
            has_worked = true;
            submission.header.speculation = self.console.settings.speculation;
            let ticket = submission.ticket;
            let deadline_ms = submission.deadline_ms;
            let submitted = self.submit_written(Origin::Mcp(ticket), deadline_ms, |slot, id, _, _| {
                submission.write(slot, id, SESSION_ANY)
            });
            if let Err(refusal) = submitted {
                self.mcp.server.fail(ticket, refusal.sentence(self.engine.life));
            }
        }
        has_worked
    }
}
