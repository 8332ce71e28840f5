//! What the server asks the kernel to do.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use barellama_abi::request::{RecordKind, RequestHeader, RequestWriter, SlotFull};

use crate::resources::Resource;

/// Names a call. It is never used for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(crate) u32);

/// Something for the kernel. Every ticket but that of a cancel must be ended: see [`super::Server`].
#[derive(Debug)]
pub enum Work {
    /// Give a request to the engine.
    Submit(Submission),
    /// Stop this call as soon as possible; its end will not be told to anyone.
    Cancel {
        /// The call.
        ticket: Ticket,
    },
    /// Give the contents of a resource.
    ReadResource {
        /// The call.
        ticket: Ticket,
        /// What to read.
        resource: Resource,
    },
    /// Say how the board is.
    Status {
        /// The call.
        ticket: Ticket,
    },
    /// Say which models are on the card.
    ListModels {
        /// The call.
        ticket: Ticket,
    },
    /// Load a model in place of the loaded one; the text of the call is the name of the one that is loaded then.
    LoadModel {
        /// The call.
        ticket: Ticket,
        /// The file's name.
        name: String,
    },
}

/// A request to the engine that is not in a slot yet.
#[derive(Debug)]
pub struct Submission {
    /// The call.
    pub ticket: Ticket,
    /// The fixed part; id and session are the kernel's to choose.
    pub header: RequestHeader,
    /// After how many milliseconds from now it has to end.
    pub deadline_ms: Option<u32>,
    pub(crate) records: Records,
}

impl Submission {
    /// Writes the request into a slot; returns its length.
    ///
    /// # Errors
    /// [`SlotFull`] if it does not fit.
    pub fn write(&self, slot: &mut [u8], id: u32, session: u32) -> Result<usize, SlotFull> {
        let mut writer = RequestWriter::new(slot, RequestHeader { id, session, ..self.header })?;
        for (kind, bytes) in &self.records.0 {
            writer.record(*kind, bytes)?;
        }
        Ok(writer.length())
    }
}

/// The records of a request. Their bytes are bounded by the line that they came in.
#[derive(Debug, Default)]
pub(crate) struct Records(Vec<(RecordKind, Vec<u8>)>);

impl Records {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push_text(&mut self, kind: RecordKind, text: Cow<'_, str>) {
        self.0.push((kind, text.into_owned().into_bytes()));
    }

    /// Adds token ids, little-endian as [`RecordKind`] says.
    pub fn push_ids(&mut self, kind: RecordKind, ids: &[u32]) {
        self.0.push((kind, ids.iter().flat_map(|id| id.to_le_bytes()).collect()));
    }
}

/// How the board is; `None` where the firmware does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemStatus<'a> {
    /// The board's name.
    pub board: &'a str,
    /// Nanoseconds since the start.
    pub uptime_ns: u64,
    /// State of the engine, a word for people.
    pub engine: &'a str,
    /// The loaded model.
    pub model: Option<&'a str>,
    /// Clock of the cores, in Hz.
    pub arm_clock_hz: Option<u32>,
    /// Clock of the peripherals, in Hz.
    pub core_clock_hz: Option<u32>,
    /// Temperature in thousandths of a degree Celsius.
    pub temperature_millidegrees: Option<u32>,
    /// The firmware's GET_THROTTLED bits.
    pub throttled_bits: Option<u32>,
    /// Memory of the board.
    pub ram_bytes: u64,
    /// The model file in memory; 0 without a model.
    pub model_bytes: u64,
    /// The engine's tensors; 0 without a model.
    pub arena_bytes: u64,
    /// The kernel's heap, a pool for messages.
    pub heap_bytes: u64,
    /// Its bytes in use.
    pub heap_used_bytes: u64,
    /// Most bytes of it that were ever in use.
    pub heap_peak_bytes: u64,
    /// Faults of the engine.
    pub faults: u64,
    /// Restarts of the engine.
    pub restarts: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Tokens generated since the start.
    pub tokens_served: u64,
    /// Bytes lost on the serial line.
    pub overruns: u64,
    /// Frames of the serial line that came damaged and were sent again.
    pub damaged_frames: u64,
}

/// A model file on the card.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Whether it is the loaded model.
    pub is_loaded: bool,
}
