//! The start of a card.

use crate::fake_card::{FakeCard, Kind};
use barellama_storage::block::BlockReader;
use barellama_storage::card::error::CardError;
use barellama_storage::card::{CardInfo, CardStep, SdCard};
use barellama_storage::host::{HostError, HostFault, Mode};

const STEP_NS: u64 = 500_000;
const IMAGE_BYTES: usize = 2 << 20;

/// Steps until something is settled; returns the time that it took.
pub fn start(card: &mut SdCard<FakeCard>) -> (CardStep, u64) {
    for step in 0..100_000 {
        match card.step(step * STEP_NS) {
            CardStep::Busy => {}
            settled => return (settled, step * STEP_NS),
        }
    }
    panic!("the start does not end");
}

fn image() -> Vec<u8> {
    vec![0xA5; IMAGE_BYTES]
}

fn ready(card: FakeCard) -> (CardInfo, FakeCard) {
    let mut card = SdCard::new(card);
    match start(&mut card).0 {
        CardStep::Ready(info) => (info, card.into_host()),
        other => panic!("{other:?}"),
    }
}

fn failure(card: FakeCard) -> (CardError, u64) {
    let mut card = SdCard::new(card);
    match start(&mut card) {
        (CardStep::Failed(error), time_ns) => (error, time_ns),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_large_card_starts_at_high_speed_with_four_lines() {
    let (info, host) = ready(FakeCard::new(Kind::High, image()));
    let expected = CardInfo {
        host_name: "FAKE",
        block_count: (IMAGE_BYTES / 512) as u32,
        is_high_capacity: true,
        has_four_lines: true,
        is_high_speed: true,
        clock_hz: 50_000_000,
        mode: Mode::ProgrammedInput,
    };
    assert_eq!(info, expected);
    assert_eq!(info.to_string(), "SDHC/SDXC card of 2 MB on FAKE, 4 bit, 50.000 MHz, high speed, programmed input");
    assert_eq!(host.sent(16), 0);
}

#[test]
fn a_standard_card_gets_its_block_length() {
    let (info, host) = ready(FakeCard::new(Kind::Standard, image()));
    assert!(!info.is_high_capacity && info.is_high_speed);
    assert_eq!(info.block_count, (IMAGE_BYTES / 512) as u32);
    assert_eq!(host.sent(16), 1);
}

#[test]
fn a_card_of_version_one_starts_without_what_it_does_not_know() {
    let (info, host) = ready(FakeCard::new(Kind::VersionOne, image()));
    assert!(!info.is_high_capacity && !info.is_high_speed && !info.has_four_lines);
    assert_eq!(info.clock_hz, 25_000_000);
    let (_, argument, _) = host.log.iter().find(|entry| entry.0 == 41).unwrap();
    assert_eq!(argument & 1 << 30, 0, "a host must not offer high capacity to it");
}

#[test]
fn a_card_without_high_speed_stays_at_default_speed() {
    let mut card = FakeCard::new(Kind::High, image());
    card.refuses_high_speed = true;
    let (info, _) = ready(card);
    assert!(!info.is_high_speed && info.has_four_lines);
    assert_eq!(info.clock_hz, 25_000_000);
}

#[test]
fn a_card_that_fails_at_high_speed_starts_again_without() {
    let mut card = FakeCard::new(Kind::High, image());
    card.is_bad_at_high_speed = true;
    let (info, host) = ready(card);
    assert!(!info.is_high_speed);
    assert_eq!(host.sent(0), 2);
}

#[test]
fn an_empty_slot_is_no_card() {
    let (error, time_ns) = failure(FakeCard::absent());
    assert_eq!(error, CardError::NoCard);
    assert!(time_ns < 100_000_000, "an empty slot must not hold up the next controller");
}

#[test]
fn power_up_is_waited_for_but_not_for_ever() {
    let mut card = FakeCard::new(Kind::High, image());
    card.power_up_polls = 80;
    let (_, host) = ready(card);
    assert_eq!(host.sent(41), 81);

    let mut card = FakeCard::new(Kind::High, image());
    card.power_up_polls = u32::MAX;
    let (error, time_ns) = failure(card);
    assert_eq!(error, CardError::PowerUpTimeout { ocr: 0x00FF_8000 });
    assert!((1_000_000_000..2_000_000_000).contains(&time_ns));
}

#[test]
fn a_controller_that_hangs_is_given_up() {
    let mut card = FakeCard::new(Kind::High, image());
    card.never_resets = true;
    assert_eq!(failure(card).0, CardError::ResetStuck);
    let mut card = FakeCard::new(Kind::High, image());
    card.never_has_clock = true;
    assert_eq!(failure(card).0, CardError::ClockUnstable);
}

#[test]
fn error_bits_and_locks_are_told() {
    let mut card = FakeCard::new(Kind::High, image());
    card.status_of.insert(51, 1 << 19);
    assert_eq!(failure(card).0, CardError::Status { index: 51, status: 4 << 9 | 1 << 19 });
    let mut card = FakeCard::new(Kind::High, image());
    card.status_of.insert(7, 1 << 25);
    assert_eq!(failure(card).0, CardError::Locked);
}

#[test]
fn the_card_is_not_read_before_it_is_ready() {
    let mut card = SdCard::new(FakeCard::new(Kind::High, image()));
    assert!(card.read_blocks(0, &mut [0; 512]).is_err());
    assert_eq!(card.block_count(), 0);
}

#[test]
fn errors_name_command_and_status() {
    let error = HostError { fault: HostFault::CommandCrc, status: 0x0002_8001 };
    let text = CardError::Command { index: 9, argument: 0xB36F_0000, error }.to_string();
    assert!(text.contains("CMD9") && text.contains("0xb36f0000") && text.contains("0x00028001"), "{text}");
}
