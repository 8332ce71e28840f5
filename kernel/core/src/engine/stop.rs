//! The stop of the engine, and what it is for: the first fault, or a deadline that passed.
//!
//! Any core may ask for the stop at any time; core 0 ends it. What is due is looked at and turned into a fault under one lock: a core
//! whose timer noticed a deadline, and that is then held up, must not stop the engine that was started meanwhile. `tests/interleavings`
//! runs this very file under loom; so atomics and lock come from `super`.

use super::atomics::{AtomicBool, Mutex, Ordering, mask};

/// Faults of type `F`, deadlines of type `D`. Core 0 calls everything but [`Self::raise`], [`Self::raise_if_due`], [`Self::ask`] and
/// [`Self::is_asked`], which are for all cores, with interrupts masked or not.
pub struct Stop<F, D> {
    is_asked: AtomicBool,
    fault: Mutex<Option<F>>,
    due: Mutex<Option<D>>,
}

impl<F, D: Copy> Stop<F, D> {
    /// Nobody asked for it, nothing is due.
    pub const fn new(is_asked: AtomicBool, fault: Mutex<Option<F>>, due: Mutex<Option<D>>) -> Self {
        Self { is_asked, fault, due }
    }

    /// The stop is over, for a start or for good, all cores being out of the engine: what they found on their way is of no use any more.
    pub fn end(&self) {
        // First: it waits for a core that is just stopping the engine for it, and then nobody does so any more.
        self.expect_by(None);
        self.take_fault();
        self.is_asked.store(false, Ordering::Release);
    }

    /// Asks the cores to leave the engine.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Release);
    }

    /// Whether the cores have to leave the engine.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// Notes a fault and asks for the stop. The first fault counts.
    pub fn raise(&self, fault: F) {
        with(&self.fault, |first| {
            first.get_or_insert(fault);
        });
        self.ask();
    }

    /// Which deadline comes next, if any.
    pub fn expect_by(&self, due: Option<D>) {
        with(&self.due, |place| *place = due);
    }

    /// Raises the fault that follows from a deadline if that has passed and nothing stops the engine yet. Returns whether it did. Whoever
    /// finds the lock taken leaves the deadline to the core that has it.
    pub fn raise_if_due(&self, has_passed: impl FnOnce(&D) -> bool, fault: impl FnOnce(D) -> F) -> bool {
        let _masked = mask();
        let Some(due) = self.due.try_lock() else { return false };
        let Some(passed) = due.filter(has_passed).filter(|_| !self.is_asked()) else { return false };
        self.raise(fault(passed));
        true
    }

    /// The fault for which the engine was stopped.
    pub fn take_fault(&self) -> Option<F> {
        with(&self.fault, Option::take)
    }
}

/// Masked, so that this core's timer does not find the lock taken.
fn with<T, R>(place: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
    let _masked = mask();
    work(&mut place.lock())
}
