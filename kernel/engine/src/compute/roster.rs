//! The protocol of a team of cores: who is inside a task, who sleeps, who has to be woken. Words and orderings only, no task.
//!
//! Core 0 opens a task, works on it, closes it and waits until every core that joined has left. A core that comes too late finds the
//! task closed. Waiting cores spin a bounded time, then park.
//!
//! Waiting and waking are functions of their own, never inlined, so that `make bench` can tell their instructions from those of the work.
//!
//! `tests/interleavings` runs this very file under loom, which tries every interleaving that the memory model allows; so the atomics
//! come from `super`.

use super::atomics::{AtomicU32, Ordering, fence, spin_loop};

/// Bit of [`Roster::state`]: the task accepts cores. The lower bits count the cores that joined.
const OPEN: u32 = 1 << 31;
/// Shift of the number of cores that may join, in [`Roster::state`].
const LIMIT_SHIFT: u32 = 16;
/// Bits of [`Roster::state`] that count the cores that joined.
const JOINED: u32 = 0xFFFF;

/// How a core sleeps and wakes others.
pub trait Sleep {
    /// Sleeps while `word` is `expected`; may return early. A wake-up between the look at the word and the sleep is not lost.
    fn park(&self, word: &AtomicU32, expected: u32);

    /// Wakes the parked cores whose bit is set.
    fn wake(&self, cores: u32);
}

/// A word in a cache line of its own (64 bytes on A53, A72 and A76): a core that spins on one must not slow down those that write
/// another.
#[repr(align(64))]
struct Line(AtomicU32);

/// The words that the cores of a team share.
pub struct Roster {
    /// Grows with every task; idle cores wait for it to change.
    generation: Line,
    /// [`OPEN`], the limit, and the number of other cores that are inside the task.
    state: Line,
    /// Cores that are, or are about to be, parked.
    parked: Line,
    /// Turns of a waiting loop before the core parks.
    spin_turns: u32,
}

impl Roster {
    /// A roster of three words that are 0, with no task open.
    #[must_use]
    pub const fn new(generation: AtomicU32, state: AtomicU32, parked: AtomicU32, spin_turns: u32) -> Self {
        Self { generation: Line(generation), state: Line(state), parked: Line(parked), spin_turns }
    }

    /// Core 0: opens a task to so many other cores. What it wrote before is seen by those that join.
    #[inline(never)]
    pub fn open(&self, sleep: &impl Sleep, others: u32) {
        self.state.0.store(OPEN | others << LIMIT_SHIFT, Ordering::SeqCst);
        self.nudge(sleep);
    }

    /// Core 0: closes the task and returns when every core that joined has left it. What they wrote is seen then.
    #[inline(never)]
    pub fn close(&self, sleep: &impl Sleep) {
        self.state.0.fetch_and(JOINED, Ordering::SeqCst);
        loop {
            let state = self.state.0.load(Ordering::SeqCst);
            if state == 0 {
                break;
            }
            self.wait_while(sleep, 0, &self.state.0, state);
        }
    }

    /// Wakes every core that waits for a task.
    #[inline(never)]
    pub fn nudge(&self, sleep: &impl Sleep) {
        self.generation.0.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let mask = self.parked.0.load(Ordering::SeqCst) & !1;
        if mask != 0 {
            sleep.wake(mask);
        }
    }

    /// Waits until there may be another task than the one that was `seen`; returns its number.
    #[inline(never)]
    pub fn wait(&self, sleep: &impl Sleep, core: usize, seen: u32) -> u32 {
        self.wait_while(sleep, core, &self.generation.0, seen);
        self.generation.0.load(Ordering::SeqCst)
    }

    /// How many tasks were opened or cores woken so far; wraps.
    pub fn generation(&self) -> u32 {
        self.generation.0.load(Ordering::Relaxed)
    }

    /// Enters the task if it is open and wants this core.
    pub fn join(&self, core: usize) -> bool {
        let entered = self.state.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
            let limit = (state & !OPEN) >> LIMIT_SHIFT;
            (state & OPEN != 0 && core as u32 <= limit).then_some(state + 1)
        });
        entered.is_ok()
    }

    /// Leaves the task; the last one out wakes core 0.
    #[inline(never)]
    pub fn leave(&self, sleep: &impl Sleep) {
        let before = self.state.0.fetch_sub(1, Ordering::SeqCst);
        if before & OPEN == 0 {
            fence(Ordering::SeqCst);
            if self.parked.0.load(Ordering::SeqCst) & 1 != 0 {
                sleep.wake(1);
            }
        }
    }

    /// Returns when `word` is no longer `value`, or early: spins a bounded time, then parks.
    ///
    /// No wake-up is lost: this core announces that it parks, then the kernel compares the word; who changes the word changes it
    /// first and then looks for parked cores. The fences order each pair, so at least one side sees the other.
    fn wait_while(&self, sleep: &impl Sleep, core: usize, word: &AtomicU32, value: u32) {
        for _ in 0..self.spin_turns {
            if word.load(Ordering::SeqCst) != value {
                return;
            }
            spin_loop();
        }
        let bit = 1 << core;
        self.parked.0.fetch_or(bit, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if word.load(Ordering::SeqCst) == value {
            sleep.park(word, value);
        }
        self.parked.0.fetch_and(!bit, Ordering::SeqCst);
    }
}
