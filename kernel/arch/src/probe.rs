//! What a processor says of itself, and whether it does what the kernel relies on: for the self-test.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::{image, mmu};
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{DAIF, PAR_EL1, Readable, VBAR_EL1};
use barellama_abi::layout::CORES_MAX;

/// The largest block that `dc zva` can zero (DCZID_EL0.BS = 9), in bytes.
const ZERO_BLOCK_BYTES_MAX: usize = 2048;
/// Additions of one round of [`add_in_a_chain`].
pub const CHAIN_ADDITIONS: u64 = 64;
/// Guard words at the low end of a stack, in bytes.
pub(crate) const GUARD_BYTES: usize = 32;
const FILLING: u8 = 0xA5;

/// Sizes of cache lines by CTR_EL0: (data, instructions), the smallest of all levels, in bytes.
#[must_use]
pub fn cache_line_bytes() -> (u32, u32) {
    let cache_type: u64;
    // SAFETY: reads an identification register.
    unsafe { core::arch::asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack, preserves_flags)) };
    (4 << (cache_type >> 16 & 0xF), 4 << (cache_type & 0xF))
}

/// Bytes that `dc zva` zeroes by DCZID_EL0; `None` where it is forbidden.
#[must_use]
pub fn zero_block_bytes() -> Option<usize> {
    let id: u64;
    // SAFETY: reads an identification register.
    unsafe { core::arch::asm!("mrs {}, dczid_el0", out(reg) id, options(nomem, nostack, preserves_flags)) };
    (id & 1 << 4 == 0).then_some(4 << (id & 0xF))
}

/// Whether `dc zva` zeroes exactly its block; `None` where it is forbidden or its block is larger than any that exists.
#[must_use]
pub fn zero_block_is_exact() -> Option<bool> {
    #[repr(C, align(2048))]
    struct Blocks([AtomicU8; 2 * ZERO_BLOCK_BYTES_MAX]);
    static BLOCKS: Blocks = Blocks([const { AtomicU8::new(0) }; 2 * ZERO_BLOCK_BYTES_MAX]);

    let bytes = zero_block_bytes().filter(|bytes| *bytes <= ZERO_BLOCK_BYTES_MAX)?;
    for byte in &BLOCKS.0 {
        byte.store(FILLING, Ordering::Relaxed);
    }
    // SAFETY: the block lies within `BLOCKS`, which is aligned to the largest block and consists of atomics: any write is allowed.
    unsafe { core::arch::asm!("dc zva, {}", in(reg) BLOCKS.0.as_ptr(), options(nostack, preserves_flags)) };
    let is_as_expected =
        |(at, byte): (usize, &AtomicU8)| byte.load(Ordering::Relaxed) == if at < bytes { 0 } else { FILLING };
    Some(BLOCKS.0.iter().enumerate().all(is_as_expected))
}

/// The memory type that a kernel's load from `address` would use, as a MAIR attribute byte (Arm ARM D24.2.119, PAR_EL1.ATTR);
/// `None` if the address is not mapped.
#[must_use]
pub fn memory_attribute(address: usize) -> Option<u8> {
    // SAFETY: translates an address for reading; no memory is accessed, only PAR_EL1 is written.
    unsafe { core::arch::asm!("at s1e1r, {}", in(reg) address, options(nostack, preserves_flags)) };
    // The result is there after a context synchronization (Arm ARM D8.13.1).
    barrier::isb(barrier::SY);
    let result = PAR_EL1.get();
    (result & 1 == 0).then_some((result >> 56) as u8)
}

/// The memory type of the kernel's own data.
#[must_use]
pub fn kernel_data_attribute() -> Option<u8> {
    memory_attribute(mmu::TABLES.as_ptr().addr())
}

/// Whether a late error of the bus would be reported on this core at once: PSTATE.A is clear.
#[must_use]
pub fn is_serror_reported() -> bool {
    !DAIF.is_set(DAIF::A)
}

/// Whether the vectors of this core are the kernel's own.
#[must_use]
pub fn has_own_vectors() -> bool {
    let text = image::text();
    text.as_ptr_range().contains(&(VBAR_EL1.get() as *const u8))
}

/// Executes `rounds` times [`CHAIN_ADDITIONS`] additions of which each waits for the one before: one cycle each on every Cortex-A
/// that boards have ("Cortex-A72 Software Optimization Guide" 3.3; the Cortex-A53's pipeline has one cycle too).
pub fn add_in_a_chain(rounds: u32) {
    // SAFETY: only the two registers change, and the flags.
    unsafe {
        core::arch::asm!(
            "2:",
            ".rept 64",
            "add {sum}, {sum}, #1",
            ".endr",
            "subs {left}, {left}, #1",
            "b.ne 2b",
            sum = inout(reg) 0_u64 => _,
            left = inout(reg) u64::from(rounds.max(1)) => _,
            options(nomem, nostack),
        );
    }
}

/// Lets other cores (or an emulator's other threads) go first for a moment, in a loop that waits for one of them.
pub fn yield_now() {
    // SAFETY: a hint.
    unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
}

/// Writes guard words at the low ends of this core's EL1 and emergency stacks. Called once by each core, near the top of its stack:
/// what a stack that is almost used up overwrites is found by [`guard_words_are_intact`], long before it reaches the unmapped page
/// below.
pub fn write_guard_words(core: usize) {
    for address in guard_words(core) {
        // SAFETY: the words at the low end of the core's own stacks, which it does not use: it is near the top.
        unsafe { (address as *mut u64).write_volatile(guard_word(address)) };
    }
}

/// Whether the guard words of a core that wrote them are as it wrote them.
#[must_use]
pub fn guard_words_are_intact(core: usize) -> bool {
    // SAFETY: mapped words of a core's stacks; it may change them meanwhile, the read is volatile and only compared.
    guard_words(core).all(|address| unsafe { (address as *const u64).read_volatile() } == guard_word(address))
}

fn guard_words(core: usize) -> impl Iterator<Item = usize> {
    let core = core.min(CORES_MAX - 1);
    let stacks = [image::stack(core).0, image::emergency_stack(core).0];
    stacks.into_iter().flat_map(|low| (low..low + GUARD_BYTES).step_by(8))
}

/// Never zero, and another one at every address.
const fn guard_word(address: usize) -> u64 {
    0x4755_4152_4400_0000_u64 ^ (address as u64).rotate_left(7)
}
