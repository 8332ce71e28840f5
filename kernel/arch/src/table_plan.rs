//! Which translation table is which: shared by the boot assembly, which writes the first ones, and [`crate::mmu`].
#![cfg_attr(not(target_os = "none"), expect(dead_code, reason = "used by the hardware modules only"))]

use crate::page_table::ENTRIES;

/// All tables: 15 with a fixed role, the rest for devices and the engine (8 for 8 GiB of blocks, 16 for the engine's window).
pub(crate) const TABLES: usize = 96;
/// Level 1 of the kernel's half: the pool's first page, TTBR1_EL1.
pub(crate) const KERNEL_LEVEL_1: usize = 0;
/// Level 1 of the engine's half, TTBR0_EL1.
pub(crate) const USER_LEVEL_1: usize = 1;
/// The identity map of the boot page, one table per level.
pub(crate) const IDENTITY_LEVEL_1: usize = 2;
/// Second level of the identity map.
pub(crate) const IDENTITY_LEVEL_2: usize = 3;
/// Third level of the identity map.
pub(crate) const IDENTITY_LEVEL_3: usize = 4;
/// The kernel image's level 2.
pub(crate) const KERNEL_LEVEL_2: usize = 5;
/// First of the kernel image's level-3 tables, which lie in a row.
pub(crate) const KERNEL_LEVEL_3: usize = 6;
/// How many there are: 16 MiB, `IMAGE_BYTES_MAX` in linker/kernel.ld.
pub(crate) const KERNEL_LEVEL_3_COUNT: usize = 8;
/// The window's level 3.
pub(crate) const WINDOW_LEVEL_3: usize = KERNEL_LEVEL_3 + KERNEL_LEVEL_3_COUNT;
/// First table without a fixed role.
pub(crate) const FIRST_FREE: usize = WINDOW_LEVEL_3 + 1;

/// Bytes of one EL1 stack slot, guard page included: `STACK_SLOT_BYTES` in linker/kernel.ld.
pub(crate) const STACK_SLOT_BYTES: usize = 64 << 10;
/// Bytes of one emergency stack slot, guard page included: `EMERGENCY_SLOT_BYTES` in linker/kernel.ld.
pub(crate) const EMERGENCY_SLOT_BYTES: usize = 16 << 10;

/// First address of the kernel's half.
pub(crate) const KERNEL_HALF: u64 = barellama_abi::layout::KERNEL_HALF_START;
/// Slot of the window in the kernel's level 2.
pub(crate) const WINDOW_LEVEL_2_SLOT: usize = 256;
/// Address of the window.
pub(crate) const WINDOW_BASE: u64 = KERNEL_HALF + ((WINDOW_LEVEL_2_SLOT as u64) << 21);
/// Bytes that the window's level-3 table maps.
pub(crate) const WINDOW_BYTES: u64 = (ENTRIES as u64) << 12;

/// MAIR_EL1: attribute 0 is Normal write-back read-write-allocate, attribute 1 Device-nGnRE (Arm ARM D24.2.109).
pub(crate) const MEMORY_ATTRIBUTES: u64 = 0x04FF;
/// TCR_EL1 without IPS: 39-bit addresses in both halves, 4 KiB granule, write-back inner shareable walks (Arm ARM D24.2.131).
pub(crate) const TRANSLATION_CONTROL: u64 = {
    // T0SZ = 25, IRGN0 = ORGN0 = write-back, SH0 = inner; the upper half has the same fields 16 bits higher, TG1 = 2.
    const HALF: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12;
    HALF | (HALF | 2 << 14) << 16
};
/// SCTLR_EL1: RES1 bits, MMU and caches on, stack alignment checks (SA, SA0), writable memory is never executable (WXN). The engine
/// needs neither cache instructions (UCI, DZE), nor CTR_EL0 (UCT), nor WFE and WFI (nTWE, nTWI), nor the interrupt mask (UMA): at
/// EL0 all of them trap (Arm ARM D24.2.118).
pub(crate) const SYSTEM_CONTROL: u64 = 0x30D0_0800
    | 1          // M: MMU
    | 1 << 2     // C: data cache
    | 1 << 3     // SA: stack alignment check at EL1
    | 1 << 4     // SA0: and at EL0
    | 1 << 12    // I: instruction cache
    | 1 << 19; // WXN

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_registers_have_the_values_of_the_manual() {
        assert_eq!(TRANSLATION_CONTROL, 0xB519_3519);
        assert_eq!(SYSTEM_CONTROL & (1 << 1), 0, "unaligned accesses are allowed");
        for (bit, name) in [(9, "UMA"), (14, "DZE"), (15, "UCT"), (16, "nTWI"), (18, "nTWE"), (26, "UCI")] {
            assert_eq!(SYSTEM_CONTROL & (1 << bit), 0, "{name}: EL0 has no use for it");
        }
    }

    #[test]
    fn fixed_tables_fit_the_pool() {
        const { assert!(FIRST_FREE + 32 <= TABLES) }
    }
}
