//! Registers of the controller as 32-bit words (SD Host Controller Simplified Specification 3.00, chapter 2).

use tock_registers::register_bitfields;

/// Offset of a word from the controller's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Register {
    /// Block size (2.2.2) and block count (2.2.3).
    BlockSizeCount = 0x04,
    /// Argument of a command (2.2.4).
    Argument = 0x08,
    /// Transfer mode (2.2.5) and command (2.2.6): the write sends the command.
    TransferCommand = 0x0C,
    /// Response (2.2.7), four words.
    Response0 = 0x10,
    /// Second word.
    Response1 = 0x14,
    /// Third word.
    Response2 = 0x18,
    /// Fourth word.
    Response3 = 0x1C,
    /// Buffer data port (2.2.8).
    Data = 0x20,
    /// Present state (2.2.9).
    PresentState = 0x24,
    /// Host control 1 (2.2.10), power (2.2.11), block gap, wakeup.
    Control = 0x28,
    /// Clock (2.2.14), timeout (2.2.15), software reset (2.2.16).
    ClockReset = 0x2C,
    /// Normal (2.2.17) and error (2.2.18) interrupt status; writing a 1 clears it.
    Status = 0x30,
    /// Which status bits are recorded (2.2.19, 2.2.20).
    StatusEnable = 0x34,
    /// Which of them interrupt the processor (2.2.21, 2.2.22).
    SignalEnable = 0x38,
    /// Auto command errors (2.2.23) and host control 2 (2.2.24).
    Control2 = 0x3C,
    /// What the controller can (2.2.25), lower word.
    Capabilities = 0x40,
    /// Where the ADMA descriptors lie (2.2.29), lower word.
    AdmaAddress = 0x58,
}

register_bitfields! [u32,
    /// Block size and count.
    pub BlockSizeCount [
        /// Bytes of a block.
        BYTES OFFSET(0) NUMBITS(12) [],
        /// Blocks of a transfer.
        BLOCKS OFFSET(16) NUMBITS(16) []
    ],
    /// Transfer mode in the lower half, command in the upper one.
    pub TransferCommand [
        /// The controller moves the data.
        USES_DMA OFFSET(0) NUMBITS(1) [],
        /// The block count counts.
        COUNTS_BLOCKS OFFSET(1) NUMBITS(1) [],
        /// What the controller sends behind the last block.
        AUTO_COMMAND OFFSET(2) NUMBITS(2) [ None = 0, Stop = 1 ],
        /// From the card to the host.
        READS OFFSET(4) NUMBITS(1) [],
        /// More than one block.
        MULTIPLE OFFSET(5) NUMBITS(1) [],
        /// Length of the response.
        RESPONSE OFFSET(16) NUMBITS(2) [ None = 0, Long = 1, Short = 2, ShortBusy = 3 ],
        /// The response's CRC is checked.
        CHECKS_CRC OFFSET(19) NUMBITS(1) [],
        /// The response's index is checked.
        CHECKS_INDEX OFFSET(20) NUMBITS(1) [],
        /// Data follow.
        HAS_DATA OFFSET(21) NUMBITS(1) [],
        /// Abort: CMD12.
        KIND OFFSET(22) NUMBITS(2) [ Normal = 0, Abort = 3 ],
        /// CMD index.
        INDEX OFFSET(24) NUMBITS(6) []
    ],
    /// Present state.
    pub PresentState [
        /// The CMD line is in use.
        COMMAND_INHIBIT OFFSET(0) NUMBITS(1) [],
        /// The DAT lines are in use.
        DATA_INHIBIT OFFSET(1) NUMBITS(1) [],
        /// Level of DAT0; low while the card is busy.
        DAT0 OFFSET(20) NUMBITS(1) []
    ],
    /// Host control 1 and power.
    pub Control [
        /// Four data lines.
        FOUR_LINES OFFSET(1) NUMBITS(1) [],
        /// High-speed timing.
        HIGH_SPEED OFFSET(2) NUMBITS(1) [],
        /// How the controller finds memory.
        DMA OFFSET(3) NUMBITS(2) [ Adma2 = 2 ],
        /// Bus power.
        POWER OFFSET(8) NUMBITS(1) [],
        /// Bus voltage.
        VOLTAGE OFFSET(9) NUMBITS(3) [ V3_3 = 7 ]
    ],
    /// Clock, timeout, reset.
    pub ClockReset [
        /// Internal clock on.
        INTERNAL_ENABLE OFFSET(0) NUMBITS(1) [],
        /// Internal clock stable.
        INTERNAL_STABLE OFFSET(1) NUMBITS(1) [],
        /// Clock to the card.
        CARD_ENABLE OFFSET(2) NUMBITS(1) [],
        /// Bits 9:8 of the divider.
        DIVIDER_HIGH OFFSET(6) NUMBITS(2) [],
        /// Bits 7:0 of the divider; the rate is base / (2 * divider), or base if it is 0.
        DIVIDER_LOW OFFSET(8) NUMBITS(8) [],
        /// Data timeout: 2^(13 + n) cycles of the timeout clock.
        TIMEOUT OFFSET(16) NUMBITS(4) [],
        /// Resets everything.
        RESET_ALL OFFSET(24) NUMBITS(1) [],
        /// Resets the CMD line.
        RESET_COMMAND OFFSET(25) NUMBITS(1) [],
        /// Resets the DAT lines.
        RESET_DATA OFFSET(26) NUMBITS(1) []
    ],
    /// Interrupt status, normal and error.
    pub Status [
        /// The command is complete.
        COMMAND_COMPLETE OFFSET(0) NUMBITS(1) [],
        /// The transfer is complete.
        TRANSFER_COMPLETE OFFSET(1) NUMBITS(1) [],
        /// A block can be read.
        READ_READY OFFSET(5) NUMBITS(1) [],
        /// The card interrupts (SDIO).
        CARD_INTERRUPT OFFSET(8) NUMBITS(1) [],
        /// Command timeout.
        COMMAND_TIMEOUT OFFSET(16) NUMBITS(1) [],
        /// Command CRC.
        COMMAND_CRC OFFSET(17) NUMBITS(1) [],
        /// Command end bit.
        COMMAND_END_BIT OFFSET(18) NUMBITS(1) [],
        /// Command index.
        COMMAND_INDEX OFFSET(19) NUMBITS(1) [],
        /// Data timeout.
        DATA_TIMEOUT OFFSET(20) NUMBITS(1) [],
        /// Data CRC.
        DATA_CRC OFFSET(21) NUMBITS(1) [],
        /// Data end bit.
        DATA_END_BIT OFFSET(22) NUMBITS(1) [],
        /// Auto command.
        AUTO_COMMAND OFFSET(24) NUMBITS(1) [],
        /// ADMA: a descriptor or its target.
        ADMA OFFSET(25) NUMBITS(1) []
    ],
    /// Capabilities.
    pub Capabilities [
        /// Rate of the base clock, in MHz.
        BASE_CLOCK_MHZ OFFSET(8) NUMBITS(8) [],
        /// ADMA2.
        ADMA2 OFFSET(19) NUMBITS(1) []
    ]
];

/// Error bits of the status.
pub const STATUS_ERRORS: u32 = 0xFFFF_0000;
