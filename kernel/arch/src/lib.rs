//! AArch64: boot, vectors, MMU, caches, timer, cores, EL0 entry.
#![no_std]
