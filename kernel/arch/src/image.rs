//! Where the parts of the kernel's image lie: the symbols of linker/kernel.ld.

use crate::mmu::{KernelRegion, physical_offset};
use crate::table_plan::{EMERGENCY_SLOT_BYTES, STACK_SLOT_BYTES};
use core::ptr::addr_of;

/// A position in the image. It has no size, so that nothing can be read through it.
#[repr(C)]
struct Symbol(());

unsafe extern "C" {
    safe static __kernel_start: Symbol;
    safe static __kernel_end: Symbol;
    safe static __boot_end: Symbol;
    safe static __text_start: Symbol;
    safe static __text_end: Symbol;
    safe static __rodata_start: Symbol;
    safe static __rodata_end: Symbol;
    safe static __data_start: Symbol;
    safe static __data_end: Symbol;
    safe static __payload_start: Symbol;
    safe static __payload_end: Symbol;
    safe static __bss_start: Symbol;
    safe static __tables_end: Symbol;
    safe static __stacks_start: Symbol;
    safe static __stacks_end: Symbol;
    safe static __emergency_stacks_start: Symbol;
    safe static __emergency_stacks_end: Symbol;
    safe static secondary_entry: Symbol;
}

fn address(symbol: &'static Symbol) -> usize {
    addr_of!(*symbol) as usize
}

fn region(name: &'static str, start: &'static Symbol, end: &'static Symbol, access: &'static str) -> KernelRegion {
    KernelRegion { name, start: address(start) as u64, bytes: (address(end) - address(start)) as u64, access }
}

pub(crate) fn regions() -> [KernelRegion; 7] {
    [
        region("code", &__text_start, &__text_end, "rx"),
        region("constants", &__rodata_start, &__rodata_end, "r"),
        region("data", &__data_start, &__data_end, "rw"),
        region("payload", &__payload_start, &__payload_end, "r"),
        region("zeroed data, tables", &__bss_start, &__tables_end, "rw"),
        region("stacks", &__stacks_start, &__stacks_end, "rw"),
        region("emergency stacks", &__emergency_stacks_start, &__emergency_stacks_end, "rw"),
    ]
}

/// The whole image, as virtual addresses: (start, bytes).
pub(crate) fn range() -> (usize, usize) {
    (address(&__kernel_start), address(&__kernel_end) - address(&__kernel_start))
}

/// The page that runs with caches off: (start, bytes).
pub(crate) fn boot_page() -> (usize, usize) {
    (address(&__kernel_start), address(&__boot_end) - address(&__kernel_start))
}

pub(crate) fn secondary_entry_physical() -> u64 {
    (address(&secondary_entry) as u64).wrapping_add(physical_offset())
}

pub(crate) fn text() -> &'static [u8] {
    constant_bytes(&__text_start, &__text_end)
}

pub(crate) fn rodata() -> &'static [u8] {
    constant_bytes(&__rodata_start, &__rodata_end)
}

pub(crate) fn payload_window() -> &'static [u8] {
    constant_bytes(&__payload_start, &__payload_end)
}

/// The EL1 stack of a core: (lowest address, address behind).
pub(crate) fn stack(core: usize) -> (usize, usize) {
    slot(address(&__stacks_start), STACK_SLOT_BYTES, core)
}

/// The emergency stack of a core: (lowest address, address behind).
pub(crate) fn emergency_stack(core: usize) -> (usize, usize) {
    slot(address(&__emergency_stacks_start), EMERGENCY_SLOT_BYTES, core)
}

/// A slot without the guard page at its start.
fn slot(area: usize, slot_bytes: usize, core: usize) -> (usize, usize) {
    let start = area + slot_bytes * core;
    (start + 4096, start + slot_bytes)
}

/// Used for the parts that the tables make read-only.
fn constant_bytes(start: &'static Symbol, end: &'static Symbol) -> &'static [u8] {
    let start_address = addr_of!(*start).cast::<u8>();
    // SAFETY: the linker script lays both symbols around one part of the image; it is mapped readable for ever, and nothing can
    // write it (descriptor bit AP[2]).
    unsafe { core::slice::from_raw_parts(start_address, address(end) - address(start)) }
}
