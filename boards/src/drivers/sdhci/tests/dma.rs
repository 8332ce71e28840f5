//! ADMA2: descriptors, reach, order of the cache maintenance, trust, and the way back to the processor.

use super::fake::{ADMA2, Event, FakeBus};
use super::*;
use crate::drivers::dma::MasterReach;
use crate::drivers::sdhci::dma::BOUNCE_BYTES;
use std::vec;
use std::vec::Vec;

const FAR: u64 = 0x4000_0000;

/// A driver whose controller can do ADMA2.
fn driver_with_dma(reach: MasterReach) -> Sdhci<FakeBus> {
    let mut bus = FakeBus { capabilities: ADMA2, bus_offset: reach.bus_offset, ..FakeBus::default() };
    let buffers = bus.buffers(BUFFERS);
    let mut driver = Sdhci::new(bus, SdhciSettings::bcm_emmc2(200_000_000, reach, is_connected), Some(buffers));
    driver.power_on();
    driver
}

/// The same behind its first read, which is done by both ways.
fn trusted(reach: MasterReach) -> Sdhci<FakeBus> {
    let mut driver = driver_with_dma(reach);
    let mut first = vec![0; BLOCKS_8];
    driver.read(&READ_MULTIPLE, 512, &mut first).unwrap();
    assert_eq!((driver.mode(), first), (Mode::Adma2, counting(BLOCKS_8)));
    driver.bus.events.clear();
    driver.bus.writes.clear();
    driver
}

fn uses_dma(driver: &Sdhci<FakeBus>) -> Vec<bool> {
    driver.bus.values(Register::TransferCommand).iter().map(|word| word & 1 == 1).collect()
}

#[test]
fn the_first_read_comes_by_both_ways() {
    let mut driver = driver_with_dma(MasterReach::VIDEO_CORE_ALIAS);
    assert_eq!(driver.mode(), Mode::ProgrammedInput);
    let mut bytes = vec![0; BLOCKS_8];
    driver.read(&READ_MULTIPLE, 512, &mut bytes).unwrap();
    assert_eq!(uses_dma(&driver), [false, true]);
    assert_eq!((bytes, driver.mode()), (counting(BLOCKS_8), Mode::Adma2));
}

#[test]
fn a_read_that_is_too_large_to_compare_leaves_the_question_open() {
    let mut driver = driver_with_dma(MasterReach::VIDEO_CORE_ALIAS);
    let mut bytes = vec![0; BOUNCE_BYTES + 512];
    driver.read(&READ_MULTIPLE, 512, &mut bytes).unwrap();
    assert_eq!((uses_dma(&driver), driver.mode()), (vec![false], Mode::ProgrammedInput));
    driver.read(&READ_MULTIPLE, 512, &mut bytes[..BLOCKS_8]).unwrap();
    assert_eq!(driver.mode(), Mode::Adma2);
}

#[test]
fn other_bytes_by_dma_end_it_and_the_right_ones_are_returned() {
    let mut driver = driver_with_dma(MasterReach::VIDEO_CORE_ALIAS);
    driver.bus.is_dma_wrong = true;
    let mut bytes = vec![0; BLOCKS_8];
    driver.read(&READ_MULTIPLE, 512, &mut bytes).unwrap();
    assert_eq!((bytes, driver.mode()), (counting(BLOCKS_8), Mode::ProgrammedInput));
    // Not even a new card in the slot brings it back.
    driver.bus.is_dma_wrong = false;
    driver.power_on();
    driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap();
    assert_eq!(driver.mode(), Mode::ProgrammedInput);
}

#[test]
fn without_the_capability_or_buffers_the_processor_reads() {
    let mut bus = FakeBus::default();
    let buffers = bus.buffers(BUFFERS);
    let settings = SdhciSettings::bcm_emmc2(200_000_000, MasterReach::FIRST_4_GIB, is_connected);
    let without_capability = Sdhci::new(bus, settings, Some(buffers));
    let without_buffers = Sdhci::new(FakeBus { capabilities: ADMA2, ..FakeBus::default() }, settings, None);
    for mut driver in [without_capability, without_buffers] {
        driver.power_on();
        assert_eq!(driver.bus.values(Register::Control), [0x0F00]);
        driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap();
        assert_eq!((uses_dma(&driver), driver.mode()), (vec![false], Mode::ProgrammedInput));
    }
}

#[test]
fn caches_are_maintained_in_the_right_order() {
    let mut driver = trusted(MasterReach::VIDEO_CORE_ALIAS);
    let mut target = target();
    driver.bus.place(&*target, NEAR);
    driver.read(&READ_MULTIPLE, 512, &mut target.0).unwrap();
    // Descriptors to memory, no dirty line in the target, the command, no stale line in the target.
    let order = [Event::Clean(BUFFERS), Event::CleanInvalidate(NEAR), Event::Command(18), Event::CleanInvalidate(NEAR)];
    assert_eq!(driver.bus.events, order);
    assert_eq!(target.0[..], counting(target.0.len()));
}

