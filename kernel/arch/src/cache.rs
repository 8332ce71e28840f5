//! Cache maintenance by virtual address. Every operation ends with the barrier that makes it complete before later accesses.

use aarch64_cpu::asm::barrier;

/// Cleans to the point of coherency: afterwards masters and cores with caches off see what was written before.
///
/// On a Cortex-A53 a clean also invalidates (erratum 855873, set at boot), which changes nothing for callers.
pub fn clean(address: usize, bytes: usize) {
    for line in lines(address, bytes) {
        // SAFETY: a clean changes no memory that the program can see; the line is mapped (the caller's own object).
        unsafe { core::arch::asm!("dc cvac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    barrier::dsb(barrier::SY);
}

/// Cleans and invalidates to the point of coherency: what was written before is in memory, later reads come from there.
///
/// For a buffer that a master fills: call it before the master starts, so that no dirty line is written over its data, and again
/// before the first read, because lines may have been fetched speculatively meanwhile.
pub fn clean_invalidate(address: usize, bytes: usize) {
    // Orders the maintenance behind the register read that told that the master has finished: maintenance of other addresses is
    // not ordered behind a load (Arm ARM D7.5.9).
    barrier::dsb(barrier::SY);
    for line in lines(address, bytes) {
        // SAFETY: as for `clean`; an invalidated line was written back first.
        unsafe { core::arch::asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    barrier::dsb(barrier::SY);
}

/// Drops cached copies: later reads come from memory.
///
/// # Safety
/// Whole lines are dropped: `address` and `bytes` must be multiples of the line (64 bytes), so that no neighbour's write is lost,
/// and what the program itself wrote there must be worthless.
pub unsafe fn invalidate(address: usize, bytes: usize) {
    for line in lines(address, bytes) {
        // SAFETY: the caller owns whole lines and gives up what it wrote there.
        unsafe { core::arch::asm!("dc ivac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    barrier::dsb(barrier::SY);
}

/// Makes instructions that were written through any mapping executable on all cores: data to the point of unification, then all
/// instruction caches of the inner shareable domain. Another core needs an exception return (or `isb`) before it runs them.
pub fn sync_instructions(address: usize, bytes: usize) {
    for line in lines(address, bytes) {
        // SAFETY: as for `clean`, to the point of unification.
        unsafe { core::arch::asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    barrier::dsb(barrier::ISH);
    // SAFETY: instruction caches hold copies only.
    unsafe { core::arch::asm!("ic ialluis", options(nostack, preserves_flags)) };
    barrier::dsb(barrier::ISH);
    barrier::isb(barrier::SY);
}

/// The addresses of the cache lines that a range touches. The line length is CTR_EL0.DminLine (log2 of words).
fn lines(address: usize, bytes: usize) -> impl Iterator<Item = usize> {
    let cache_type: usize;
    // SAFETY: reads an identification register.
    unsafe { core::arch::asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack, preserves_flags)) };
    let line_bytes = 4usize << ((cache_type >> 16) & 0xF);
    let first = address & !(line_bytes - 1);
    (first..address.saturating_add(bytes)).step_by(line_bytes)
}
