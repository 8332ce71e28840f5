//! Where memory that is mapped lies physically, for bus masters.

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{PAR_EL1, Readable};

const PAGE: usize = 4096;
/// PAR_EL1.F: the translation failed.
const FAULT: u64 = 1;
/// PAR_EL1.PA, bits 47:12.
const PHYSICAL_PAGE: u64 = 0x0000_FFFF_FFFF_F000;

/// Physical address of bytes that lie next to each other there too; `None` if they do not, or are not mapped.
#[must_use]
pub fn contiguous_physical(bytes: &[u8]) -> Option<u64> {
    let address = bytes.as_ptr().addr();
    let start = physical(address)?;
    let first_boundary = (address | (PAGE - 1)).checked_add(1)?;
    let end = address.checked_add(bytes.len())?;
    let continues = |at: usize| physical(at) == start.checked_add((at - address) as u64);
    (first_boundary..end).step_by(PAGE).all(continues).then_some(start)
}

/// What the tables say of one address (Arm ARM, AT S1E1R). No interrupt handler translates, so PAR_EL1 stays ours in between.
fn physical(address: usize) -> Option<u64> {
    // SAFETY: looks an address up in the tables; only PAR_EL1 changes.
    unsafe { core::arch::asm!("at s1e1r, {}", in(reg) address, options(nostack, preserves_flags)) };
    // Orders the read of the result behind the instruction.
    barrier::isb(barrier::SY);
    let result = PAR_EL1.get();
    (result & FAULT == 0).then_some(result & PHYSICAL_PAGE | (address % PAGE) as u64)
}
