//! Whether the kernel is alive: its loop comes round, and every core takes its timer's interrupts.
//!
//! Pure. Each core looks at every tick of its timer: all of them at the loop, each at the ticks of its neighbour, so that no core can
//! hang unnoticed, core 0 included. What it finds ends in a fault report of the kernel and a reset ([`crate::interrupt`]). The
//! hardware's watchdog stands behind that: it is fed from core 0's tick, and only while all of this holds ([`crate::watchdog`]).

use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How long the loop or a core may be away, in nanoseconds. Less than the hardware's watchdog waits, so that there is a report.
pub const AWAY_MAX_NS: u64 = 10_000_000_000;
/// The most that a look adds to what a core has waited: a machine that stood still as a whole (an emulator that was stopped) was not
/// away.
const LOOK_MAX_NS: u64 = 100_000_000;

/// What does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The kernel's loop.
    Loop,
    /// The timer of a core.
    Core(usize),
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = AWAY_MAX_NS / 1_000_000_000;
        match self {
            Self::Loop => write!(formatter, "the kernel's loop has not come round for {seconds} s"),
            Self::Core(core) => write!(formatter, "core {core} has taken no timer interrupt for {seconds} s"),
        }
    }
}

/// A count that another core should change, and how long it did not.
struct Watch {
    seen: AtomicU64,
    waited_ns: AtomicU64,
}

impl Watch {
    const fn new() -> Self {
        Self { seen: AtomicU64::new(0), waited_ns: AtomicU64::new(0) }
    }

    /// Whether the count has been the same for too long. Called by one core.
    fn is_stalled(&self, count: u64, since_ns: u64) -> bool {
        let is_same = self.seen.swap(count, Ordering::Relaxed) == count;
        let waited_ns = if is_same { self.waited_ns.load(Ordering::Relaxed).saturating_add(since_ns) } else { 0 };
        self.waited_ns.store(waited_ns, Ordering::Relaxed);
        waited_ns > AWAY_MAX_NS
    }
}

/// What each core counts and sees.
pub struct Liveness<const CORES: usize> {
    /// Cores that are watched; 0 before the loop begins.
    cores: AtomicUsize,
    /// Rounds of the loop, and what else shows that it goes on.
    beats: AtomicU64,
    ticks: [AtomicU64; CORES],
    /// When each core looked last, in nanoseconds since start.
    looked_ns: [AtomicU64; CORES],
    /// What each core executed when its timer interrupted it last.
    interrupted_at: [AtomicU64; CORES],
    loop_watches: [Watch; CORES],
    neighbour_watches: [Watch; CORES],
}

impl<const CORES: usize> Liveness<CORES> {
    /// Nothing is watched yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            cores: AtomicUsize::new(0),
            beats: AtomicU64::new(0),
            ticks: [const { AtomicU64::new(0) }; CORES],
            looked_ns: [const { AtomicU64::new(0) }; CORES],
            interrupted_at: [const { AtomicU64::new(0) }; CORES],
            loop_watches: [const { Watch::new() }; CORES],
            neighbour_watches: [const { Watch::new() }; CORES],
        }
    }

    /// The loop begins: from now on it and these cores are watched.
    pub fn start(&self, cores: usize) {
        self.cores.store(cores.min(CORES), Ordering::Relaxed);
    }

    /// Nothing is watched any more: the machine is about to stop.
    pub fn stop(&self) {
        self.cores.store(0, Ordering::Relaxed);
    }

    /// The loop goes on.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// A core's timer interrupted it at `pc`; what it finds that does not go on.
    pub fn tick(&self, core: usize, pc: u64, now_ns: u64) -> Option<Stall> {
        let cores = self.cores.load(Ordering::Relaxed);
        self.ticks.get(core)?.fetch_add(1, Ordering::Relaxed);
        self.interrupted_at[core].store(pc, Ordering::Relaxed);
        let looked_ns = self.looked_ns[core].swap(now_ns, Ordering::Relaxed);
        if core >= cores {
            return None;
        }
        let since_ns = now_ns.saturating_sub(looked_ns).min(LOOK_MAX_NS);
        let neighbour = (core + 1) % cores;
        let ticks = self.ticks[neighbour].load(Ordering::Relaxed);
        let is_neighbour_away = self.neighbour_watches[core].is_stalled(ticks, since_ns) && neighbour != core;
        let is_loop_away = self.loop_watches[core].is_stalled(self.beats.load(Ordering::Relaxed), since_ns);
        if is_neighbour_away { Some(Stall::Core(neighbour)) } else { is_loop_away.then_some(Stall::Loop) }
    }

    /// What each core executed when its timer interrupted it last.
    #[must_use]
    pub fn interrupted_at(&self) -> [u64; CORES] {
        core::array::from_fn(|core| self.interrupted_at[core].load(Ordering::Relaxed))
    }

    /// Beats of the loop and ticks of the watched cores until now.
    #[must_use]
    pub fn counts(&self) -> Counts<CORES> {
        Counts {
            cores: self.cores.load(Ordering::Relaxed),
            beats: self.beats.load(Ordering::Relaxed),
            ticks: core::array::from_fn(|core| self.ticks[core].load(Ordering::Relaxed)),
        }
    }
}

