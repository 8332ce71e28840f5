//! The spin table of the Raspberry Pi's start code: cores wait in WFE until their word holds an address.
//!
//! github.com/raspberrypi/tools, armstubs/armstub8.S: words of 64 bit at 0xD8 (core 0), 0xE0, 0xE8, 0xF0. QEMU does the same.

use barellama_arch::{cores, mmu};
use barellama_kernel::platform::CoreStarter;

const TABLE: u64 = 0xD8;

/// The starter of the cores 1 to 3 of a Pi 3 or Pi 4.
pub struct SpinTable;

impl CoreStarter for SpinTable {
    fn start(&self, core: usize, entry_physical: u64) -> bool {
        if !(1..=3).contains(&core) {
            return false;
        }
        let is_written = mmu::publish_physical_u64(TABLE + 8 * core as u64, entry_physical).is_ok();
        cores::send_event();
        is_written
    }
}
