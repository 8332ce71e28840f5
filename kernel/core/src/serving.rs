//! The system calls that only core 0 may make: work, output, progress, ends, sealing.

use barellama_abi::layout::DESCRIPTOR_BYTES;
use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::syscall::{Call, CallError, EMIT_BYTES_MAX, EmitKind, Phase, WAIT_BLOCK, WAIT_POLL};
use barellama_arch::{executed, timer};

use crate::call_budget;
use crate::engine::calls::{self, Arguments};
use crate::engine::main_thread::State;
use crate::integrity::Sums;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::requests::{Origin, Stage};

/// Room that the longest `emit` may need on the wire: each byte may become two, and the editor draws around it.
const ROOM_BYTES: usize = 3 * EMIT_BYTES_MAX as usize;

/// The request id of the preparation of the model.
const PREPARATION: u64 = 0;

impl Kernel {
    /// Carries out a call of core 0's engine thread.
    pub fn serve(&mut self, arguments: &Arguments) {
        let result = match arguments.call {
            Call::WaitForWork => return self.wait_for_work(arguments),
            Call::Emit => return self.emit(arguments),
            Call::Park => return self.engine.main.wait(State::Parked(*arguments)),
            Call::Log => calls::log(0, arguments),
            Call::Clock => return self.engine.main.answer(calls::clock().map(|now_ns| (now_ns, executed::total()))),
            Call::Wake => calls::wake(0, arguments),
            Call::Progress => self.note_progress(arguments),
            Call::Finish => self.finish(arguments),
            Call::Seal => self.seal(arguments),
        };
        self.engine.main.answer(result.map(|value| (value, 0)));
    }

    /// Hands the oldest queued request to the waiting engine. Returns whether there was one.
    pub fn hand_over_request(&mut self) -> bool {
        let Some((slot, bytes)) = self.requests.take_queued(timer::now_ns()) else { return false };
        let taken = self.requests.entries().find(|(place, _)| *place == slot).map(|(_, entry)| entry.origin);
        if let Some(Origin::Mcp(ticket)) = taken {
            self.mcp.started(ticket);
        }
        self.engine.main.answer(Ok((slot as u64, bytes as u64)));
        // At once: should the loop not come round any more, the timers know of it.
        self.expect_next_due();
        true
    }

    /// The id of the request that the engine works on, 0 if none: for reports.
    #[must_use]
    pub fn request_in_flight(&self) -> u32 {
        let mut active = self.requests.entries().filter(|(_, entry)| entry.stage == Stage::Active);
        active.next().map_or(0, |(_, entry)| entry.id)
    }

    /// Carries out `emit`, or lets the thread wait until the wire has room.
    pub fn emit(&mut self, arguments: &Arguments) {
        if self.serial.free_bytes() < ROOM_BYTES {
            self.engine.main.wait(State::WaitsForRoom(*arguments));
            return;
        }
        let result = self.take_emitted(arguments);
        self.engine.main.answer(result.map(|()| (0, 0)));
    }

    fn take_emitted(&mut self, arguments: &Arguments) -> Result<(), CallError> {
        let [id, kind, address, length] = arguments.x;
        let kind = EmitKind::from_number(kind).ok_or(CallError::BadArgument)?;
        let mut buffer = [0; EMIT_BYTES_MAX as usize];
        let bytes = calls::copy_in(address, length, &mut buffer)?;
        if kind == EmitKind::Error {
            // Printed as one sentence of the kernel: nothing that a terminal would act on may be in it.
            blank_controls(bytes);
        }
        let text = core::str::from_utf8(bytes).map_err(|_| CallError::BadArgument)?;
        if id == PREPARATION {
            if self.engine.life != Life::Preparing {
                return Err(CallError::NotAllowed);
            }
            self.deliver_report(kind, text);
            return Ok(());
        }
        let id = u32::try_from(id).map_err(|_| CallError::UnknownRequest)?;
        let origin = self.requests.active(id).ok_or(CallError::UnknownRequest)?.origin;
        self.deliver(origin, kind, text);
        Ok(())
    }

