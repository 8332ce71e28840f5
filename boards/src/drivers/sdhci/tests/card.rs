//! A high-capacity card behind the registers, as far as a start and reads need one (SD Physical Layer 4.2, 4.3).

use crate::drivers::sdhci::registers::Status;
use std::vec;
use std::vec::Vec;

const ADDRESS: u32 = 0x1234_0000;
const TRANSFER_STATE: u32 = 4 << 9;
const BLOCK: usize = 512;

#[derive(Default)]
pub struct RegisterCard {
    pub content: Vec<u8>,
    pub commands: Vec<u8>,
    /// Agrees to high speed, but its switch status says that it stayed as it was.
    pub stays_slow: bool,
    pub is_application: bool,
}

impl RegisterCard {
    /// The response words as the registers show them and the data, or error bits of the status.
    pub fn answer(&mut self, index: u8, argument: u32, bytes: u32, stops: bool) -> Result<([u32; 4], Vec<u8>), u32> {
        self.commands.push(index);
        let is_application = core::mem::take(&mut self.is_application);
        let short = |word| Ok(([word, 0, 0, 0], vec![]));
        match index {
            0 => short(0),
            8 => short(argument),
            55 => {
                self.is_application = true;
                short(1 << 5)
            }
            41 if is_application => short(0xC0FF_8000),
            2 => Ok(([1, 2, 3, 4], vec![])),
            3 => short(ADDRESS),
            // CSD version 2 with one unit of 512 KiB for each started; the registers leave the CRC byte out.
            9 => {
                let units = (self.content.len() as u128).div_ceil(512 << 10);
                let csd = (1_u128 << 126 | (units - 1) << 48) >> 8;
                Ok(([0, 32, 64, 96].map(|shift| (csd >> shift) as u32), vec![]))
            }
            6 if is_application => short(TRANSFER_STATE),
            7 | 12 | 13 | 16 => short(TRANSFER_STATE),
            51 if is_application => Ok(([TRANSFER_STATE, 0, 0, 0], vec![0x02, 0x35, 0, 0, 0, 0, 0, 0])),
            6 => {
                let mut status = vec![0; 64];
                status[13] = 0b11;
                status[16] = if self.stays_slow { 0 } else { 1 };
                Ok(([TRANSFER_STATE, 0, 0, 0], status))
            }
            17 | 18 => {
                assert_eq!(index == 18, bytes as usize > BLOCK);
                assert_eq!(stops, index == 18, "CMD12 has to follow several blocks, by itself");
                let start = argument as usize * BLOCK;
                Ok(([TRANSFER_STATE, 0, 0, 0], self.content[start..start + bytes as usize].to_vec()))
            }
            _ => Err(Status::COMMAND_TIMEOUT::SET.value),
        }
    }
}
