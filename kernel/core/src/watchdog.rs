//! Feeds the board's watchdog from core 0's timer, but only while the kernel's loop and the timers of all cores go on: if one of them
//! hangs, the board is reset, whether or not the kernel can still say why.
//!
//! A hanging engine does not get that far: its deadlines end it, and the loop goes on.

use crate::liveness::Counts;
use crate::platform::Watchdog;

/// How long something may stay away.
pub const TIMEOUT_MS: u32 = 15_000;
const FEED_NS: u64 = 1_000_000_000;

/// The watchdog, if there is one, and what was counted when it was fed last.
pub struct Feeder<const CORES: usize> {
    watchdog: Option<&'static dyn Watchdog>,
    next_feed_ns: u64,
    counts: Counts<CORES>,
}

impl<const CORES: usize> Feeder<CORES> {
    /// Nothing is armed before the first [`Self::feed`].
    #[must_use]
    pub const fn new(watchdog: Option<&'static dyn Watchdog>) -> Self {
        Self { watchdog, next_feed_ns: 0, counts: Counts::none() }
    }

    /// Feeds it if a second has passed since the last time and all went on since then.
    pub fn feed(&mut self, counts: Counts<CORES>, now_ns: u64) {
        let Some(watchdog) = self.watchdog else { return };
        if now_ns >= self.next_feed_ns && counts.all_went_on_since(&self.counts) {
            self.next_feed_ns = now_ns.saturating_add(FEED_NS);
            self.counts = counts;
            watchdog.feed(TIMEOUT_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::Liveness;
    use core::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Fake {
        feeds: AtomicU32,
    }

    impl Watchdog for Fake {
        fn feed(&self, timeout_ms: u32) -> u32 {
            assert_eq!(timeout_ms, 15_000);
            self.feeds.fetch_add(1, Ordering::Relaxed);
            timeout_ms
        }
    }

    /// Feeds in ten seconds of two cores, of which some parts go on.
    fn feeds(fake: &'static Fake, beats: bool, ticking: [bool; 2]) -> u32 {
        let liveness = Liveness::<2>::new();
        let mut feeder = Feeder::new(Some(fake));
        feeder.feed(liveness.counts(), 0);
        assert_eq!(fake.feeds.load(Ordering::Relaxed), 0, "not before the loop runs");
        liveness.start(2);
        for now_ns in (0..10_000_000_000).step_by(50_000_000) {
            if beats {
                liveness.beat();
            }
            (0..2).filter(|core| ticking[*core]).for_each(|core| assert_eq!(liveness.tick(core, 0, now_ns), None));
            feeder.feed(liveness.counts(), now_ns);
        }
        fake.feeds.load(Ordering::Relaxed)
    }

    #[test]
    fn it_is_armed_at_once_and_fed_once_a_second() {
        static FAKE: Fake = Fake { feeds: AtomicU32::new(0) };
        assert_eq!(feeds(&FAKE, true, [true, true]), 10);
    }

    #[test]
    fn it_is_not_fed_while_the_loop_or_a_core_hangs() {
        static FAKE: Fake = Fake { feeds: AtomicU32::new(0) };
        assert_eq!(feeds(&FAKE, false, [true, true]), 0);
        assert_eq!(feeds(&FAKE, true, [true, false]), 0);
        assert_eq!(feeds(&FAKE, true, [false, true]), 0);
    }

    #[test]
    fn without_one_nothing_happens() {
        Feeder::<2>::new(None).feed(Counts::none(), u64::MAX);
    }
}
