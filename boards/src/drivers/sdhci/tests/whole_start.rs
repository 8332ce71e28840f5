//! A card's start and its reads over the registers: what the standard and the BCM chips ask for, at every step.

use super::card::RegisterCard;
use super::fake::{ADMA2, FakeBus};
use super::*;
use crate::drivers::dma::MasterReach;
use barellama_storage::block::BlockReader;
use barellama_storage::card::{CardStep, SdCard};
use std::vec;
use std::vec::Vec;

const BLOCKS: usize = 1024;

fn content() -> Vec<u8> {
    (0..BLOCKS as u32 * 128).flat_map(|word| word.wrapping_mul(0x9E37_79B1).to_le_bytes()).collect()
}

fn emmc2(base_clock_hz: u32, spoil: impl FnOnce(&mut FakeBus)) -> SdCard<Sdhci<FakeBus>> {
    let card = RegisterCard { content: content(), ..RegisterCard::default() };
    let mut bus = FakeBus { card: Some(card), base_clock_hz, ..FakeBus::default() };
    bus.bus_offset = MasterReach::VIDEO_CORE_ALIAS.bus_offset;
    let buffers = bus.buffers(0x8_0000);
    spoil(&mut bus);
    SdCard::new(Sdhci::new(
        bus,
        SdhciSettings::bcm_emmc2(base_clock_hz, MasterReach::VIDEO_CORE_ALIAS, is_connected),
        Some(buffers),
    ))
}

/// Steps until the card is ready, a millisecond each.
fn start(card: &mut SdCard<Sdhci<FakeBus>>) -> barellama_storage::card::CardInfo {
    for step in 0..3000 {
        match card.step(step * 1_000_000) {
            CardStep::Busy => {}
            CardStep::Ready(info) => return info,
            CardStep::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the start does not end");
}

/// The fake checks the clocks and the distances of all writes.
#[test]
fn a_card_starts_at_every_base_clock() {
    for base_clock_hz in [50_000_000, 100_000_000, 200_000_000, 250_000_000, 333_333_333, 500_000_000, 750_000_000] {
        let mut card = emmc2(base_clock_hz, |_| {});
        let info = start(&mut card);
        assert!(info.has_four_lines && info.is_high_speed && info.is_high_capacity, "{info}");
        assert!((25_000_000..=50_000_000).contains(&info.clock_hz), "{info}");
        assert_eq!(info.block_count, BLOCKS as u32);
    }
}

#[test]
fn the_controller_is_reset_to_3_3_volt_one_line_and_default_speed() {
    let mut card = emmc2(200_000_000, |bus| (bus.control, bus.clock) = (0x0A06, 0x0000_FA03));
    start(&mut card);
    let host = card.into_host();
    assert_eq!(host.bus.values(Register::ClockReset)[0], 0x0100_0000, "a reset of everything comes first");
    // 3.3 V and power, one line; then four lines; then high speed.
    assert_eq!(host.bus.values(Register::Control), [0x0F00, 0x0F02, 0x0F06]);
    assert_eq!(host.bus.values(Register::Control2), [0], "no 1.8 V");
}

#[test]
fn the_start_goes_by_the_standard() {
    let mut card = emmc2(200_000_000, |_| {});
    start(&mut card);
    let host = card.into_host();
    let commands = &host.bus.card.as_ref().unwrap().commands;
    let expected = [0, 8, 55, 41, 2, 3, 9, 7, 55, 51, 55, 6, 6, 6, 55, 51];
    assert_eq!(commands.as_slice(), expected);
    // 400 kHz, 25 MHz, 50 MHz.
    let dividers = host.bus.values(Register::ClockReset);
    let clocks = [0x000B_FA01, 0x000B_0401, 0x000B_0201];
    assert!(clocks.iter().all(|clock| dividers.contains(clock)), "{dividers:#010x?}");
}

#[test]
fn a_card_that_does_not_switch_stays_at_default_speed() {
    let mut card = emmc2(200_000_000, |bus| bus.card.as_mut().unwrap().stays_slow = true);
    let info = start(&mut card);
    assert!(!info.is_high_speed);
    assert_eq!(info.clock_hz, 25_000_000);
    assert!(card.into_host().bus.values(Register::Control).iter().all(|control| control & 0b100 == 0));
}

#[test]
fn blocks_come_by_both_ways() {
    for capabilities in [0, ADMA2] {
        let mut card = emmc2(200_000_000, |bus| bus.capabilities = capabilities);
        start(&mut card);
        let mut bytes = vec![0; 32 * 512];
        for lba in [0, 32, 900] {
            card.read_blocks(lba, &mut bytes).unwrap();
            assert_eq!(bytes, content()[lba as usize * 512..][..32 * 512]);
        }
        let expected = if capabilities == 0 { Mode::ProgrammedInput } else { Mode::Adma2 };
        assert_eq!(card.info().unwrap().mode, expected);
    }
}

#[test]
fn an_error_resets_both_lines_asks_for_the_state_and_reads_again() {
    let mut card = emmc2(200_000_000, |_| {});
    start(&mut card);
    let mut host = card.into_host();
    host.bus.writes.clear();
    let mut card = SdCard::new(host);
    start(&mut card);
    let mut host = card.into_host();
    host.bus.block_errors = Some((3, Status::DATA_CRC::SET.value));
    let mut bytes = vec![0; 8 * 512];
    let failure = host.read(&READ_MULTIPLE_AT_0, 512, &mut bytes).unwrap_err();
    assert_eq!(failure.blocks_done, 2);
    host.recover().unwrap();
    assert_eq!(host.bus.values(Register::ClockReset).last().unwrap() & 0x0700_0000, 0x0600_0000);
}

const READ_MULTIPLE_AT_0: Command = Command { index: 18, argument: 0, response: ResponseKind::Short };

/// The fake refuses any command on lines that were not reset.
#[test]
fn a_block_with_a_passing_error_is_read_again() {
    let mut card = emmc2(200_000_000, |bus| bus.capabilities = ADMA2);
    start(&mut card);
    let mut bytes = vec![0; 16 * 512];
    card.read_blocks(0, &mut bytes).unwrap();
    let mut host = card.into_host();
    host.bus.dma_failure = Some(Status::ADMA::SET.value);
    host.bus.card.as_mut().unwrap().commands.clear();
    let mut card = SdCard::new(host);
    start(&mut card);
    card.read_blocks(64, &mut bytes).unwrap();
    assert_eq!(bytes, content()[64 * 512..][..16 * 512]);
    assert_eq!(card.info().unwrap().mode, Mode::ProgrammedInput, "DMA failed once");
    assert_eq!(card.counters().errors, 1);
    let commands = card.into_host().bus.card.unwrap().commands;
    // Processor, DMA that fails, the card's state, the processor again.
    assert_eq!(commands[commands.len() - 4..], [18, 18, 13, 18]);
}
