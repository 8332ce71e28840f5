//! Fork, join, park, wake, start and stop in every interleaving of up to three cores.
//!
//! The files are those that ship. Around them stands what the kernel does for `park` and `wake`: flags, and an interrupt that stays
//! pending until it is taken, as the processor's does. A lost wake-up shows as a deadlock, a missing ordering as a data race on the
//! task. loom treats SeqCst accesses as acquire and release, so what passes here rests on the fences alone.

#[path = "../../../kernel/engine/src/compute/roster.rs"]
#[allow(missing_docs, dead_code, reason = "documented where it ships; nobody counts tasks here")]
mod roster;
#[allow(dead_code, reason = "no core asks how many cores there are but by the protocol")]
#[path = "../../../kernel/core/src/engine/starts.rs"]
mod starts;
#[allow(dead_code, reason = "the stop by hand needs no model of its own")]
#[path = "../../../kernel/core/src/engine/stop.rs"]
mod stop;
#[allow(dead_code, reason = "the flags are cleared while no core runs")]
#[path = "../../../kernel/core/src/engine/wake_flags.rs"]
mod wake_flags;

mod atomics {
    pub use loom::hint::spin_loop;
    pub use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

    /// A spinning lock's methods on a lock of loom's, which knows when a thread cannot go on.
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// A core that is interrupted is a thread of its own here.
    pub struct Masked;

    pub fn mask() -> Masked {
        Masked
    }
}

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use atomics::{AtomicBool, AtomicU32, Ordering};
use roster::{Roster, Sleep};
use starts::{Start, Starts};
use stop::Stop;
use wake_flags::WakeFlags;

const CORES: usize = 3;

/// The kernel's side, and the interrupt of each core.
struct Kernel {
    flags: WakeFlags<CORES>,
    interrupts: [(Mutex<bool>, Condvar); CORES],
}

impl Kernel {
    fn new() -> Self {
        let flags = WakeFlags::new(std::array::from_fn(|_| AtomicBool::new(false)));
        Self { flags, interrupts: std::array::from_fn(|_| (Mutex::new(false), Condvar::new())) }
    }
}

/// The kernel as one core calls it.
struct Core<'k> {
    kernel: &'k Kernel,
    core: usize,
}

impl Sleep for Core<'_> {
    fn park(&self, word: &AtomicU32, expected: u32) {
        // `worker::park` and `calls::may_leave_park`: the look with interrupts masked, then a sleep that a pending interrupt ends.
        let (pending, arrived) = &self.kernel.interrupts[self.core];
        loop {
            let word = word.load(Ordering::Relaxed);
            if self.kernel.flags.take(self.core) || word != expected {
                return;
            }
            let mut pending = pending.lock().unwrap();
            while !*pending {
                pending = arrived.wait(pending).unwrap();
            }
            *pending = false;
        }
    }

    fn wake(&self, cores: u32) {
        self.kernel.flags.set(cores);
        for (core, (pending, arrived)) in self.kernel.interrupts.iter().enumerate() {
            if cores & (1 << core) != 0 {
                *pending.lock().unwrap() = true;
                arrived.notify_one();
            }
        }
    }
}

/// A team whose task is a number that core 0 writes and the others read.
struct Team {
    roster: Roster,
    task: UnsafeCell<u32>,
    done: AtomicU32,
    kernel: Kernel,
}

fn team() -> Arc<Team> {
    let roster = Roster::new(AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), 0);
    Arc::new(Team { roster, task: UnsafeCell::new(0), done: AtomicU32::new(0), kernel: Kernel::new() })
}

impl Team {
    /// What `compute::team::Team::work` does, for at most so many tasks.
    fn work(&self, core: usize, tasks: u32) {
        let sleep = Core { kernel: &self.kernel, core };
        let mut seen = 0;
        while seen < tasks {
            seen = self.roster.wait(&sleep, core, seen);
            if self.roster.join(core) {
                // SAFETY: loom checks that nobody writes meanwhile.
                let task = self.task.with(|task| unsafe { *task });
                assert!(task != 0, "a task that is open is there");
                self.done.fetch_add(1, Ordering::Relaxed);
                self.roster.leave(&sleep);
            }
        }
    }

