//! The driver against registers that record every access.

mod card;
mod dma;
mod engine;
mod fake;
mod fake_channel;
mod whole_start;

use super::words::DIVIDER_MAX;
use super::*;
use crate::drivers::dma::MasterReach;
use fake::FakeBus;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

fn driver() -> Sdhci<FakeBus> {
    Sdhci::new(
        FakeBus::default(),
        SdhciSettings::bcm_emmc2(200_000_000, MasterReach::VIDEO_CORE_ALIAS, is_connected),
        None,
    )
}

const READ_MULTIPLE: Command = Command { index: 18, argument: 0x1234, response: ResponseKind::Short };

/// Where buffers and targets of DMA lie, as physical addresses.
const BUFFERS: u64 = 0x20_0000;
const NEAR: u64 = 0x1000_0000;
const BLOCKS_8: usize = 8 * 512;

/// Whole cache lines.
#[repr(align(64))]
struct Target([u8; 256 << 10]);

fn target() -> Box<Target> {
    Box::new(Target([0xEE; 256 << 10]))
}

/// What the fake without a card sends.
fn counting(bytes: usize) -> Vec<u8> {
    (1..=bytes as u32 / 4).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn block_size_and_count_are_one_write() {
    let mut driver = driver();
    driver.read(&READ_MULTIPLE, 512, &mut vec![0; 3 * 512]).unwrap();
    assert_eq!(driver.bus.values(Register::BlockSizeCount), [3 << 16 | 512]);
}

#[test]
fn transfer_mode_and_command_are_one_write() {
    let mut driver = driver();
    driver.read(&READ_MULTIPLE, 512, &mut vec![0; 3 * 512]).unwrap();
    // CMD18, data, index and CRC checked, 48 bits; multiple, from the card, stop by itself, count on, no DMA.
    assert_eq!(driver.bus.values(Register::TransferCommand), [0x123A_0036]);
    assert_eq!(driver.bus.values(Register::Argument), [0x1234]);
}

#[test]
fn a_single_block_stops_by_itself() {
    let mut driver = driver();
    let command = Command { index: 17, argument: 7, response: ResponseKind::Short };
    driver.read(&command, 512, &mut [0; 512]).unwrap();
    assert_eq!(driver.bus.values(Register::TransferCommand), [0x113A_0010]);
}

#[test]
fn response_kinds_have_their_bits() {
    let kinds = [
        (0, ResponseKind::None, 0x0000_0000),
        (2, ResponseKind::Long, 0x0209_0000),
        (7, ResponseKind::ShortBusy, 0x071B_0000),
        (8, ResponseKind::Short, 0x081A_0000),
        (12, ResponseKind::ShortBusy, 0x0CDB_0000),
        (41, ResponseKind::ShortUnchecked, 0x2902_0000),
    ];
    for (index, response, word) in kinds {
        let mut driver = driver();
        driver.command(&Command { index, argument: 0, response }).unwrap();
        assert_eq!(driver.bus.values(Register::TransferCommand), [word], "CMD{index}");
    }
}

#[test]
fn writes_keep_their_distance_at_the_identification_clock() {
    let mut driver = driver();
    driver.begin_reset();
    driver.power_on();
    driver.stop_clock();
    assert_eq!(driver.begin_clock(400_000), 400_000);
    driver.start_clock();
    driver.command(&Command { index: 0, argument: 0, response: ResponseKind::None }).unwrap();
    driver.recover().unwrap();
    assert!(driver.bus.shortest_gap_ns() >= 10_000, "{} ns", driver.bus.shortest_gap_ns());
}

#[test]
fn writes_come_faster_at_the_data_clock() {
    let mut driver = driver();
    assert_eq!(driver.begin_clock(50_000_000), 50_000_000);
    assert!(driver.bus.writes.len() == 1 && driver.bus.time_ns >= 10_000, "the change itself is slow");
    driver.bus.writes.clear();
    driver.read(&READ_MULTIPLE, 512, &mut vec![0; 2 * 512]).unwrap();
    assert!((80..1000).contains(&driver.bus.shortest_gap_ns()), "{} ns", driver.bus.shortest_gap_ns());
}

#[test]
fn the_data_port_is_read_without_pauses() {
    let mut driver = driver();
    let mut block = [0; 512];
    driver.bus.status = Status::READ_READY::SET.value;
    driver.bus.data = [1_u32, 2].iter().flat_map(|word| word.to_le_bytes()).collect();
    let looks_before = driver.bus.time_ns;
    driver.bus.read_data(&mut block);
    assert_eq!(driver.bus.time_ns, looks_before);
    assert_eq!(&block[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn dividers_never_exceed_the_rate() {
    assert_eq!(divider(200_000_000, 400_000), 250);
    assert_eq!(divider(250_000_000, 25_000_000), 5);
    assert_eq!(divider(50_000_000, 400_000), 63);
    assert_eq!(divider(50_000_000, 50_000_000), 0);
    assert_eq!(divider(100_000_000, 50_000_000), 1);
    assert_eq!(divider(u32::MAX, 1), DIVIDER_MAX);
    let mut driver = driver();
    driver.begin_clock(400_000);
    // Timeout 11, divider 250, internal clock on.
    assert_eq!(driver.bus.values(Register::ClockReset), [0x000B_FA01]);
    driver.settings.base_clock_hz = Some(500_000_000);
    driver.begin_clock(400_000);
    // Divider 625 = 2 << 8 | 0x71: the upper bits lie in bits 7:6.
    assert_eq!(driver.bus.values(Register::ClockReset)[1], 0x000B_7181);
}

#[test]
fn power_is_switched_only_where_there_is_a_switch() {
    let mut driver = driver();
    driver.power_on();
    assert_eq!(driver.bus.values(Register::Control), [0x0000_0F00]);
    assert_eq!(driver.bus.values(Register::StatusEnable), [0xFFFF_FEFF]);
    assert_eq!(driver.bus.values(Register::SignalEnable), [0]);
    let mut legacy = Sdhci::new(FakeBus::default(), SdhciSettings::bcm_legacy(50_000_000, is_connected), None);
    legacy.power_on();
    legacy.set_high_speed();
    legacy.set_bus_width(BusWidth::Four);
    assert_eq!(legacy.bus.values(Register::Control), [0, 0b10]);
}

#[test]
fn long_responses_get_their_checksum_byte_back() {
    let mut driver = driver();
    driver.bus.response = [0x4433_2211, 0x8877_6655, 0xCCBB_AA99, 0x00FF_EEDD];
    let response = driver.command(&Command { index: 9, argument: 0, response: ResponseKind::Long }).unwrap();
    assert_eq!(response.words, [0x3322_1100, 0x7766_5544, 0xBBAA_9988, 0xFFEE_DDCC]);
}

#[test]
fn errors_are_named_with_the_status() {
    let mut driver = driver();
    driver.bus.errors = Status::COMMAND_TIMEOUT::SET.value;
    let command = Command { index: 8, argument: 0, response: ResponseKind::Short };
    let error = driver.command(&command).unwrap_err();
    assert_eq!(error, HostError { fault: HostFault::CommandTimeout, status: 0x0001_0001 });
}

#[test]
fn a_bad_block_is_reported_with_the_good_ones_before_it() {
    let mut driver = driver();
    driver.bus.block_errors = Some((3, Status::DATA_CRC::SET.value));
    let failure = driver.read(&READ_MULTIPLE, 512, &mut vec![0; 4 * 512]).unwrap_err();
    assert_eq!(failure.blocks_done, 2);
    assert_eq!(failure.error.fault, HostFault::DataCrc);
}

#[test]
fn a_transfer_that_is_complete_in_spite_of_a_timeout_is_complete() {
    let mut driver = driver();
    driver.bus.status = Status::TRANSFER_COMPLETE::SET.value | Status::DATA_TIMEOUT::SET.value;
    let wanted = Status::TRANSFER_COMPLETE::SET.value;
    assert_eq!(driver.wait_status(wanted, 1, HostFault::Stuck), Ok(()));
}

#[test]
fn a_controller_that_hangs_is_given_up() {
    let mut driver = driver();
    driver.bus.is_stuck = true;
    let command = Command { index: 13, argument: 0, response: ResponseKind::Short };
    assert_eq!(driver.command(&command).unwrap_err().fault, HostFault::Stuck);
    driver.bus.present_state = PresentState::COMMAND_INHIBIT::SET.value;
    assert_eq!(driver.command(&command).unwrap_err().fault, HostFault::Inhibited);
    assert!(driver.bus.time_ns < 1_000_000_000);
}

#[test]
fn recovery_resets_both_lines_and_clears_the_status() {
    let mut driver = driver();
    driver.bus.clock = 0x0000_FA07;
    driver.bus.status = u32::MAX;
    driver.recover().unwrap();
    assert_eq!(driver.bus.values(Register::ClockReset), [0x0600_FA07]);
    assert_eq!(driver.bus.status, 0);
}
