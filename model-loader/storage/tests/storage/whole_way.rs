//! Controllers, card, file system and load together, as the kernel calls them.

use crate::fake_card::{BadBlock, FakeCard, Kind, Slot};
use crate::images::{first_cluster, geometry, pattern, usual};
use barellama_storage::block::ReadError;
use barellama_storage::host::HostFault;
use barellama_storage::{LoadStep, SdHost, Storage, StorageError, StorageStep};
use fatfs::FatType;

const MODEL: &str = "TinyLlama 1.1B Chat, Q4_0.gguf";

fn settle(storage: &mut Storage<&mut dyn SdHost>) -> StorageStep {
    for step in 0..100_000 {
        match storage.step(step * 500_000) {
            StorageStep::Busy => {}
            settled => return settled,
        }
    }
    panic!("the storage does not settle");
}

fn storage<'a>(cards: impl IntoIterator<Item = &'a mut FakeCard>) -> Storage<&'a mut dyn SdHost> {
    let mut storage = Storage::<&mut dyn SdHost>::new();
    for card in cards {
        assert!(storage.add_host(card).is_ok());
    }
    storage
}

fn load(storage: &mut Storage<&mut dyn SdHost>, path: &str) -> Result<Vec<u8>, StorageError> {
    let mut load = storage.open_load(path)?;
    let mut bytes = vec![0; load.file_bytes() as usize];
    let mut now_ns = 0;
    while !matches!(storage.load_step(&mut load, &mut bytes[..], now_ns)?, LoadStep::Done(_)) {
        now_ns += 10_000_000;
    }
    Ok(bytes)
}

#[test]
fn the_model_comes_from_the_second_controller() {
    for (kind, fat) in [(Kind::Standard, FatType::Fat16), (Kind::High, FatType::Fat32)] {
        let (mut empty, mut card) = (FakeCard::absent(), FakeCard::new(kind, usual(fat)));
        let mut storage = storage([&mut empty, &mut card]);
        assert_eq!(storage.first_model(), Err(StorageError::NotReady));
        assert_eq!(settle(&mut storage), StorageStep::Ready);
        assert_eq!(storage.card().unwrap().host_name, "FAKE");
        assert_eq!(storage.first_model().unwrap().path, MODEL);
        assert_eq!(load(&mut storage, MODEL).unwrap(), pattern(70_001));
        let mut text = [0; 64];
        assert_eq!(storage.read_small_file("barellama.txt", &mut text), Ok(10));
        assert_eq!(storage.counters().errors, 0);
    }
}

#[test]
fn no_card_anywhere_is_told_and_can_be_mended() {
    let (mut first, mut second) = (FakeCard::absent(), FakeCard::absent());
    {
        let mut storage = storage([&mut first, &mut second]);
        assert_eq!(settle(&mut storage), StorageStep::Failed(StorageError::NoCard));
        assert_eq!(storage.first_model(), Err(StorageError::NoCard));
        assert!(storage.open_load(MODEL).is_err() && storage.card().is_none());
    }
    assert_eq!(settle(&mut storage([])), StorageStep::Failed(StorageError::NoCard));
}

#[test]
fn a_restart_begins_again() {
    let mut card = FakeCard::new(Kind::High, usual(FatType::Fat16));
    let mut storage = storage([&mut card]);
    assert_eq!(settle(&mut storage), StorageStep::Ready);
    storage.restart();
    assert_eq!(storage.first_model(), Err(StorageError::NotReady));
    assert_eq!(settle(&mut storage), StorageStep::Ready);
    assert_eq!(load(&mut storage, MODEL).unwrap(), pattern(70_001));
}

#[test]
fn a_card_that_was_pulled_is_noticed_and_the_next_one_is_started() {
    let mut card = FakeCard::new(Kind::High, usual(FatType::Fat16));
    let slot = card.slot.clone();
    let put = |state| *slot.lock().unwrap() = state;
    let mut storage = storage([&mut card]);
    assert!(!storage.answers(), "nothing was started");
    assert_eq!(settle(&mut storage), StorageStep::Ready);
    assert!(storage.answers());
    assert_eq!(load(&mut storage, MODEL).unwrap(), pattern(70_001));

    put(Slot::Empty);
    assert!(!storage.answers());
    assert!(matches!(load(&mut storage, MODEL), Err(StorageError::Read(_))));
    storage.restart();
    assert_eq!(settle(&mut storage), StorageStep::Failed(StorageError::NoCard));
    assert!(!storage.answers());

    put(Slot::Filled);
    storage.restart();
    assert_eq!(settle(&mut storage), StorageStep::Ready);
    // Another one in its place, so quickly that nobody asked meanwhile.
    put(Slot::Filled);
    assert!(!storage.answers());
    storage.restart();
    assert_eq!(settle(&mut storage), StorageStep::Ready);
    assert!(storage.answers());
    assert_eq!(load(&mut storage, MODEL).unwrap(), pattern(70_001));
}

#[test]
fn a_card_that_fails_says_more_than_an_empty_slot() {
    let mut broken = FakeCard::new(Kind::High, usual(FatType::Fat16));
    broken.status_of.insert(7, 1 << 25);
    let mut empty = FakeCard::absent();
    let error = match settle(&mut storage([&mut broken, &mut empty])) {
        StorageStep::Failed(error) => error,
        other => panic!("{other:?}"),
    };
    assert!(error.to_string().contains("password"), "{error}");
}

#[test]
fn a_bad_block_ends_the_load_with_its_number_and_the_load_can_go_on() {
    let image = usual(FatType::Fat16);
    let cluster = first_cluster(&image, MODEL);
    let lba = geometry(&image).cluster_lba(cluster) + 100;
    let mut card = FakeCard::new(Kind::Standard, image);
    // The fifth attempt is good: one more than a step makes.
    card.bad_blocks.insert(lba, BadBlock { times: 4, fault: HostFault::DataCrc });
    let mut storage = storage([&mut card]);
    assert_eq!(settle(&mut storage), StorageStep::Ready);

    let mut load = storage.open_load(MODEL).unwrap();
    let mut bytes = vec![0; 70_001];
    let mut errors = Vec::new();
    for step in 0..1000 {
        match storage.load_step(&mut load, &mut bytes[..], step * 10_000_000) {
            Ok(LoadStep::Done(_)) => break,
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    assert!(matches!(errors[..], [StorageError::Read(ReadError { lba: number, .. })] if number == lba), "{errors:?}");
    assert_eq!(bytes, pattern(70_001));
    assert_eq!(storage.counters().errors, 4);
}
