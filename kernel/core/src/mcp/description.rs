//! What the engine says about the model, asked once and kept: it can be read while the engine works on something long.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RequestKind, RequestWriter};
use barellama_mcp::resources::Resource;
use barellama_mcp::server::{TEXT_BYTES_MAX, Ticket};
use barellama_mcp::wire::Mode;
use heapless::String;
use static_cell::ConstStaticCell;

use crate::console::Refusal;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::requests::Origin;

/// The line with which the table of the tensors begins; before it is the model's card.
const TENSORS: &str = "Tensors:";
/// What is said where the text did not fit.
const CUT: &str = "\n[cut off here: too long]\n";

static TEXT: ConstStaticCell<String<TEXT_BYTES_MAX>> = ConstStaticCell::new(String::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    /// The engine was asked.
    Asked,
    Known,
    /// It did not answer.
    Failed,
}

/// The text and how far it is.
pub struct Description {
    text: &'static mut String<TEXT_BYTES_MAX>,
    is_cut: bool,
    state: State,
}

impl Description {
    /// Nothing known. Called once.
    #[must_use]
    pub fn new() -> Self {
        Self { text: TEXT.take(), is_cut: false, state: State::Unknown }
    }

    /// Takes a part of the engine's answer.
    pub fn push(&mut self, text: &str) {
        let room = self.text.capacity() - self.text.len();
        let fits = text.get(..text.floor_char_boundary(room)).unwrap_or("");
        self.is_cut |= fits.len() < text.len();
        // Cannot fail: it was cut to the room there is.
        let _ = self.text.push_str(fits);
    }

    /// The engine's answer ended.
    pub fn end(&mut self, outcome: &Outcome) {
        let is_whole = outcome.stop_reason == StopReason::Complete;
        self.state = if is_whole { State::Known } else { State::Failed };
    }

    fn forget(&mut self) {
        self.text.clear();
        self.is_cut = false;
        self.state = State::Unknown;
    }

    /// The part that belongs to a resource, and what is said behind it.
    fn part(&self, resource: Resource) -> (&str, &'static str) {
        let (card, tensors) = self.text.split_at(self.text.find(TENSORS).unwrap_or(self.text.len()));
        match resource {
            Resource::ModelTensors => (tensors, if self.is_cut { CUT } else { "" }),
            _ => (card, ""),
        }
    }
}

impl Default for Description {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// The engine has prepared a model, perhaps another one.
    pub fn note_model_ready(&mut self) {
        self.mcp.description.forget();
        if self.mcp.mode != Mode::Console {
            self.ask_for_description();
        }
    }

    /// Asks the engine, if it can answer and was not asked.
    pub(super) fn ask_for_description(&mut self) {
        if self.mcp.description.state != State::Unknown || self.engine.life != Life::Ready {
            return;
        }
        let submitted = self.submit_written(Origin::Description, None, |slot, id, settings, _| {
            let header = settings.request_header(id, RequestKind::Describe);
            RequestWriter::new(slot, header).map(|writer| writer.length())
        });
        if submitted.is_ok() {
            self.mcp.description.text.clear();
            self.mcp.description.state = State::Asked;
        }
    }

    /// Returns whether it is answered; if not, the engine was asked or will be.
    pub(super) fn answer_description(&mut self, ticket: Ticket, resource: Resource) -> bool {
        self.ask_for_description();
        let life = self.engine.life;
        let (server, outbox, description) = (&mut self.mcp.server, &mut self.mcp.outbox, &self.mcp.description);
        match description.state {
            State::Known => {
                let (text, end) = description.part(resource);
                let write = |out: &mut dyn core::fmt::Write| out.write_str(text).and_then(|()| out.write_str(end));
                server.resource_text(ticket, &write, outbox).is_ok()
            }
            State::Failed => {
                server.fail(ticket, "The engine could not describe the model: see pi://log and pi://faults.");
                true
            }
            State::Unknown if life != Life::Ready => {
                server.fail(ticket, Refusal::NotReady.sentence(life));
                true
            }
            State::Unknown | State::Asked => false,
        }
    }
}