impl<const CORES: usize> Default for Liveness<CORES> {
    fn default() -> Self {
        Self::new()
    }
}

/// See [`Liveness::counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<const CORES: usize> {
    cores: usize,
    beats: u64,
    ticks: [u64; CORES],
}

impl<const CORES: usize> Counts<CORES> {
    /// Nothing was counted.
    #[must_use]
    pub const fn none() -> Self {
        Self { cores: 0, beats: 0, ticks: [0; CORES] }
    }

    /// Whether the loop and every watched core went on since `earlier`.
    #[must_use]
    pub fn all_went_on_since(&self, earlier: &Self) -> bool {
        let have_ticked = self.ticks.iter().zip(&earlier.ticks).take(self.cores).all(|(now, before)| now != before);
        self.cores > 0 && self.beats != earlier.beats && have_ticked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_NS: u64 = 50_000_000;

    /// Ticks of all cores until one finds something, at most a minute; what and when.
    fn run(liveness: &Liveness<4>, beats: bool, is_ticking: impl Fn(usize) -> bool) -> Option<(usize, Stall, u64)> {
        for now_ns in (TICK_NS..60_000_000_000).step_by(TICK_NS as usize) {
            if beats {
                liveness.beat();
            }
            for core in (0..4).filter(|core| is_ticking(*core)) {
                if let Some(stall) = liveness.tick(core, 0x1000 + core as u64, now_ns) {
                    return Some((core, stall, now_ns));
                }
            }
        }
        None
    }

    fn started() -> Liveness<4> {
        let liveness = Liveness::new();
        liveness.start(4);
        liveness
    }

    #[test]
    fn all_is_well_while_loop_and_timers_go_on() {
        assert_eq!(run(&started(), true, |_| true), None);
    }

    #[test]
    fn before_the_loop_begins_and_after_it_ends_nothing_is_watched() {
        assert_eq!(run(&Liveness::new(), false, |core| core != 2), None);
        let stopped = started();
        stopped.stop();
        assert_eq!(run(&stopped, false, |_| true), None);
    }

    #[test]
    fn a_loop_that_hangs_is_noticed_with_and_without_core_0s_timer() {
        let (core, stall, at_ns) = run(&started(), false, |_| true).unwrap();
        assert_eq!((core, stall), (0, Stall::Loop));
        assert!((AWAY_MAX_NS..AWAY_MAX_NS + 4 * TICK_NS).contains(&at_ns), "{at_ns}");
        let (core, stall, _) = run(&started(), false, |core| core != 0).unwrap();
        assert_eq!((core, stall), (1, Stall::Loop), "interrupts of core 0 are masked");
    }

    #[test]
    fn a_core_that_hangs_is_noticed_by_its_neighbour() {
        for hanging in 0..4 {
            let (core, stall, at_ns) = run(&started(), true, |core| core != hanging).unwrap();
            assert_eq!((core, stall), ((hanging + 3) % 4, Stall::Core(hanging)));
            assert!(at_ns < AWAY_MAX_NS + 4 * TICK_NS);
        }
    }

    #[test]
    fn cores_that_were_not_started_are_not_missed() {
        for cores in 1..4 {
            let liveness = Liveness::<4>::new();
            liveness.start(cores);
            assert_eq!(run(&liveness, true, |core| core < cores), None);
        }
    }

    #[test]
    fn a_machine_that_stood_still_was_not_away() {
        let liveness = started();
        for hour in 1..100 {
            for core in 0..4 {
                assert_eq!(liveness.tick(core, 0, hour * 3_600_000_000_000), None);
            }
        }
    }

    #[test]
    fn the_counts_tell_whether_all_went_on() {
        let liveness = started();
        let before = liveness.counts();
        assert!(!before.all_went_on_since(&Counts::none()));
        liveness.beat();
        (0..3).for_each(|core| assert_eq!(liveness.tick(core, 0x1000 + core as u64, 1), None));
        assert!(!liveness.counts().all_went_on_since(&before), "core 3 did not tick");
        assert_eq!(liveness.tick(3, 0x1003, 1), None);
        assert!(liveness.counts().all_went_on_since(&before));
        assert_eq!(liveness.interrupted_at(), [0x1000, 0x1001, 0x1002, 0x1003]);
    }
}
