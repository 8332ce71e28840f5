//! What the SD protocol needs of a host controller.
//!
//! The controller moves bits and reports what the lines did; it knows nothing of cards. Every method returns at once or within
//! the time that the bus itself bounds: waits of milliseconds belong to the state machine of [`crate::card`].

use crate::block::BLOCK_BYTES;
use core::fmt;

/// The most bytes that one command reads: block counters have 16 bits.
pub const COMMAND_BYTES_MAX: usize = 65_535 * BLOCK_BYTES;

/// What the card answers to a command (SD Physical Layer 4.9), as far as the controller has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseKind {
    /// Nothing.
    None,
    /// 48 bits with CRC and index: R1, R6, R7.
    Short,
    /// 48 bits with CRC and index, then busy on DAT0: R1b.
    ShortBusy,
    /// 48 bits without CRC or index: R3.
    ShortUnchecked,
    /// 136 bits with CRC, without index: R2.
    Long,
}

/// A command as it goes over the CMD line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// CMD index, 0 to 63.
    pub index: u8,
    /// The 32-bit argument.
    pub argument: u32,
    /// What is answered.
    pub response: ResponseKind,
}

/// The answer of a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Short answers: bits 39:8 in `words[0]`. Long ones: bits 127:0 with the least significant word first and the CRC byte as 0.
    pub words: [u32; 4],
}

/// What went wrong on the lines (SD Host Controller 2.2.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// The card did not answer the command.
    CommandTimeout,
    /// The answer's CRC was wrong.
    CommandCrc,
    /// The answer's end bit was wrong.
    CommandEndBit,
    /// The answer was for another command.
    CommandIndex,
    /// Data or the end of busy did not come in time.
    DataTimeout,
    /// A block's CRC was wrong.
    DataCrc,
    /// A block's end bit was wrong.
    DataEndBit,
    /// The stop command that the controller sends by itself failed.
    AutoCommand,
    /// The controller's DMA: a descriptor, or memory that it did not reach.
    Dma,
    /// The controller did not become free for a command.
    Inhibited,
    /// The controller did not finish what it was told, without naming a reason.
    Stuck,
    /// An error bit of the controller without a name here.
    Other,
}

impl HostFault {
    /// The fault in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::CommandTimeout => "no answer",
            Self::CommandCrc => "answer with a wrong checksum",
            Self::CommandEndBit => "answer with a wrong end bit",
            Self::CommandIndex => "answer to another command",
            Self::DataTimeout => "data did not come in time",
            Self::DataCrc => "data with a wrong checksum",
            Self::DataEndBit => "data with a wrong end bit",
            Self::AutoCommand => "automatic stop failed",
            Self::Dma => "the controller's DMA failed",
            Self::Inhibited => "the lines stayed busy",
            Self::Stuck => "the controller did not finish",
            Self::Other => "controller error",
        }
    }
}

/// A failure that the controller reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError {
    /// What it was.
    pub fault: HostFault,
    /// The controller's interrupt status at that time.
    pub status: u32,
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (controller status {:#010x})", self.fault.text(), self.status)
    }
}

/// A read that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    /// Blocks that had arrived whole, in order, before it.
    pub blocks_done: usize,
    /// What happened then.
    pub error: HostError,
}

/// Width of the data bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusWidth {
    /// DAT0 only: how every card starts.
    One,
    /// DAT0 to DAT3.
    Four,
}

/// Who moves the data of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The processor, word by word.
    ProgrammedInput,
    /// The controller, by descriptors (SD Host Controller 1.13).
    Adma2,
    /// A DMA engine beside the controller.
    DmaEngine,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ProgrammedInput => "programmed input",
            Self::Adma2 => "ADMA2",
            Self::DmaEngine => "DMA engine",
        })
    }
}

/// An SD host controller.
pub trait SdHost: Send {
    /// Name for messages, e.g. "EMMC2".
    fn name(&self) -> &'static str;

    /// Tells the controller to reset itself, card clock off; [`Self::is_reset_done`] becomes true within 100 ms.
    fn begin_reset(&mut self);

    /// Whether the reset has ended.
    fn is_reset_done(&mut self) -> bool;

    /// Bus power on at 3.3 V, one data line, default speed, every status bit enabled and cleared.
    fn power_on(&mut self);

    /// Takes the clock away from the card.
    fn stop_clock(&mut self);

    /// Sets the divider for at most `hz_max` and starts the internal clock; returns the rate in Hz that the card will see.
    fn begin_clock(&mut self, hz_max: u32) -> u32;

    /// Whether the internal clock is stable.
    fn is_clock_stable(&mut self) -> bool;

    /// Gives the clock to the card.
    fn start_clock(&mut self);

    /// Sets the width of the data bus on the controller's side.
    fn set_bus_width(&mut self, width: BusWidth);

    /// Switches the controller's output timing to high speed.
    fn set_high_speed(&mut self);

    /// Sends a command without data and waits for its answer (below 1 ms at 400 kHz).
    ///
    /// # Errors
    /// Any [`HostFault`] of the command; busy that does not end is [`HostFault::DataTimeout`].
    fn command(&mut self, command: &Command) -> Result<Response, HostError>;

    /// Sends a command and reads `destination` in blocks of `block_bytes` (a multiple of 4, at most 512). With more than one
    /// block the controller sends CMD12 behind the last one. `destination` holds at least one whole block, at most
    /// [`Self::read_bytes_max`].
    ///
    /// # Errors
    /// Any [`HostFault`], with the number of blocks that had arrived.
    fn read(&mut self, command: &Command, block_bytes: usize, destination: &mut [u8]) -> Result<Response, ReadFailure>;

    /// The most bytes that one [`Self::read`] into `destination` takes, whole blocks: at most [`COMMAND_BYTES_MAX`].
    fn read_bytes_max(&self, destination: &[u8]) -> usize;

    /// Who moves the data of large reads, as things stand.
    fn mode(&self) -> Mode;

    /// After an error: resets the CMD and DAT state machines and clears the status (SD Host Controller 3.10).
    ///
    /// # Errors
    /// [`HostFault::Stuck`] if a line does not come back.
    fn recover(&mut self) -> Result<(), HostError>;
}

impl<H: SdHost + ?Sized> SdHost for &mut H {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn begin_reset(&mut self) {
        (**self).begin_reset();
    }
    fn is_reset_done(&mut self) -> bool {
        (**self).is_reset_done()
    }
    fn power_on(&mut self) {
        (**self).power_on();
    }
    fn stop_clock(&mut self) {
        (**self).stop_clock();
    }
    fn begin_clock(&mut self, hz_max: u32) -> u32 {
        (**self).begin_clock(hz_max)
    }
    fn is_clock_stable(&mut self) -> bool {
        (**self).is_clock_stable()
    }
    fn start_clock(&mut self) {
        (**self).start_clock();
    }
    fn set_bus_width(&mut self, width: BusWidth) {
        (**self).set_bus_width(width);
    }
    fn set_high_speed(&mut self) {
        (**self).set_high_speed();
    }
    fn command(&mut self, command: &Command) -> Result<Response, HostError> {
        (**self).command(command)
    }
    fn read(&mut self, command: &Command, block_bytes: usize, destination: &mut [u8]) -> Result<Response, ReadFailure> {
        (**self).read(command, block_bytes, destination)
    }
    fn read_bytes_max(&self, destination: &[u8]) -> usize {
        (**self).read_bytes_max(destination)
    }
    fn mode(&self) -> Mode {
        (**self).mode()
    }
    fn recover(&mut self) -> Result<(), HostError> {
        (**self).recover()
    }
}
