//! Feeds the board's watchdog from the kernel loop: if the loop hangs, the board is reset.
//!
//! A hanging engine does not get that far: its deadlines end it, and the loop goes on.

use crate::platform::Watchdog;

/// How long the loop may stay away.
pub const TIMEOUT_MS: u32 = 15_000;
const FEED_NS: u64 = 1_000_000_000;

/// The watchdog, if there is one, and when it is fed next.
pub struct Feeder {
    watchdog: Option<&'static dyn Watchdog>,
    next_feed_ns: u64,
}

impl Feeder {
    /// Nothing is armed before the first [`Self::feed`].
    #[must_use]
    pub const fn new(watchdog: Option<&'static dyn Watchdog>) -> Self {
        Self { watchdog, next_feed_ns: 0 }
    }

    /// Feeds it if a second has passed since the last time.
    pub fn feed(&mut self, now_ns: u64) {
        let Some(watchdog) = self.watchdog else { return };
        if now_ns >= self.next_feed_ns {
            self.next_feed_ns = now_ns.saturating_add(FEED_NS);
            watchdog.feed(TIMEOUT_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn it_is_armed_at_once_and_fed_once_a_second() {
        static FAKE: Fake = Fake { feeds: AtomicU32::new(0) };
        let mut feeder = Feeder::new(Some(&FAKE));
        assert_eq!(FAKE.feeds.load(Ordering::Relaxed), 0, "not before the loop runs");
        for milliseconds in (0..10_000).step_by(20) {
            feeder.feed(milliseconds * 1_000_000);
        }
        assert_eq!(FAKE.feeds.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn without_one_nothing_happens() {
        Feeder::new(None).feed(u64::MAX);
    }
}
