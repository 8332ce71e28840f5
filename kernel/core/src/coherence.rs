//! Messages between two cores through memory, without a lock: whether their caches are coherent and exclusive accesses work.
//!
//! The words of a message lie in another cache line than the flag that announces it. Where caches are not coherent, or a flag
//! overtakes its words, the receiver sees old words or waits for ever. Then both cores count on one word, each as fast as it can:
//! an exclusive store that succeeds when it must not loses a count.

use core::sync::atomic::{AtomicU32, Ordering};

use barellama_shell::self_test::ExchangeFacts;

/// The most messages of an exchange: their number has 16 bits.
pub const MESSAGES_MAX: u32 = 0xFFFF;
const WORDS: usize = 4;
const CORE_BITS: u32 = 0xFFFF;

/// A cache line of its own, on every core that boards have.
#[repr(align(64))]
struct Line<T>(T);

/// Words and the flag that says that they are there.
struct Channel {
    words: Line<[AtomicU32; WORDS]>,
    flag: Line<AtomicU32>,
}

impl Channel {
    const fn new() -> Self {
        Self { words: Line([const { AtomicU32::new(0) }; WORDS]), flag: Line(AtomicU32::new(0)) }
    }

    fn send(&self, stamp: u32) {
        for (index, word) in self.words.0.iter().enumerate() {
            word.store(contents(stamp, index), Ordering::Relaxed);
        }
        // Release: whoever sees the flag sees the words.
        self.flag.0.store(stamp, Ordering::Release);
    }

    /// Whether the message of that stamp is whole; `None` before it is there.
    fn receive(&self, stamp: u32) -> Option<bool> {
        // Acquire: the words are read after the flag.
        if self.flag.0.load(Ordering::Acquire) != stamp {
            return None;
        }
        let mut words = self.words.0.iter().enumerate();
        Some(words.all(|(index, word)| word.load(Ordering::Relaxed) == contents(stamp, index)))
    }
}

/// Different in every message and word.
const fn contents(stamp: u32, index: usize) -> u32 {
    stamp.wrapping_mul(0x9E37_79B9) ^ index as u32
}

/// What the two cores share.
pub struct Exchange {
    /// The core that is invited, and in the upper half the number of the invitation; 0: nobody.
    invitation: AtomicU32,
    /// The last invitation that was followed.
    followed: AtomicU32,
    wanted: AtomicU32,
    there: Channel,
    back: Channel,
    /// Messages that came torn to the invited core.
    torn_there: AtomicU32,
    counter: Line<AtomicU32>,
    /// The invitation whose counting is over. Apart from the channels: the last reply must stay until core 0 has seen it.
    counted: Line<AtomicU32>,
}

/// How a core waits for the other one.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Whether it has waited long enough.
    pub is_over: &'a dyn Fn() -> bool,
    /// Lets the other core go first.
    pub pause: fn(),
}

impl Patience<'_> {
    fn wait<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(value) = ready() {
                return Some(value);
            }
            if (self.is_over)() {
                return None;
            }
            (self.pause)();
        }
    }
}

