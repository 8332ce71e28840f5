//! Memory that changes between the kernel's check and its use: another core rewrites a text while it is emitted.

use core::sync::atomic::{AtomicU64, Ordering};

use barellama_abi::syscall::{Call, CallError, EmitKind};

use crate::state::Text;

const WORDS: usize = 8;
const GOOD: u64 = u64::from_le_bytes(*b"goodgood");
/// No UTF-8, and an escape sequence within.
const BAD: u64 = u64::from_le_bytes(*b"\xFF\xFE\x1B[2J\x1B\xC0");
const ROUNDS: u32 = 400;

static TEXT: [AtomicU64; WORDS] = [const { AtomicU64::new(GOOD) }; WORDS];

/// What the other core does for ever.
pub fn rewrite() -> ! {
    loop {
        for value in [GOOD, BAD] {
            TEXT.iter().for_each(|word| word.store(value, Ordering::Relaxed));
        }
    }
}

/// Emits the text again and again; how often the kernel took it and how often it refused.
pub fn emit(id: u32) -> Text {
    let (mut taken, mut refused, mut other) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let arguments = [u64::from(id), EmitKind::Json as u64, TEXT.as_ptr() as u64, size_of_val(&TEXT) as u64];
        let (result, _) = barellama_el0::call(Call::Emit as u64, arguments);
        match CallError::from_register(result) {
            None => taken += 1,
            Some(CallError::BadArgument) => refused += 1,
            Some(_) => other += 1,
        }
    }
    Text::of(format_args!("\ntaken {taken}, refused {refused}, other {other}, all {}", taken + refused + other))
}
