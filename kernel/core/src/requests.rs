//! The requests that are on their way to the engine or in its hands: one per slot.
//!
//! Pure: the bytes of a request lie in shared memory, this table is the kernel's own knowledge about them. The engine can name a
//! request only by its id, and only while the table says that it has it.

use barellama_abi::layout::REQUEST_SLOTS;
use barellama_abi::request::control;
use barellama_mcp::server::Ticket;

/// Who gets the output of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A prompt typed on the console: text is streamed and kept in the conversation.
    Conversation,
    /// Raw text typed on the console to be continued: text is streamed.
    Completion,
    /// A console command that prints what the engine emits.
    Command,
    /// A console command for tools: JSON lines, the last of them by the kernel.
    Score,
    /// A run of `/bench`: only its times count.
    Bench,
    /// A line of the autorun file: text is collected for a JSON line.
    Autorun,
    /// A call of an MCP client.
    Mcp(Ticket),
    /// The kernel itself, which keeps what the engine says about the model.
    Description,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In its slot, not yet seen by the engine.
    Queued,
    /// In the hands of the engine.
    Active,
}

/// What the kernel knows about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id, never 0.
    pub id: u32,
    /// Who gets its output.
    pub origin: Origin,
    /// How far it is.
    pub stage: Stage,
    /// Length of the request in its slot, in bytes.
    pub bytes: usize,
    /// When the engine last showed progress (or took it), in nanoseconds since start.
    pub progress_ns: u64,
    /// When it has to end, in nanoseconds since start.
    pub deadline_ns: Option<u64>,
    /// The control word that the engine sees.
    pub control: u32,
    /// When [`Self::control`] was last changed to a stop, in nanoseconds since start.
    pub stop_asked_ns: u64,
}

/// Why the engine has to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// A step took too long.
    Step,
    /// The engine did not react to a cancel or deadline.
    Request,
}

/// When the engine has to be stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// It is late after this, in nanoseconds since start.
    pub at_ns: u64,
    /// The request that is late; 0 is the preparation of the model.
    pub id: u32,
    /// What is late.
    pub why: Overdue,
}

/// All slots.
#[derive(Debug, Default)]
pub struct RequestTable {
    slots: [Option<Entry>; REQUEST_SLOTS],
    last_id: u32,
}

