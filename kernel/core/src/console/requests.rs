//! Requests on their way to the engine: put together, handed over, or refused with a reason.

use barellama_abi::request::{Request, RequestHeader, RequestWriter, SlotFull};
use barellama_arch::timer;
use barellama_shell::conversation::Conversation;
use barellama_shell::settings::Settings;

use crate::call_budget;
use crate::engine::calls;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::requests::Origin;

/// Why a request could not be handed to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The engine takes no requests now.
    NotReady,
    /// All slots are taken.
    NoSlot,
    /// The request is longer than a slot.
    TooLong,
}

impl Refusal {
    /// For people: what happened and what to do, by the state of the engine.
    #[must_use]
    pub const fn sentence(self, life: Life) -> &'static str {
        match (self, life) {
            (Self::NoSlot, _) => "All request slots are taken: wait for an answer to end.",
            (Self::TooLong, _) => "The request is too long: shorten it or /reset the conversation.",
            (Self::NotReady, Life::NoModel) => "The engine cannot answer now: no model.",
            (Self::NotReady, Life::Preparing) => "The engine cannot answer now: it prepares the model.",
            (Self::NotReady, Life::Refused) => "The engine cannot answer now: it refused the model.",
            (Self::NotReady, Life::Down) => "The engine cannot answer now: it is down, /restart starts it again.",
            (Self::NotReady, Life::Ready) => "The request could not be handed to the engine.",
        }
    }
}

impl Kernel {
    /// Puts a request together and hands it to the engine. `false` if it could not be; the user was told why.
    pub fn submit(
        &mut self,
        origin: Origin,
        header: impl FnOnce(&Settings, u32) -> RequestHeader,
        records: impl FnOnce(&mut RequestWriter<'_>, &Settings, &Conversation) -> Result<(), SlotFull>,
    ) -> bool {
        let submitted = self.submit_written(origin, None, |slot, id, settings, conversation| {
            let mut writer = RequestWriter::new(slot, header(settings, id))?;
            records(&mut writer, settings, conversation)?;
            Ok(writer.length())
        });
        match submitted {
            Ok(()) => {
                self.say_if_queued(origin);
                true
            }
            Err(refusal) => {
                self.deliver_error(origin, self.refusal_sentence(refusal));
                false
            }
        }
    }

    /// Tells a person that the newest request does not run yet.
    fn say_if_queued(&mut self, origin: Origin) {
        let Some(id) = self.requests.entries().map(|(_, entry)| entry.id).max() else { return };
        let ahead = self.requests.ahead_of(id);
        if ahead < self.engine.sessions
            || !matches!(origin, Origin::Conversation | Origin::Completion | Origin::Command)
        {
            return;
        }
        let before = if ahead == 1 { "request is" } else { "requests are" };
        self.print(|out| write!(out, "(queued: {ahead} {before} before this one)\r\n"));
    }

    /// Hands the engine a request that `write` puts into a slot; its deadline is the given one or that of the settings.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn submit_written(
        &mut self,
        origin: Origin,
        deadline_ms: Option<u32>,
        write: impl FnOnce(&mut [u8], u32, &Settings, &Conversation) -> Result<usize, SlotFull>,
    ) -> Result<(), Refusal> {
        if self.engine.life != Life::Ready {
            return Err(Refusal::NotReady);
        }
        let (slot, id) = self.requests.free_slot().ok_or(Refusal::NoSlot)?;
        let memory = self.engine.memory.as_ref().ok_or(Refusal::NotReady)?;
        let written = write(self.console.staging, id, self.console.settings, self.console.conversation);
        let length = written.map_err(|SlotFull| Refusal::TooLong)?;
        let max_tokens = Request::parse(self.console.staging).map_or(0, |request| request.header().max_tokens);
        calls::BUDGET.add(call_budget::for_request(length, max_tokens));
        memory.write_request(slot, &self.console.staging[..length]).map_err(|_| Refusal::NotReady)?;
        let deadline_ms = deadline_ms.unwrap_or(self.console.settings.request_deadline_ms);
        let deadline_ns = (deadline_ms != 0).then(|| timer::now_ns() + u64::from(deadline_ms) * 1_000_000);
        self.requests.submit(slot, id, origin, length, deadline_ns);
        Ok(())
    }

    /// Why a request cannot be handed to the engine now.
    #[must_use]
    pub fn refusal_sentence(&self, refusal: Refusal) -> &'static str {
        match (refusal, self.engine.life) {
            (Refusal::NotReady, Life::NoModel | Life::Preparing) if self.loading.is_busy() => {
                "The engine cannot answer now: a model is on its way; ask again when it is ready."
            }
            (refusal, life) => refusal.sentence(life),
        }
    }
}