    /// What `compute::team::Team::run` does; returns how often a core took part. That may be twice for one core: woken early it finds
    /// the task still open, and in the engine no tile left.
    fn run(&self, number: u32, others: u32) -> u32 {
        let sleep = Core { kernel: &self.kernel, core: 0 };
        // SAFETY: loom checks that nobody reads meanwhile.
        self.task.with_mut(|task| unsafe { *task = number });
        self.roster.open(&sleep, others);
        self.roster.close(&sleep);
        // SAFETY: as above; the task is over.
        self.task.with_mut(|task| unsafe { *task = 0 });
        self.done.swap(0, Ordering::Relaxed)
    }
}

/// Bounds the number of times that a thread is interrupted where the whole is too much; the README says which.
fn model(preemptions: Option<usize>, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(body);
}

#[test]
fn two_cores_share_two_tasks_and_nobody_sleeps_for_ever() {
    model(Some(3), || {
        let team = team();
        let worker = {
            let team = team.clone();
            thread::spawn(move || team.work(1, 2))
        };
        team.run(1, 1);
        team.run(2, 1);
        worker.join().unwrap();
    });
}

#[test]
fn three_cores_share_a_task() {
    model(Some(2), || {
        let team = team();
        let workers = [1, 2].map(|core| {
            let team = team.clone();
            thread::spawn(move || team.work(core, 1))
        });
        team.run(1, 2);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_core_that_is_not_wanted_stays_out() {
    model(Some(3), || {
        let team = team();
        let worker = {
            let team = team.clone();
            thread::spawn(move || team.work(2, 1))
        };
        assert_eq!(team.run(1, 1), 0);
        worker.join().unwrap();
    });
}

#[test]
fn a_wake_up_that_comes_before_the_sleep_is_not_lost() {
    model(None, || {
        let kernel = Arc::new(Kernel::new());
        let word = Arc::new(AtomicU32::new(0));
        let sleeper = {
            let (kernel, word) = (kernel.clone(), word.clone());
            thread::spawn(move || Core { kernel: &kernel, core: 1 }.park(&word, 0))
        };
        Core { kernel: &kernel, core: 0 }.wake(0b10);
        sleeper.join().unwrap();
    });
}

fn stop() -> Stop<u32, u32> {
    Stop::new(AtomicBool::new(false), atomics::Mutex::new(None), atomics::Mutex::new(None))
}

/// A timer that notices a deadline at the very moment at which core 0 stops the engine and starts it again: it ends the old run or nothing.
#[test]
fn a_late_look_at_a_deadline_does_not_stop_the_next_run() {
    model(None, || {
        let stop = Arc::new(stop());
        stop.expect_by(Some(7));
        let timer = {
            let stop = stop.clone();
            thread::spawn(move || stop.raise_if_due(|due| *due == 7, |due| due))
        };
        stop.ask();
        stop.end();
        timer.join().unwrap();
        assert!(!stop.is_asked() && stop.take_fault().is_none());
    });
}

/// Timers of two cores, and a third one that faults: one of them is told, and the stop is asked for.
#[test]
fn of_faults_at_the_same_time_one_is_kept() {
    model(Some(3), || {
        let stop = Arc::new(stop());
        stop.expect_by(Some(7));
        let timers = [1, 2].map(|core| {
            let stop = stop.clone();
            thread::spawn(move || stop.raise_if_due(|_| true, |due| 10 * core + due))
        });
        stop.raise(3);
        let noticed = timers.map(|timer| timer.join().unwrap());
        let fault = stop.take_fault().unwrap();
        assert!(stop.is_asked());
        assert!(fault == 3 || noticed[(fault / 10 - 1) as usize], "{fault} {noticed:?}");
        assert!(stop.take_fault().is_none());
    });
}

/// A core that hears of a start only when the next one is announced takes part once, with the cores of the start that it saw.
#[test]
fn a_core_takes_part_in_a_start_at_most_once() {
    model(None, || {
        let starts = Arc::new(Starts::new(AtomicU32::new(0)));
        let worker = {
            let starts = starts.clone();
            thread::spawn(move || {
                let (mut seen, mut runs) = (Start::NONE, 0);
                for _ in 0..3 {
                    let latest = starts.latest();
                    runs += u32::from(latest != seen && 1 < latest.cores());
                    seen = latest;
                }
                runs
            })
        };
        starts.announce(1);
        starts.announce(2);
        assert!(worker.join().unwrap() <= 1);
    });
}