    fn wait_for_work(&mut self, arguments: &Arguments) {
        if self.engine.life == Life::Preparing {
            self.note_ready();
        }
        match arguments.x[0] {
            WAIT_BLOCK => self.engine.main.wait(State::WaitsForWork),
            WAIT_POLL => {
                if !self.hand_over_request() {
                    self.engine.main.answer(Err(CallError::WouldBlock));
                }
            }
            _ => self.engine.main.answer(Err(CallError::BadArgument)),
        }
    }

    /// The first wait after a start says that the model is ready.
    fn note_ready(&mut self) {
        let is_sealed = self.engine.model.as_ref().is_some_and(|model| model.is_sealed());
        if !is_sealed {
            // It waits without a model: it refused it and said so by `finish`.
            return;
        }
        self.engine.life = Life::Ready;
        calls::BUDGET.set(call_budget::IDLE_UNITS);
        self.say(format_args!("Ready."));
        self.note_model_ready();
        self.end_load(true);
        self.begin_autorun();
    }

    fn note_progress(&mut self, arguments: &Arguments) -> Result<u64, CallError> {
        let [id, phase, done, total] = arguments.x;
        let phase = Phase::from_number(phase).ok_or(CallError::BadArgument)?;
        let now_ns = timer::now_ns();
        if id == PREPARATION {
            self.engine.note_prepare_progress(now_ns);
            return Ok(0);
        }
        let id = u32::try_from(id).map_err(|_| CallError::UnknownRequest)?;
        let entry = self.requests.active(id).ok_or(CallError::UnknownRequest)?;
        let origin = entry.origin;
        self.engine.note_step(entry.progress_ns, now_ns);
        self.requests.note_progress(id, now_ns);
        if let Origin::Mcp(ticket) = origin {
            self.mcp.progress(ticket, phase, done, total);
        }
        Ok(0)
    }

    fn finish(&mut self, arguments: &Arguments) -> Result<u64, CallError> {
        let [id, address, _, _] = arguments.x;
        let mut bytes = [0; Outcome::BYTES];
        calls::copy_in(address, Outcome::BYTES as u64, &mut bytes)?;
        let outcome = Outcome::from_bytes(&bytes).ok_or(CallError::BadArgument)?;
        if id == PREPARATION {
            return self.finish_preparation(&outcome);
        }
        let id = u32::try_from(id).map_err(|_| CallError::UnknownRequest)?;
        let entry = self.requests.finish(id).ok_or(CallError::UnknownRequest)?;
        if self.requests.is_empty() {
            calls::BUDGET.set(call_budget::IDLE_UNITS);
        }
        // The deadlines of this request must not end those of others.
        self.expect_next_due();
        self.end_request(&entry, &outcome);
        Ok(0)
    }

    fn finish_preparation(&mut self, outcome: &Outcome) -> Result<u64, CallError> {
        if self.engine.life != Life::Preparing {
            return Err(CallError::NotAllowed);
        }
        if outcome.stop_reason == StopReason::Error {
            self.engine.life = Life::Refused;
            self.loading.end_arrival();
            let why = self.loading.problem();
            self.say(format_args!("The model was refused: {why}"));
            self.end_load(false);
        }
        Ok(0)
    }

    fn seal(&mut self, arguments: &Arguments) -> Result<u64, CallError> {
        let model = self.engine.model.as_mut().ok_or(CallError::NotAllowed)?;
        if self.engine.life != Life::Preparing || model.is_sealed() || self.loading.is_arriving() {
            return Err(CallError::NotAllowed);
        }
        if arguments.x[0] > DESCRIPTOR_BYTES {
            return Err(CallError::BadArgument);
        }
        model.seal().map_err(|_| CallError::NotAllowed)?;
        self.engine.sums = Some(Sums::take(Some(model)));
        Ok(0)
    }
}

/// Blanks what a terminal would act on: ASCII controls and, as UTF-8, U+0080 to U+009F.
fn blank_controls(bytes: &mut [u8]) {
    for at in 0..bytes.len() {
        let is_c1 = bytes[at] == 0xC2 && bytes.get(at + 1).is_some_and(|next| (0x80..=0x9F).contains(next));
        if is_c1 {
            bytes[at..=at + 1].fill(b' ');
        } else if bytes[at].is_ascii_control() {
            bytes[at] = b' ';
        }
    }
}
