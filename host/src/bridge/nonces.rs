//! Numbers that no host has said before.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// A source of nonces.
#[derive(Debug)]
pub(super) struct Nonces(u64);

impl Nonces {
    /// One that starts at random: the standard library's hash keys, the time and the process make it so.
    pub fn from_system() -> Self {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(RandomState::new().hash_one((time, std::process::id())))
    }

    /// The next one; never 0, which means that there is no session.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1).max(1);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ_and_are_not_zero() {
        assert_ne!(Nonces::from_system().next(), Nonces::from_system().next());
        let mut nonces = Nonces(u64::MAX - 1);
        assert_eq!([nonces.next(), nonces.next(), nonces.next()], [u64::MAX, 1, 2]);
    }
}