impl Exchange {
    /// Nobody is invited.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            invitation: AtomicU32::new(0),
            followed: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            there: Channel::new(),
            back: Channel::new(),
            torn_there: AtomicU32::new(0),
            counter: Line(AtomicU32::new(0)),
            counted: Line(AtomicU32::new(0)),
        }
    }

    /// Invites `core` (not 0), calls `wake` so that it looks, and exchanges `wanted` messages with it.
    pub fn lead(&self, core: u16, wanted: u32, patience: Patience<'_>, wake: impl FnOnce()) -> ExchangeFacts {
        let wanted = wanted.clamp(1, MESSAGES_MAX);
        let number = (self.followed.load(Ordering::Relaxed) >> 16).wrapping_add(1) & CORE_BITS;
        let mut facts = ExchangeFacts { wanted, to_count: 2 * wanted, ..ExchangeFacts::default() };
        self.counter.0.store(0, Ordering::Relaxed);
        self.torn_there.store(0, Ordering::Relaxed);
        self.wanted.store(wanted, Ordering::Relaxed);
        // Release: the core that sees the invitation sees the stores above.
        self.invitation.store(number << 16 | u32::from(core), Ordering::Release);
        wake();
        self.exchange_messages(number, patience, &mut facts);
        self.invitation.store(0, Ordering::Release);
        facts.torn += self.torn_there.load(Ordering::Relaxed);
        facts.counted = self.counter.0.load(Ordering::Relaxed);
        facts
    }

    fn exchange_messages(&self, number: u32, patience: Patience<'_>, facts: &mut ExchangeFacts) {
        for message in 1..=facts.wanted {
            let stamp = number << 16 | message;
            self.there.send(stamp);
            let Some(is_whole) = patience.wait(|| self.back.receive(stamp)) else { return };
            facts.has_answered = true;
            facts.messages = message;
            facts.torn += u32::from(!is_whole);
        }
        self.count(facts.wanted);
        let invitation = self.invitation.load(Ordering::Relaxed);
        // Acquire: whoever sees that the other core has counted sees its counts. Running out of patience shows in the count.
        let _ = patience.wait(|| (self.counted.0.load(Ordering::Acquire) == invitation).then_some(()));
    }

    /// Follows an invitation of this core, if there is a new one. Returns whether there was.
    pub fn follow(&self, core: u16, patience: Patience<'_>) -> bool {
        let invitation = self.invitation.load(Ordering::Acquire);
        if invitation == 0
            || invitation & CORE_BITS != u32::from(core)
            || self.followed.load(Ordering::Relaxed) == invitation
        {
            return false;
        }
        self.followed.store(invitation, Ordering::Relaxed);
        let wanted = self.wanted.load(Ordering::Relaxed);
        let number = invitation & !CORE_BITS;
        let is_over = || (patience.is_over)() || self.invitation.load(Ordering::Relaxed) != invitation;
        let patience = Patience { is_over: &is_over, pause: patience.pause };
        for message in 1..=wanted {
            let stamp = number | message;
            let Some(is_whole) = patience.wait(|| self.there.receive(stamp)) else { return true };
            if !is_whole {
                self.torn_there.fetch_add(1, Ordering::Relaxed);
            }
            self.back.send(stamp);
        }
        self.count(wanted);
        // Release: the counts come first.
        self.counted.0.store(invitation, Ordering::Release);
        true
    }

    fn count(&self, times: u32) {
        for _ in 0..times {
            self.counter.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::time::{Duration, Instant};

    fn patience(is_over: &dyn Fn() -> bool) -> Patience<'_> {
        Patience { is_over, pause: std::thread::yield_now }
    }

    #[test]
    fn two_cores_exchange_and_count() {
        let exchange = Exchange::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_over = || Instant::now() > deadline;
        for round in 0..3 {
            std::thread::scope(|scope| {
                scope.spawn(|| while !exchange.follow(2, patience(&|| false)) {});
                let facts = exchange.lead(2, 50, patience(&is_over), || {});
                assert!(facts.is_good() && !facts.is_broken(), "round {round}: {facts:?}");
            });
        }
    }

    #[test]
    fn a_core_that_does_not_come_is_told() {
        let exchange = Exchange::new();
        let facts = exchange.lead(1, 10, patience(&|| true), || {});
        assert!(!facts.has_answered && !facts.is_good() && !facts.is_broken());
        assert!(!exchange.follow(1, patience(&|| true)), "the invitation is over");
        assert!(!exchange.follow(0, patience(&|| true)), "core 0 is never invited");
    }

    #[test]
    fn other_cores_are_not_meant() {
        let exchange = Exchange::new();
        let facts = exchange.lead(1, 10, patience(&|| true), || assert!(!exchange.follow(3, patience(&|| true))));
        assert!(!facts.has_answered);
    }
}
