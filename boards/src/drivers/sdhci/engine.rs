//! The BCM2835's DMA engine, which reads the data port of a controller that has no DMA of its own.
//!
//! To the controller it is as if the processor read: the engine takes a word whenever the controller asks (Linux bcm2835-mmc.c).

use super::Sdhci;
use super::bus::SdhciBus;
use super::dma::POLL_PAUSE_NS;
use super::registers::{STATUS_ERRORS, Status};
use super::words::fault;
use crate::drivers::bcm2835_dma::{CONTROL_BLOCK_BYTES, ChannelControl, ChannelRegister, ERRORS, Port, control_block};
use barellama_storage::host::{HostError, HostFault};
use tock_registers::LocalRegisterCopy;

/// Bytes of one read. QEMU moves them while nothing else of the machine is served, the console included: some ten milliseconds.
pub const REACH_BYTES: usize = 64 << 10;

/// Writes the control block for `bytes` at a bus address.
pub fn describe(table: &mut [u8], port: Port, address: u32, bytes: usize) {
    // At most `REACH_BYTES`.
    let block = control_block(port, address, bytes as u32);
    if let Some(place) = table.get_mut(..CONTROL_BLOCK_BYTES) {
        place.copy_from_slice(&block);
    }
}

impl<B: SdhciBus> Sdhci<B> {
    /// Lets the engine move the data of the command that was sent, as the control block at a bus address says.
    pub(super) fn run_engine(&mut self, block_address: u32, timeout_ns: u64) -> Result<(), HostError> {
        self.wait_status(Status::READ_READY::SET.value, timeout_ns, HostFault::DataTimeout)?;
        self.bus.write_channel(ChannelRegister::Debug, ERRORS);
        self.bus.write_channel(ChannelRegister::ControlBlock, block_address);
        let start = ChannelControl::ACTIVE::SET + ChannelControl::END::SET + ChannelControl::WAIT_FOR_WRITES::SET;
        self.bus.write_channel(ChannelRegister::Control, start.value);
        let moved = self.wait_engine(timeout_ns);
        if moved.is_err() {
            // It may still wait for words, and would write those of the next read.
            self.bus.write_channel(ChannelRegister::Control, ChannelControl::RESET::SET.value);
        }
        moved
    }

    fn wait_engine(&mut self, timeout_ns: u64) -> Result<(), HostError> {
        let start_ns = self.bus.now_ns();
        loop {
            let channel = self.bus.read_channel(ChannelRegister::Control);
            let channel = LocalRegisterCopy::<u32, ChannelControl::Register>::new(channel);
            let status = self.status();
            if channel.is_set(ChannelControl::ERROR) {
                return Err(HostError { fault: HostFault::Dma, status });
            }
            if status & STATUS_ERRORS != 0 {
                return Err(HostError { fault: fault(status & STATUS_ERRORS), status });
            }
            if channel.is_set(ChannelControl::END) {
                return Ok(());
            }
            let now_ns = self.bus.now_ns();
            if now_ns.wrapping_sub(start_ns) > timeout_ns {
                return Err(HostError { fault: HostFault::Stuck, status });
            }
            self.pause(now_ns, POLL_PAUSE_NS);
        }
    }
}
