//! The card is started, and started again when it is another one.
//!
//! Nothing tells the kernel that a card was pulled: the slot's switch is wired to no board's SoC. So the card is asked before it is
//! used for a person or a client. If it does not answer, the one that is there now is started and its folders are read, while the
//! model in memory goes on answering.

use barellama_arch::timer;
use barellama_storage::{StorageError, StorageStep};

use super::{Asker, LoadRefusal, ModelPath, Stage};
use crate::kernel_loop::Kernel;

/// What follows when the card is started, or is not.
#[expect(clippy::large_enum_variant, reason = "there is one, in a static")]
pub(super) enum AfterStart {
    /// The model of the boot, or the same once more.
    Choose,
    /// Another model, by its path, or by the name that was typed if the list before did not have it.
    Load(ModelPath),
    /// The list of models.
    List,
}

impl Kernel {
    /// Whether the card may be started again now, and has to be: nothing is being read from it, and it does not answer.
    pub(super) fn is_card_lost(&mut self) -> bool {
        matches!(self.loading.stage, Stage::Settled | Stage::Choosing { .. }) && !self.loading.card.answers()
    }

    /// Starts the card again for somebody who waits.
    pub(super) fn start_card_for(&mut self, asker: Asker, then: AfterStart) {
        self.loading.asker = asker;
        self.loading.card.restart();
        self.loading.stage = Stage::StartingCard { then };
    }

    /// Reads the model again that a fault spoilt, unless the card is being started for another one.
    pub fn load_after_fault(&mut self) {
        match self.loading.stage {
            Stage::StartingCard { then: AfterStart::Load(_) } => return,
            // The list as it is known.
            Stage::StartingCard { then: AfterStart::List } => self.stop_card_start(),
            _ => {}
        }
        self.begin_loading();
    }

    pub(super) fn step_card(&mut self) {
        let error = match self.loading.card.step(timer::now_ns()) {
            StorageStep::Busy => return,
            StorageStep::Ready => None,
            StorageStep::Failed(error) => Some(error),
        };
        if error.is_none() {
            if let Some(card) = self.loading.card.card() {
                log::info!("{card}");
            }
            self.read_config();
            self.loading.look_for_loaded();
        }
        let Some(then) = self.take_start() else { return };
        match then {
            AfterStart::Choose => self.choose_model(error),
            AfterStart::Load(wanted) => self.load_after_start(&wanted, error),
            AfterStart::List => self.list_after_start(),
        }
    }

    /// Waits no longer for the card; whoever waited is told that it was stopped.
    pub(super) fn stop_card_start(&mut self) {
        match self.take_start() {
            Some(AfterStart::Load(_)) => self.refuse_after_start(&LoadRefusal::Stopped),
            Some(AfterStart::List) => self.list_after_start(),
            Some(AfterStart::Choose) | None => {}
        }
    }

    fn take_start(&mut self) -> Option<AfterStart> {
        match core::mem::replace(&mut self.loading.stage, Stage::Settled) {
            Stage::StartingCard { then } => Some(then),
            _ => None,
        }
    }

    fn load_after_start(&mut self, wanted: &str, error: Option<StorageError>) {
        let begun = match error {
            Some(error) => Err(LoadRefusal::Storage(error)),
            None => self.begin_change(wanted, self.loading.asker),
        };
        if let Err(refusal) = begun {
            self.refuse_after_start(&refusal);
        }
    }

    fn refuse_after_start(&mut self, refusal: &LoadRefusal) {
        let asker = core::mem::replace(&mut self.loading.asker, Asker::Nobody);
        self.tell_refusal(asker, refusal);
        if asker == Asker::Console {
            self.next_line();
        }
    }

    fn list_after_start(&mut self) {
        let asker = core::mem::replace(&mut self.loading.asker, Asker::Nobody);
        self.show_models(asker);
        if asker == Asker::Console {
            self.next_line();
        }
    }
}