#[test]
fn the_words_of_a_transfer_are_right() {
    let mut driver = trusted(MasterReach::VIDEO_CORE_ALIAS);
    let mut target = target();
    driver.bus.place(&*target, NEAR);
    driver.read(&READ_MULTIPLE, 512, &mut target.0[..BLOCKS_8]).unwrap();
    // The alias of the descriptors; as by the processor, and with DMA.
    assert_eq!(driver.bus.values(Register::AdmaAddress), [0xC020_0000]);
    assert_eq!(driver.bus.values(Register::TransferCommand), [0x123A_0037]);
    assert_eq!(driver.bus.values(Register::BlockSizeCount), [8 << 16 | 512]);
}

#[test]
fn memory_out_of_reach_goes_through_the_bounce_buffer() {
    let mut driver = trusted(MasterReach::VIDEO_CORE_ALIAS);
    let mut target = target();
    driver.bus.place(&*target, FAR);
    assert_eq!(driver.read_bytes_max(&target.0), BOUNCE_BYTES);
    driver.read(&READ_MULTIPLE, 512, &mut target.0[..BOUNCE_BYTES]).unwrap();
    assert_eq!(target.0[..BOUNCE_BYTES], counting(BOUNCE_BYTES));
    assert!(driver.bus.events.iter().all(|event| !matches!(event, Event::CleanInvalidate(FAR))));
    assert_eq!(uses_dma(&driver), [true]);
}

#[test]
fn a_later_stepping_reaches_it_directly() {
    let mut driver = trusted(MasterReach::BCM2711_C0);
    let mut target = target();
    driver.bus.place(&*target, FAR);
    assert_eq!(driver.read_bytes_max(&target.0), target.0.len());
    driver.read(&READ_MULTIPLE, 512, &mut target.0).unwrap();
    assert!(driver.bus.events.contains(&Event::CleanInvalidate(FAR)));
    assert_eq!(target.0[..], counting(target.0.len()));
}

#[test]
fn memory_that_shares_a_line_or_lies_in_pieces_is_bounced() {
    let mut driver = trusted(MasterReach::BCM2711_C0);
    let mut target = target();
    driver.bus.place(&target.0[..BLOCKS_8 + 4], NEAR);
    assert_eq!(driver.read_bytes_max(&target.0[4..4 + 512]), BOUNCE_BYTES, "shares lines");
    assert_eq!(driver.read_bytes_max(&target.0[..2 * BLOCKS_8]), BOUNCE_BYTES, "is not all at one place");
    driver.read(&READ_MULTIPLE, 512, &mut target.0[4..4 + BLOCKS_8]).unwrap();
    assert_eq!(target.0[4..4 + BLOCKS_8], counting(BLOCKS_8));
    assert_eq!((target.0[3], target.0[4 + BLOCKS_8]), (0xEE, 0xEE));
}

#[test]
fn a_failure_of_the_dma_ends_it() {
    // An error of the descriptors; no end and no error at all.
    for failure in [Status::ADMA::SET.value, 0] {
        let mut driver = trusted(MasterReach::FIRST_4_GIB);
        driver.bus.dma_failure = Some(failure);
        let error = driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap_err();
        assert!(matches!(error.error.fault, HostFault::Dma | HostFault::Stuck), "{error:?}");
        driver.recover().unwrap();
        let mut bytes = vec![0; BLOCKS_8];
        driver.read(&READ_MULTIPLE, 512, &mut bytes).unwrap();
        assert_eq!((bytes, driver.mode()), (counting(BLOCKS_8), Mode::ProgrammedInput));
        assert_eq!(uses_dma(&driver), [true, false]);
    }
}

#[test]
fn an_error_of_the_card_is_looked_into_by_the_processor_and_dma_goes_on() {
    let mut driver = trusted(MasterReach::FIRST_4_GIB);
    driver.bus.block_errors = Some((3, Status::DATA_CRC::SET.value));
    let failure = driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap_err();
    assert_eq!((failure.blocks_done, failure.error.fault), (0, HostFault::DataCrc));
    driver.recover().unwrap();
    let failure = driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap_err();
    assert_eq!((failure.blocks_done, failure.error.fault), (2, HostFault::DataCrc), "now the block is known");
    driver.recover().unwrap();
    driver.bus.block_errors = None;
    for _ in 0..2 {
        driver.read(&READ_MULTIPLE, 512, &mut vec![0; BLOCKS_8]).unwrap();
    }
    assert_eq!(uses_dma(&driver), [true, false, false, true]);
    assert_eq!(driver.mode(), Mode::Adma2);
}

#[test]
fn registers_of_the_card_are_read_by_the_processor() {
    let mut driver = driver_with_dma(MasterReach::FIRST_4_GIB);
    let command = Command { index: 6, argument: 0, response: ResponseKind::Short };
    driver.read(&command, 64, &mut [0; 64]).unwrap();
    assert_eq!((uses_dma(&driver), driver.mode()), (vec![false], Mode::ProgrammedInput));
}
