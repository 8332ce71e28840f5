//! Registers of SDHOST (names in Linux's `bcm2835-sdhost.c` in brackets).

use tock_registers::register_bitfields;

/// Offset of a word from the controller's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Register {
    /// The write sends a command [SDCMD].
    Command = 0x00,
    /// Argument of a command [SDARG].
    Argument = 0x04,
    /// Data timeout, in card clocks [SDTOUT].
    Timeout = 0x08,
    /// Divider of the core's clock, above 2 [SDCDIV].
    ClockDivider = 0x0C,
    /// Response, least significant word first [SDRSP0].
    Response0 = 0x10,
    /// Second word [SDRSP1].
    Response1 = 0x14,
    /// Third word [SDRSP2].
    Response2 = 0x18,
    /// Fourth word [SDRSP3].
    Response3 = 0x1C,
    /// Status; writing a 1 clears it [SDHSTS].
    Status = 0x20,
    /// Power of the card [SDVDD].
    Power = 0x30,
    /// State machine, FIFO and its thresholds [SDEDM].
    Debug = 0x34,
    /// Configuration [SDHCFG].
    Config = 0x38,
    /// Bytes of a block [SDHBCT].
    BlockBytes = 0x3C,
    /// FIFO [SDDATA].
    Data = 0x40,
    /// Blocks [SDHBLC].
    BlockCount = 0x50,
}

register_bitfields! [u32,
    /// The command.
    pub CommandWord [
        /// CMD index.
        INDEX OFFSET(0) NUMBITS(6) [],
        /// From the card to the host.
        READS OFFSET(6) NUMBITS(1) [],
        /// 136 bits are answered.
        LONG_RESPONSE OFFSET(9) NUMBITS(1) [],
        /// Nothing is answered.
        NO_RESPONSE OFFSET(10) NUMBITS(1) [],
        /// Busy follows.
        WAITS_BUSY OFFSET(11) NUMBITS(1) [],
        /// It went wrong.
        FAILED OFFSET(14) NUMBITS(1) [],
        /// It is to be sent; 0 when it was.
        NEW OFFSET(15) NUMBITS(1) []
    ],
    /// The status.
    pub Status [
        /// Errors of the FIFO.
        FIFO OFFSET(3) NUMBITS(1) [],
        /// Command CRC.
        COMMAND_CRC OFFSET(4) NUMBITS(1) [],
        /// Data CRC.
        DATA_CRC OFFSET(5) NUMBITS(1) [],
        /// Command timeout.
        COMMAND_TIMEOUT OFFSET(6) NUMBITS(1) [],
        /// Data timeout.
        DATA_TIMEOUT OFFSET(7) NUMBITS(1) [],
        /// Busy has ended.
        BUSY_END OFFSET(10) NUMBITS(1) []
    ]
];

/// All bits of the status that can be cleared.
pub const STATUS_ALL: u32 = 0x7F8;

/// What the data timeout is set to by a reset.
pub const TIMEOUT_AT_RESET: u32 = 0x00F0_0000;
/// The divider has 11 bits.
pub const DIVIDER_MAX: u32 = 0x7FF;

/// Words of 32 bits go through the FIFO [WIDE_INT_BUS].
pub const CONFIG_WIDE_FIFO: u32 = 1 << 1;
/// Four data lines [WIDE_EXT_BUS].
pub const CONFIG_FOUR_LINES: u32 = 1 << 2;
/// All 11 bits of the divider count in data mode too [SLOW_CARD].
pub const CONFIG_SLOW_CARD: u32 = 1 << 3;
/// The end of busy shows in the status [BUSY_IRPT_EN].
pub const CONFIG_BUSY_STATUS: u32 = 1 << 10;

/// Parts of the debug register.
pub struct Debug;

impl Debug {
    /// State of the machine.
    pub const STATE_MASK: u32 = 0xF;
    /// Words in the FIFO.
    pub const FIFO_SHIFT: u32 = 4;
    /// Of them.
    pub const FIFO_MASK: u32 = 0x1F;
    /// Ends whatever the machine waits for.
    pub const FORCE_DATA_MODE: u32 = 1 << 19;
}

/// States of the machine.
pub struct State;

impl State {
    /// Nothing to do, before the card is selected.
    pub const IDENTIFICATION: u32 = 0;
    /// Nothing to do.
    pub const DATA: u32 = 1;
    /// Waits for the next block.
    pub const READ_WAIT: u32 = 4;
    /// A block is coming: data, wait, CRC.
    pub const READS: [u32; 3] = [2, Self::READ_WAIT, 5];
}
