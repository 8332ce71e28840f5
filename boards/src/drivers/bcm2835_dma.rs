//! A channel of the BCM2835's DMA engine: the words that it takes ("BCM2835 ARM Peripherals", chapter 4).

use tock_registers::register_bitfields;

/// Distance of two channels' registers, in bytes.
pub const CHANNEL_STRIDE_BYTES: u64 = 0x100;
/// Bytes of a channel's registers that are used.
pub const CHANNEL_BYTES: usize = 0x24;
/// Bytes of a control block, which lies at a multiple of them.
pub const CONTROL_BLOCK_BYTES: usize = 32;
/// Channels 0 to 6; those above move at most 64 KiB at once and are not used.
const FULL_CHANNELS: u32 = 0x7F;

/// Offset of a register from the channel's first one (4.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ChannelRegister {
    /// Control and status.
    Control = 0x00,
    /// Bus address of the control block.
    ControlBlock = 0x04,
    /// Errors; writing a 1 clears one.
    Debug = 0x20,
}

register_bitfields! [u32,
    /// Control and status.
    pub(crate) ChannelControl [
        /// It works; writing a 1 starts it.
        ACTIVE OFFSET(0) NUMBITS(1) [],
        /// A control block was carried out; writing a 1 clears it.
        END OFFSET(1) NUMBITS(1) [],
        /// It stopped because of an error, which `Debug` names.
        ERROR OFFSET(8) NUMBITS(1) [],
        /// It is done only when what it wrote has arrived.
        WAIT_FOR_WRITES OFFSET(28) NUMBITS(1) [],
        /// Stops and resets it.
        RESET OFFSET(31) NUMBITS(1) []
    ],
    /// Transfer information, the first word of a control block.
    TransferInformation [
        /// Waits for the answer to each write.
        WAIT_RESPONSE OFFSET(3) NUMBITS(1) [],
        /// The destination moves on.
        DESTINATION_INCREMENT OFFSET(4) NUMBITS(1) [],
        /// The peripheral paces the reads.
        SOURCE_REQUESTS OFFSET(10) NUMBITS(1) [],
        /// Which peripheral.
        PERIPHERAL OFFSET(16) NUMBITS(5) []
    ]
];

/// The errors of `Debug`.
pub const ERRORS: u32 = 0b111;

/// A port of a peripheral that the engine reads words from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Bus address of the register.
    pub address: u32,
    /// Number of the line by which the peripheral asks for a word to be taken (4.2.1.3).
    pub request_line: u32,
}

/// The control block that moves `bytes` bytes, a multiple of 4, from `port` to a bus address.
#[must_use]
pub fn control_block(port: Port, destination: u32, bytes: u32) -> [u8; CONTROL_BLOCK_BYTES] {
    use TransferInformation as T;
    let information = T::WAIT_RESPONSE::SET
        + T::DESTINATION_INCREMENT::SET
        + T::SOURCE_REQUESTS::SET
        + T::PERIPHERAL.val(port.request_line);
    // Information, source, destination, length; no stride, no next block.
    let words = [information.value, port.address, destination, bytes];
    let mut block = [0; CONTROL_BLOCK_BYTES];
    for (place, word) in block.chunks_exact_mut(size_of::<u32>()).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    block
}

/// The lowest full channel of those that the firmware leaves to the Arm, a bit for each.
#[must_use]
pub fn lowest_channel(free_channels: u32) -> Option<u32> {
    let usable = free_channels & FULL_CHANNELS;
    (usable != 0).then(|| usable.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_control_block_has_the_words_of_the_manual() {
        let block = control_block(Port { address: 0x7E30_0020, request_line: 11 }, 0xC020_0000, 4096);
        let words: Vec<u32> = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words, [11 << 16 | 1 << 10 | 1 << 4 | 1 << 3, 0x7E30_0020, 0xC020_0000, 4096, 0, 0, 0, 0]);
    }

    #[test]
    fn a_full_channel_is_taken_if_one_is_free() {
        // What QEMU's firmware and Circle's list for the Pi 4 say.
        assert_eq!((lowest_channel(0x3C), lowest_channel(0x71F5)), (Some(2), Some(0)));
        assert_eq!((lowest_channel(0), lowest_channel(0xFF80)), (None, None));
    }
}
