//! Reads, retries and errors of a card that was started.

use crate::fake_card::{BadBlock, FakeCard, Kind};
use crate::images::pattern;
use crate::starting::start;
use barellama_storage::block::{BlockReader, ReadCause, ReadError};
use barellama_storage::card::{CardStep, RETRIES, SdCard};
use barellama_storage::host::{HostError, HostFault};

const IMAGE_BYTES: usize = 1 << 20;
const BLOCKS: u32 = (IMAGE_BYTES / 512) as u32;

fn started(kind: Kind, spoil: impl FnOnce(&mut FakeCard)) -> SdCard<FakeCard> {
    let mut host = FakeCard::new(kind, pattern(IMAGE_BYTES));
    spoil(&mut host);
    let mut card = SdCard::new(host);
    assert!(matches!(start(&mut card).0, CardStep::Ready(_)));
    card
}

fn spoil(card: &mut FakeCard, lba: u32, times: u32, fault: HostFault) {
    card.bad_blocks.insert(lba, BadBlock { times, fault });
}

#[test]
fn one_command_reads_many_blocks() {
    for kind in [Kind::Standard, Kind::High] {
        let mut card = started(kind, |_| {});
        let mut bytes = vec![0; 300 * 512];
        card.read_blocks(7, &mut bytes).unwrap();
        assert_eq!(bytes, pattern(IMAGE_BYTES)[7 * 512..][..300 * 512]);
        let log = card.into_host().log;
        let argument = if kind == Kind::High { 7 } else { 7 * 512 };
        assert_eq!(log.last(), Some(&(18, argument, 300)));
        assert_eq!(log.iter().filter(|entry| entry.0 == 18).count(), 1);
    }
}

#[test]
fn a_controller_that_takes_less_is_asked_more_often() {
    let mut card = started(Kind::High, |host| host.read_bytes_max = 64 * 512);
    let mut bytes = vec![0; 150 * 512];
    card.read_blocks(7, &mut bytes).unwrap();
    assert_eq!(bytes, pattern(IMAGE_BYTES)[7 * 512..][..150 * 512]);
    let log = card.into_host().log;
    assert_eq!(log[log.len() - 3..], [(18, 7, 64), (18, 71, 64), (18, 135, 22)]);
}

#[test]
fn one_block_is_read_by_its_own_command() {
    let mut card = started(Kind::High, |_| {});
    let mut block = [0; 512];
    card.read_blocks(BLOCKS - 1, &mut block).unwrap();
    assert_eq!(block, pattern(IMAGE_BYTES)[IMAGE_BYTES - 512..]);
    assert_eq!(card.into_host().log.last(), Some(&(17, BLOCKS - 1, 1)));
}

#[test]
fn blocks_behind_the_end_are_refused() {
    let mut card = started(Kind::Standard, |_| {});
    let error = card.read_blocks(BLOCKS - 1, &mut [0; 1024]).unwrap_err();
    assert_eq!(error.cause, ReadCause::BeyondEnd { block_count: BLOCKS });
    assert!(card.read_blocks(u32::MAX, &mut [0; 1024]).is_err());
    assert_eq!(card.read_blocks(0, &mut [0; 511]).unwrap_err().cause, ReadCause::BadLength);
    assert!(card.read_blocks(0, &mut []).is_ok());
}

#[test]
fn a_bad_block_is_read_again_from_where_it_failed() {
    for fault in [HostFault::DataCrc, HostFault::DataTimeout, HostFault::DataEndBit] {
        let mut card = started(Kind::High, |card| spoil(card, 20, RETRIES, fault));
        let mut bytes = vec![0; 64 * 512];
        card.read_blocks(0, &mut bytes).unwrap();
        assert_eq!(bytes, pattern(IMAGE_BYTES)[..64 * 512]);
        assert_eq!(card.counters().errors, RETRIES);
        assert_eq!(card.counters().blocks, 64);
        let host = card.into_host();
        assert_eq!(host.sent(12), RETRIES as usize, "the card has to leave its data state");
        assert_eq!(host.log.last(), Some(&(18, 20, 44)));
    }
}

#[test]
fn retries_count_for_each_block() {
    let mut card = started(Kind::Standard, |card| {
        for lba in 10..30 {
            spoil(card, lba, RETRIES, HostFault::DataCrc);
        }
    });
    let mut bytes = vec![0; 64 * 512];
    card.read_blocks(0, &mut bytes).unwrap();
    assert_eq!(bytes, pattern(IMAGE_BYTES)[..64 * 512]);
}

#[test]
fn a_block_that_stays_bad_is_reported_and_others_can_be_read() {
    let mut card = started(Kind::High, |card| spoil(card, 20, u32::MAX, HostFault::DataCrc));
    let mut bytes = vec![0; 64 * 512];
    let error = card.read_blocks(0, &mut bytes).unwrap_err();
    let cause = ReadCause::Host(HostError { fault: HostFault::DataCrc, status: 0x8000 });
    assert_eq!(error, ReadError { lba: 20, command: 18, attempts: RETRIES + 1, cause });
    assert_eq!(bytes[..20 * 512], pattern(IMAGE_BYTES)[..20 * 512]);
    let text = error.to_string();
    assert!(text.contains("block 20") && text.contains("CMD18") && text.contains("4 times"), "{text}");

    card.read_blocks(21, &mut bytes[..43 * 512]).unwrap();
    assert_eq!(bytes[..43 * 512], pattern(IMAGE_BYTES)[21 * 512..64 * 512]);
}

#[test]
fn error_bits_of_the_card_are_an_error() {
    let mut card = started(Kind::High, |card| {
        card.status_of.insert(17, 1 << 31);
    });
    let error = card.read_blocks(3, &mut [0; 512]).unwrap_err();
    assert_eq!(error.cause, ReadCause::CardStatus(4 << 9 | 1 << 31));
}
