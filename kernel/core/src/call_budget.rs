//! How many system calls the engine may make: enough for the work it has, not enough to flood the kernel.
//!
//! Pure. Calls cost units; what is granted follows from the kernel's own knowledge of the work. `park` and `wake` are cheap,
//! because a barrier of the cores makes a few of each; but a call that is refused costs as much as any other.

use core::sync::atomic::{AtomicI64, Ordering};

use barellama_abi::syscall::Call;

/// For reading and preparing a model: SmolLM2 with its 272 tensors takes about 5,000 units.
pub const PREPARATION_UNITS: i64 = 16 << 20;
/// Without work: the cores come to rest.
pub const IDLE_UNITS: i64 = 1 << 20;
/// What a refusal costs besides the call.
const REFUSAL_UNITS: i64 = 15;
/// For a request, whatever its length.
const REQUEST_UNITS: i64 = 4 << 20;
/// For each token: 80 layers with a progress report and 32 calls for barriers, and as much again four times over.
const TOKEN_UNITS: i64 = 16 << 10;
/// Tokens that are reckoned with when a request says "as many as the context holds".
const TOKENS_UNLIMITED: u32 = 8192;

/// Units that a call costs.
#[must_use]
pub const fn cost(call: Call) -> i64 {
    match call {
        Call::Park | Call::Wake => 1,
        _ => 16,
    }
}

/// Units for a request of so many bytes, each of which may be a token, that may generate `max_tokens`.
#[must_use]
pub fn for_request(bytes: usize, max_tokens: u32) -> i64 {
    let generated = if max_tokens == 0 { TOKENS_UNLIMITED } else { max_tokens };
    let tokens = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_add(i64::from(generated));
    REQUEST_UNITS.saturating_add(tokens.saturating_mul(TOKEN_UNITS))
}

/// The units that are left, shared by all cores.
pub struct Budget {
    units: AtomicI64,
}

impl Budget {
    /// Nothing is left.
    #[must_use]
    pub const fn new() -> Self {
        Self { units: AtomicI64::new(0) }
    }

    /// Sets what is left.
    pub fn set(&self, units: i64) {
        self.units.store(units, Ordering::Relaxed);
    }

    /// Adds what another request needs.
    pub fn add(&self, units: i64) {
        // Fails only if the closure returns `None`, which it does not.
        let _ = self.units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_add(units)));
    }

    /// Pays for a call. `false` if nothing was left.
    pub fn pay(&self, call: Call) -> bool {
        // Cannot wrap: a core that could not pay does not go on.
        self.units.fetch_sub(cost(call), Ordering::Relaxed) > 0
    }

    /// Takes what a refused call costs besides. Whether it was there shows at the next call.
    pub fn fine(&self) {
        self.units.fetch_sub(REFUSAL_UNITS, Ordering::Relaxed);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_paid_until_nothing_is_left() {
        let budget = Budget::new();
        assert!(!budget.pay(Call::Clock), "nothing was granted");
        budget.set(17);
        assert!(budget.pay(Call::Clock));
        assert!(budget.pay(Call::Park));
        assert!(!budget.pay(Call::Park));
        budget.add(100);
        assert!(budget.pay(Call::Emit));
        budget.set(17);
        budget.fine();
        assert!(
            budget.pay(Call::Park) && budget.pay(Call::Park) && !budget.pay(Call::Park),
            "a refusal costs 15 units"
        );
    }

    #[test]
    fn a_request_gets_by_its_length() {
        assert!(for_request(0, 1) > REQUEST_UNITS);
        assert_eq!(for_request(100, 16) - for_request(100, 15), TOKEN_UNITS);
        assert_eq!(for_request(0, 0), for_request(0, TOKENS_UNLIMITED));
        assert_eq!(for_request(usize::MAX, u32::MAX), i64::MAX, "nothing wraps");
    }

    #[test]
    fn a_token_of_the_deepest_model_fits_its_share() {
        const LAYERS: i64 = 80;
        const BARRIERS: i64 = 8;
        let calls = LAYERS * (cost(Call::Progress) + BARRIERS * 4 * (cost(Call::Park) + cost(Call::Wake)));
        assert!(calls + cost(Call::Emit) <= TOKEN_UNITS);
    }
}
