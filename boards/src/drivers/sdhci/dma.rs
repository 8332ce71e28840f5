//! Reads whose data the processor does not move: by the controller's own DMA ([`super::adma`]) or by the DMA engine beside it
//! ([`super::engine`]).
//!
//! Memory that is whole cache lines and within reach is written directly, other memory by way of a bounce buffer. What a master
//! writes passes the caches, so the order is: clean what it is told, clean and invalidate the target, start, wait, clean and
//! invalidate the target again. DMA is trusted after one read came by both ways with the same bytes; its first failure ends it.
//! After an error of the card the next read goes by the processor, which knows the block that fails.

use super::adma::{self, TABLE_BYTES};
use super::bus::SdhciBus;
use super::engine;
use super::registers::{Capabilities, Register, Status};
use super::words::{Mover, Transfer};
use super::{DATA_TIMEOUT_NS, Sdhci, before};
use crate::drivers::dma::is_whole_lines;
use barellama_storage::block::BLOCK_BYTES;
use barellama_storage::host::{Command, HostError, HostFault, Mode, ReadFailure, Response};
use tock_registers::LocalRegisterCopy;

/// Bytes of the bounce buffer: large enough that a command's own time does not count.
pub const BOUNCE_BYTES: usize = 128 << 10;
/// Between two looks whether the controller is done: they cost it time on the bus, and QEMU a lock.
pub(super) const POLL_PAUSE_NS: u64 = 50_000;
/// A card of 1 MB/s is slower than any.
const SLOWEST_NS_PER_BYTE: u64 = 1000;

/// What the master is told, and the bounce buffer: whole cache lines that nobody else uses.
#[repr(C, align(64))]
pub struct DmaBuffers {
    table: [u8; TABLE_BYTES],
    bounce: [u8; BOUNCE_BYTES],
}

impl DmaBuffers {
    /// Empty ones.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: [0; TABLE_BYTES], bounce: [0; BOUNCE_BYTES] }
    }
}

impl Default for DmaBuffers {
    fn default() -> Self {
        Self::new()
    }
}

/// How far the controller's DMA is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// There is none, or it failed.
    No,
    /// It has not been tried.
    Untested,
    /// It delivered what the processor read.
    Yes,
}

/// The state of a controller's DMA.
pub struct Dma {
    pub trust: Trust,
    /// It failed once and is not tried again, whatever the capabilities say.
    has_failed: bool,
    /// The next read goes by the processor.
    is_paused: bool,
    buffers: Option<&'static mut DmaBuffers>,
}

impl Dma {
    /// Not tried; without buffers never.
    pub const fn new(buffers: Option<&'static mut DmaBuffers>) -> Self {
        Self { trust: Trust::No, has_failed: false, is_paused: false, buffers }
    }
}

impl<B: SdhciBus> Sdhci<B> {
    /// Whether DMA can be tried, by the capabilities; called behind each reset.
    pub(super) fn look_for_dma(&mut self) {
        let has_buffers = self.settings.reach.is_some() && self.dma.buffers.is_some();
        let can = has_buffers && !self.dma.has_failed && (self.settings.engine.is_some() || self.has_adma2());
        self.dma.trust = if can { Trust::Untested } else { Trust::No };
        self.dma.is_paused = false;
    }

    fn has_adma2(&mut self) -> bool {
        let capabilities = LocalRegisterCopy::<u32, Capabilities::Register>::new(self.bus.read(Register::Capabilities));
        capabilities.is_set(Capabilities::ADMA2)
    }

    /// How reads go that do not go by the processor.
    pub(super) fn dma_mode(&self) -> Mode {
        if self.settings.engine.is_some() { Mode::DmaEngine } else { Mode::Adma2 }
    }

    /// The most bytes of one read that goes by DMA.
    fn reach_bytes(&self) -> usize {
        if self.settings.engine.is_some() { engine::REACH_BYTES } else { adma::TABLE_REACH_BYTES }
    }

    /// The most bytes of one read into `destination`, if it goes by DMA.
    pub(super) fn dma_bytes_max(&self, destination: &[u8]) -> Option<usize> {
        let is_in_use = self.dma.trust == Trust::Yes && !self.dma.is_paused;
        is_in_use.then(|| match self.direct_part(destination) {
            0 => BOUNCE_BYTES.min(self.reach_bytes()),
            bytes => bytes,
        })
    }

    /// How many bytes at the start of `destination` the master can write directly.
    fn direct_part(&self, destination: &[u8]) -> usize {
        let part = destination.get(..destination.len().min(self.reach_bytes())).unwrap_or_default();
        if is_whole_lines(part) && self.bus_address(part).is_some() { part.len() } else { 0 }
    }

    fn bus_address(&self, bytes: &[u8]) -> Option<u32> {
        self.settings.reach?.bus_address(self.bus.physical(bytes)?, bytes.len())
    }