impl RequestTable {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [None; REQUEST_SLOTS], last_id: 0 }
    }

    /// A free slot for a call of an MCP client: the last one is left to the console.
    #[must_use]
    pub fn free_slot_for_calls(&self) -> Option<(usize, u32)> {
        let free = self.slots.iter().filter(|slot| slot.is_none()).count();
        self.free_slot().filter(|_| free > 1)
    }

    /// A free slot and the id that a request put there will have; `None` if all are taken.
    #[must_use]
    pub fn free_slot(&self) -> Option<(usize, u32)> {
        let slot = self.slots.iter().position(Option::is_none)?;
        Some((slot, self.last_id.checked_add(1).unwrap_or(1)))
    }

    /// Enters a request whose bytes lie in `slot` now.
    pub fn submit(&mut self, slot: usize, id: u32, origin: Origin, bytes: usize, deadline_ns: Option<u64>) {
        let entry = Entry {
            id,
            origin,
            stage: Stage::Queued,
            bytes,
            progress_ns: 0,
            deadline_ns,
            control: control::RUN,
            stop_asked_ns: 0,
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(entry);
            self.last_id = id;
        }
    }

    /// Hands the oldest queued request to the engine: its slot and length.
    pub fn take_queued(&mut self, now_ns: u64) -> Option<(usize, usize)> {
        let (slot, entry) = self
            .slots
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, entry)| entry.as_mut().map(|entry| (slot, entry)))
            .filter(|(_, entry)| entry.stage == Stage::Queued)
            .min_by_key(|(_, entry)| entry.id)?;
        entry.stage = Stage::Active;
        entry.progress_ns = now_ns;
        Some((slot, entry.bytes))
    }

    /// Whether a request waits for the engine.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        self.entries().any(|(_, entry)| entry.stage == Stage::Queued)
    }

    /// The request of that id, if the engine has it.
    #[must_use]
    pub fn active(&self, id: u32) -> Option<&Entry> {
        self.entries().map(|(_, entry)| entry).find(|entry| entry.id == id && entry.stage == Stage::Active)
    }

    /// Notes that a step was made for an active request. `false` if there is no such request.
    ///
    /// Those that compute together share their steps, and one that waits for its session is not late: it is the engine's steps
    /// that have a budget. That each request is answered in time is for its deadline to see.
    pub fn note_progress(&mut self, id: u32, now_ns: u64) -> bool {
        if self.active(id).is_none() {
            return false;
        }
        let active = self.slots.iter_mut().flatten().filter(|entry| entry.stage == Stage::Active);
        active.for_each(|entry| entry.progress_ns = now_ns);
        true
    }

    /// How many requests were there before this one and have not ended.
    #[must_use]
    pub fn ahead_of(&self, id: u32) -> usize {
        self.entries().filter(|(_, entry)| entry.id < id).count()
    }

    /// Ends an active request and frees its slot.
    pub fn finish(&mut self, id: u32) -> Option<Entry> {
        let place = self
            .slots
            .iter_mut()
            .find(|place| place.is_some_and(|entry| entry.id == id && entry.stage == Stage::Active))?;
        place.take()
    }

    /// Ends any request, for when the engine is gone.
    pub fn take_any(&mut self) -> Option<Entry> {
        self.slots.iter_mut().find_map(Option::take)
    }

    /// Asks requests of an origin to stop. Returns the slots whose control word has to be written.
    pub fn cancel(&mut self, origin: Origin, now_ns: u64) -> [bool; REQUEST_SLOTS] {
        self.ask_to_stop(control::CANCEL, now_ns, |entry| entry.origin == origin)
    }

    /// Asks requests whose deadline has passed to stop. Returns the slots whose control word has to be written.
    pub fn expire(&mut self, now_ns: u64) -> [bool; REQUEST_SLOTS] {
        self.ask_to_stop(control::DEADLINE, now_ns, |entry| entry.deadline_ns.is_some_and(|at_ns| at_ns <= now_ns))
    }

    fn ask_to_stop(&mut self, value: u32, now_ns: u64, applies: impl Fn(&Entry) -> bool) -> [bool; REQUEST_SLOTS] {
        core::array::from_fn(|slot| match &mut self.slots[slot] {
            Some(entry) if entry.control == control::RUN && applies(entry) => {
                entry.control = value;
                entry.stop_asked_ns = now_ns;
                true
            }
            _ => false,
        })
    }

    /// The request for whose sake the engine has to be stopped, and why.
    #[must_use]
    pub fn overdue(&self, now_ns: u64, step_budget_ns: u64) -> Option<Due> {
        self.next_due(step_budget_ns).filter(|due| now_ns > due.at_ns)
    }

    /// The first moment after which the engine has to be stopped unless it does something before: its next step, or the end of a
    /// request that was asked to stop or will be by its deadline.
    #[must_use]
    pub fn next_due(&self, step_budget_ns: u64) -> Option<Due> {
        let active = self.entries().map(|(_, entry)| entry).filter(|entry| entry.stage == Stage::Active);
        let dues = active.flat_map(|entry| {
            let due = |since_ns: u64, why| Due { at_ns: since_ns.saturating_add(step_budget_ns), id: entry.id, why };
            let end_ns = if entry.control == control::RUN { entry.deadline_ns } else { Some(entry.stop_asked_ns) };
            [Some(due(entry.progress_ns, Overdue::Step)), end_ns.map(|at_ns| due(at_ns, Overdue::Request))]
        });
        dues.flatten().min_by_key(|due| due.at_ns)
    }

    /// Whether there is no request at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// The requests with their slots.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(slot, entry)| entry.as_ref().map(|entry| (slot, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(table: &mut RequestTable, origin: Origin) -> u32 {
        let (slot, id) = table.free_slot().unwrap();
        table.submit(slot, id, origin, 64, None);
        id
    }

    fn first_of_all() -> [bool; REQUEST_SLOTS] {
        core::array::from_fn(|slot| slot == 0)
    }

    #[test]
    fn requests_are_taken_in_the_order_they_came() {
        let mut table = RequestTable::new();
        let first = submit(&mut table, Origin::Conversation);
        let second = submit(&mut table, Origin::Command);
        assert_eq!(table.take_queued(5), Some((0, 64)));
        assert!(table.finish(first).is_some());
        let third = submit(&mut table, Origin::Command);
        assert_eq!(table.take_queued(6), Some((1, 64)));
        assert_eq!(table.take_queued(7), Some((0, 64)));
        assert_eq!(table.take_queued(8), None);
        assert!(second < third && table.active(third).is_some());
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut table = RequestTable::new();
        for _ in 0..REQUEST_SLOTS {
            submit(&mut table, Origin::Command);
        }
        assert_eq!(table.free_slot(), None);
    }

    #[test]
    fn four_calls_compute_at_once_and_leave_a_slot_to_the_console() {
        let mut table = RequestTable::new();
        while table.free_slot_for_calls().is_some() {
            submit(&mut table, Origin::Command);
        }
        assert_eq!(table.entries().count(), 4);
        let last = submit(&mut table, Origin::Conversation);
        assert_eq!(table.ahead_of(last), REQUEST_SLOTS - 1);
    }

    #[test]
    fn requests_that_compute_together_share_their_steps() {
        let mut table = RequestTable::new();
        let (first, second) = (submit(&mut table, Origin::Conversation), submit(&mut table, Origin::Command));
        let third = submit(&mut table, Origin::Command);
        table.take_queued(0);
        table.take_queued(0);
        assert!(table.note_progress(first, 100) && !table.note_progress(third, 100));
        assert_eq!(table.overdue(105, 10), None);
        assert_eq!(table.active(second).map(|entry| entry.progress_ns), Some(100));
        assert!(table.overdue(111, 10).is_some());
    }

    #[test]
    fn the_engine_cannot_name_what_it_does_not_have() {
        let mut table = RequestTable::new();
        let id = submit(&mut table, Origin::Command);
        assert!(table.finish(id).is_none() && !table.note_progress(id, 1) && table.active(id).is_none());
        table.take_queued(0);
        assert!(table.finish(id + 1).is_none());
        assert!(table.finish(id).is_some() && table.finish(id).is_none());
    }

    #[test]
    fn late_steps_and_ignored_cancels_are_found() {
        let mut table = RequestTable::new();
        let id = submit(&mut table, Origin::Conversation);
        assert_eq!(table.overdue(1_000, 10), None);
        table.take_queued(1_000);
        assert_eq!(table.overdue(1_010, 10), None);
        assert_eq!(table.overdue(1_011, 10), Some(Due { at_ns: 1_010, id, why: Overdue::Step }));
        assert_eq!(table.cancel(Origin::Conversation, 1_012), first_of_all());
        assert_eq!(table.cancel(Origin::Conversation, 1_013), [false; REQUEST_SLOTS]);
        table.note_progress(id, 1_020);
        assert_eq!(table.overdue(1_022, 10), None);
        assert_eq!(table.overdue(1_023, 10), Some(Due { at_ns: 1_022, id, why: Overdue::Request }));
    }

    #[test]
    fn a_deadline_that_nobody_hands_on_is_due_all_the_same() {
        let mut table = RequestTable::new();
        let (slot, id) = table.free_slot().unwrap();
        table.submit(slot, id, Origin::Command, 64, Some(50));
        assert_eq!(table.next_due(10), None, "the engine does not have it");
        table.take_queued(20);
        assert_eq!(table.next_due(10), Some(Due { at_ns: 30, id, why: Overdue::Step }));
        table.note_progress(id, 55);
        assert_eq!(table.next_due(10), Some(Due { at_ns: 60, id, why: Overdue::Request }));
        table.expire(52);
        assert_eq!(table.next_due(10), Some(Due { at_ns: 62, id, why: Overdue::Request }));
    }

    #[test]
    fn a_deadline_asks_once() {
        let mut table = RequestTable::new();
        let (slot, id) = table.free_slot().unwrap();
        table.submit(slot, id, Origin::Command, 64, Some(50));
        assert_eq!(table.expire(49), [false; REQUEST_SLOTS]);
        assert_eq!(table.expire(50), first_of_all());
        assert_eq!(table.expire(51), [false; REQUEST_SLOTS]);
    }
}
