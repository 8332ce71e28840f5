//! So many lines a second and no more: what the engine can cause to be logged must not push everything else out of the ring.
//!
//! Pure.

const SECOND_NS: u64 = 1_000_000_000;

/// Counts events by seconds.
pub struct RateLimit {
    per_second: u32,
    second: u64,
    taken: u32,
    dropped: u64,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be logged; so many were dropped before it.
    Log {
        /// How many since the last one that was logged.
        dropped: u64,
    },
    /// It is one too many.
    Drop,
}

impl RateLimit {
    /// At most `per_second` events a second.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, second: 0, taken: 0, dropped: 0 }
    }

    /// Judges an event.
    pub fn judge(&mut self, now_ns: u64) -> Verdict {
        let second = now_ns / SECOND_NS;
        if second != self.second {
            (self.second, self.taken) = (second, 0);
        }
        if self.taken >= self.per_second {
            self.dropped = self.dropped.saturating_add(1);
            return Verdict::Drop;
        }
        self.taken += 1;
        Verdict::Log { dropped: core::mem::take(&mut self.dropped) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let mut limit = RateLimit::new(2);
        assert_eq!(limit.judge(5), Verdict::Log { dropped: 0 });
        assert_eq!(limit.judge(6), Verdict::Log { dropped: 0 });
        assert_eq!(limit.judge(7), Verdict::Drop);
        assert_eq!(limit.judge(8), Verdict::Drop);
        assert_eq!(limit.judge(SECOND_NS), Verdict::Log { dropped: 2 });
        assert_eq!(limit.judge(SECOND_NS + 1), Verdict::Log { dropped: 0 });
    }
}
