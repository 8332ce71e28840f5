//! The DMA engine at a controller's data port: trust, failures, and the way back to the processor.

use super::fake::{Event, FakeBus};
use super::fake_channel::{ChannelFailure, PORT_ADDRESS, REQUEST_LINE};
use super::*;
use crate::drivers::bcm2835_dma::Port;
use crate::drivers::dma::MasterReach;
use crate::drivers::sdhci::engine::REACH_BYTES;
use std::vec;
use std::vec::Vec;

fn driver_with_engine() -> Sdhci<FakeBus> {
    let mut bus = FakeBus { bus_offset: MasterReach::VIDEO_CORE_ALIAS.bus_offset, ..FakeBus::default() };
    let buffers = bus.buffers(BUFFERS);
    let port = Port { address: PORT_ADDRESS, request_line: REQUEST_LINE };
    let settings = SdhciSettings::bcm_legacy(50_000_000, is_connected).with_engine(EngineChannel { address: 0, port });
    let mut driver = Sdhci::new(bus, settings, Some(buffers));
    driver.power_on();
    driver
}

/// The same behind its first read, which is done by both ways.
fn trusted() -> Sdhci<FakeBus> {
    let mut driver = driver_with_engine();
    assert_eq!(driver.mode(), Mode::ProgrammedInput);
    assert_eq!((read(&mut driver, BLOCKS_8), driver.mode()), (Ok(counting(BLOCKS_8)), Mode::DmaEngine));
    assert_eq!(driver.bus.values(Register::TransferCommand).len(), 2);
    driver.bus.events.clear();
    driver
}

fn read(driver: &mut Sdhci<FakeBus>, bytes: usize) -> Result<Vec<u8>, ReadFailure> {
    let mut destination = vec![0; bytes];
    driver.read(&READ_MULTIPLE, 512, &mut destination).map(|_| destination)
}

#[test]
fn it_writes_to_memory_directly_and_caches_are_maintained() {
    let mut driver = trusted();
    let mut target = target();
    driver.bus.place(&*target, NEAR);
    assert_eq!(driver.read_bytes_max(&target.0), REACH_BYTES);
    driver.read(&READ_MULTIPLE, 512, &mut target.0[..REACH_BYTES]).unwrap();
    assert_eq!(target.0[..REACH_BYTES], counting(REACH_BYTES));
    // The control block to memory, no dirty line in the target, the command, no stale line in the target.
    let order = [Event::Clean(BUFFERS), Event::CleanInvalidate(NEAR), Event::Command(18), Event::CleanInvalidate(NEAR)];
    assert_eq!(driver.bus.events, order);
    // As if the processor read: the controller knows of no DMA.
    assert!(driver.bus.values(Register::TransferCommand).iter().all(|word| word & 1 == 0));
    assert_eq!(driver.bus.values(Register::Control), [0]);
}

#[test]
fn other_bytes_than_by_the_processor_end_it() {
    let mut driver = driver_with_engine();
    driver.bus.is_dma_wrong = true;
    assert_eq!((read(&mut driver, BLOCKS_8), driver.mode()), (Ok(counting(BLOCKS_8)), Mode::ProgrammedInput));
}

#[test]
fn a_failure_of_the_engine_ends_it() {
    for (failure, fault) in [(ChannelFailure::Error, HostFault::Dma), (ChannelFailure::NoEnd, HostFault::Stuck)] {
        let mut driver = trusted();
        driver.bus.channel.failure = Some(failure);
        assert_eq!(read(&mut driver, BLOCKS_8).unwrap_err().error.fault, fault);
        assert_eq!(driver.bus.channel.resets, 1, "it must not take the next read's words");
        driver.recover().unwrap();
        assert_eq!((read(&mut driver, BLOCKS_8), driver.mode()), (Ok(counting(BLOCKS_8)), Mode::ProgrammedInput));
    }
}

#[test]
fn an_error_of_the_card_is_looked_into_by_the_processor_and_the_engine_goes_on() {
    let mut driver = trusted();
    driver.bus.block_errors = Some((3, Status::DATA_CRC::SET.value));
    let failure = read(&mut driver, BLOCKS_8).unwrap_err();
    assert_eq!((failure.blocks_done, failure.error.fault), (0, HostFault::DataCrc));
    assert_eq!(driver.bus.channel.resets, 1);
    driver.recover().unwrap();
    let failure = read(&mut driver, BLOCKS_8).unwrap_err();
    assert_eq!((failure.blocks_done, failure.error.fault), (2, HostFault::DataCrc), "now the block is known");
    driver.recover().unwrap();
    driver.bus.block_errors = None;
    driver.bus.events.clear();
    read(&mut driver, BLOCKS_8).unwrap();
    assert_eq!(read(&mut driver, BLOCKS_8), Ok(counting(BLOCKS_8)));
    assert_eq!(driver.mode(), Mode::DmaEngine);
    assert_eq!(driver.bus.channel.resets, 1);
}