    /// Reads blocks by DMA if it is trusted, by both ways if that is not known yet; `None`: by the processor, please.
    pub(super) fn read_by_dma(
        &mut self,
        command: &Command,
        destination: &mut [u8],
    ) -> Option<Result<Response, ReadFailure>> {
        let is_bounced = self.direct_part(destination) < destination.len();
        let is_possible = !self.dma.is_paused && (!is_bounced || destination.len() <= BOUNCE_BYTES);
        if !is_possible || self.dma.trust == Trust::No {
            return None;
        }
        // Given back below: the buffers are lent so that the registers can be used beside them.
        let buffers = self.dma.buffers.take()?;
        let bounce = buffers.bounce.get_mut(..destination.len().min(BOUNCE_BYTES)).unwrap_or_default();
        let result = match self.dma.trust {
            Trust::Untested if destination.len() == bounce.len() => {
                Some(self.read_both_ways(command, &mut buffers.table, bounce, destination))
            }
            Trust::Untested | Trust::No => None,
            Trust::Yes if is_bounced => {
                let response = self.move_by_dma(command, &mut buffers.table, bounce);
                destination.copy_from_slice(bounce);
                Some(response)
            }
            Trust::Yes => Some(self.move_by_dma(command, &mut buffers.table, destination)),
        };
        self.dma.buffers = Some(buffers);
        result
    }

    /// The bytes that the processor reads are what counts; the controller's are compared to them.
    fn read_both_ways(
        &mut self,
        command: &Command,
        table: &mut [u8],
        bounce: &mut [u8],
        destination: &mut [u8],
    ) -> Result<Response, ReadFailure> {
        let response = self.read_by_processor(command, BLOCK_BYTES, destination)?;
        self.move_by_dma(command, table, bounce)?;
        if *bounce == *destination {
            self.dma.trust = Trust::Yes;
            let (name, mode) = (self.settings.name, self.dma_mode());
            log::info!("{name}: {mode}, compared to programmed input over {} bytes", bounce.len());
        } else {
            self.give_up_dma(format_args!("other bytes than by programmed input"));
        }
        Ok(response)
    }

    /// One command whose data the controller writes to `target`, which is whole cache lines within its reach.
    fn move_by_dma(&mut self, command: &Command, table: &mut [u8], target: &mut [u8]) -> Result<Response, ReadFailure> {
        let result = self.start_and_wait(command, table, target);
        // Lines that were fetched meanwhile hide what came. Also after a failure: some of it may have come.
        self.bus.clean_invalidate(target);
        if let Err(error) = &result {
            match error.fault {
                HostFault::Dma | HostFault::Stuck => self.give_up_dma(format_args!("{error}")),
                _ => self.dma.is_paused = true,
            }
        }
        result.map_err(before)
    }

    fn start_and_wait(
        &mut self,
        command: &Command,
        table: &mut [u8],
        target: &mut [u8],
    ) -> Result<Response, HostError> {
        let unreachable = HostError { fault: HostFault::Dma, status: 0 };
        let target_address = self.bus_address(target).ok_or(unreachable)?;
        let table_address = self.bus_address(table).ok_or(unreachable)?;
        let mover = match self.settings.engine {
            Some(engine) => {
                engine::describe(table, engine.port, target_address, target.len());
                Mover::Processor
            }
            None => {
                adma::describe(table, target_address, target.len());
                Mover::Controller
            }
        };
        // Both end with a barrier that completes them before the registers are written: the master reads what it is told from
        // memory, and no dirty line is written back over its data.
        self.bus.clean(table);
        self.bus.clean_invalidate(target);
        let timeout_ns = DATA_TIMEOUT_NS.saturating_add(SLOWEST_NS_PER_BYTE.saturating_mul(target.len() as u64));
        let blocks = (target.len() / BLOCK_BYTES) as u32;
        if mover == Mover::Controller {
            self.write(Register::AdmaAddress, table_address);
        }
        self.issue(command, Some(Transfer { block_bytes: BLOCK_BYTES as u32, blocks, mover }))?;
        self.wait_command()?;
        let response = self.response(command.response);
        if mover == Mover::Processor {
            self.run_engine(table_address, timeout_ns)?;
        }
        let complete = Status::TRANSFER_COMPLETE::SET.value;
        self.wait_status_with_pauses(complete, timeout_ns, HostFault::Stuck, POLL_PAUSE_NS)?;
        Ok(response)
    }

    /// Ends DMA on this controller for good.
    fn give_up_dma(&mut self, why: core::fmt::Arguments<'_>) {
        self.dma.trust = Trust::No;
        self.dma.has_failed = true;
        let (name, mode) = (self.settings.name, self.dma_mode());
        log::warn!("{name}: {mode} is given up ({why}): programmed input from now on");
    }

    /// The processor has read what went wrong: DMA goes on.
    pub(super) fn resume_dma(&mut self) {
        self.dma.is_paused = false;
    }
}
