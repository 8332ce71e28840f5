//! A card whose blocks, registers and reads are not what they should be: partition table, FAT, directories, loads.

#[allow(dead_code, reason = "the storage's tests use all of it")]
#[path = "../../../../model-loader/storage/tests/storage/fake_card.rs"]
mod fake_card;
#[allow(dead_code, reason = "the storage's tests use all of it")]
#[path = "../../../../model-loader/storage/tests/storage/images.rs"]
mod images;

use std::cell::RefCell;

use barellama_storage::cache::CachedBlocks;
use barellama_storage::host::HostFault;
use barellama_storage::volume::{FileEntry, Volume};
use barellama_storage::{Destination, LoadStep, SdHost, Storage, StorageStep};
use fatfs::FatType;

use crate::input::Input;
use fake_card::{BadBlock, FakeCard, Kind};
use images::{BLOCK, Memory, START_LBA, geometry, usual};

/// Steps in which the card must be ready or refused.
const STEPS_MAX: usize = 20_000;
/// Loads of files that claim to be larger are only begun.
const LOAD_BYTES_MAX: u64 = 1 << 20;
/// Steps of a load of that size.
const LOAD_STEPS_MAX: usize = 10_000;

/// An intact card and where its structures lie.
struct Base {
    image: Vec<u8>,
    /// First blocks of: partition table, boot sector, file system information, FAT, directories, data.
    places: [usize; 6],
}

thread_local! {
    static BASES: RefCell<Vec<Base>> = RefCell::new([FatType::Fat16, FatType::Fat32].map(base).into());
}

fn base(kind: FatType) -> Base {
    let image = usual(kind);
    let layout = geometry(&image);
    let [fat, directories, data] = [layout.fat_lba, layout.directories_lba, layout.data_lba].map(|lba| lba as usize);
    Base { image, places: [0, START_LBA, START_LBA + 1, fat, directories, data] }
}

/// A byte for the card's behaviour, then changes: place, offset, length, bytes.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    BASES.with_borrow_mut(|bases| {
        let base = &mut bases[usize::from(flags & 1)];
        let mut changes = Vec::new();
        let mut image = std::mem::take(&mut base.image);
        let mut spoil = Spoil::default();
        while !input.is_empty() {
            change(&mut input, &base.places, &mut image, &mut changes, &mut spoil);
        }
        walk(&mut image);
        let mut card = FakeCard::new(if flags & 2 == 0 { Kind::High } else { Kind::Standard }, image);
        card.refuses_high_speed = flags & 4 != 0;
        card.is_bad_at_high_speed = flags & 8 != 0;
        spoil.apply(&mut card);
        read_whole(&mut card);
        base.image = card.image;
        for (at, byte) in changes.into_iter().rev() {
            base.image[at] = byte;
        }
    });
}

/// What is wrong with the card beside its blocks.
#[derive(Default)]
struct Spoil {
    statuses: Vec<(u8, u32)>,
    bad_blocks: Vec<(u32, u32)>,
}

impl Spoil {
    fn apply(&self, card: &mut FakeCard) {
        card.status_of.extend(self.statuses.iter().copied());
        let bad = |times| BadBlock { times, fault: HostFault::DataCrc };
        card.bad_blocks.extend(self.bad_blocks.iter().map(|&(lba, times)| (lba, bad(times))));
    }
}

fn change(
    input: &mut Input<'_>,
    places: &[usize; 6],
    image: &mut [u8],
    changes: &mut Vec<(usize, u8)>,
    spoil: &mut Spoil,
) {
    match input.byte() % 8 {
        6 => {
            // Bits 31:13 are errors and flags; the state below is the card's own.
            let (index, bits) = (input.byte() % 64, input.u32() & !0x1FFF);
            spoil.statuses.push((index, bits));
        }
        7 => {
            let lba = places[usize::from(input.byte()) % 6] as u32 + u32::from(input.byte());
            spoil.bad_blocks.push((lba, u32::from(input.byte())));
        }
        place => {
            let at = places[usize::from(place)] * BLOCK + usize::from(input.u16());
            let length = usize::from(input.byte() % 32) + 1;
            for (offset, &byte) in input.take(length).iter().enumerate() {
                if let Some(old) = image.get_mut(at + offset) {
                    changes.push((at + offset, std::mem::replace(old, byte)));
                }
            }
        }
    }
}

/// The whole way, as the kernel's loop goes it. The card panics if it is read behind its end or misused.
fn read_whole(card: &mut FakeCard) {
    let mut storage = Storage::<&mut dyn SdHost>::new();
    assert!(storage.add_host(card).is_ok());
    let mut now_ns = 0;
    let settled = (0..STEPS_MAX).find_map(|_| {
        now_ns += 500_000;
        match storage.step(now_ns) {
            StorageStep::Busy => None,
            settled => Some(settled),
        }
    });
    match settled.expect("the storage settles") {
        StorageStep::Failed(error) => assert!(!error.to_string().is_empty()),
        _ => {
            let mut text = [0; 512];
            let _ = storage.read_small_file("barellama.txt", &mut text);
            let models = storage.models().clone();
            models.list.iter().for_each(|model| load(&mut storage, &model.path));
        }
    }
}

/// Exactly the file's bytes, each once and in their order.
struct Checked {
    memory: Vec<u8>,
    file_bytes: u64,
}

impl Destination for Checked {
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]> {
        assert!(offset < self.file_bytes && offset + bytes as u64 <= self.file_bytes.next_multiple_of(BLOCK as u64));
        self.memory.window(offset, bytes)
    }
}

fn load(storage: &mut Storage<&mut dyn SdHost>, path: &str) {
    let Ok(mut load) = storage.open_load(path) else { return };
    let file_bytes = load.file_bytes();
    if file_bytes > LOAD_BYTES_MAX {
        let mut nothing = Checked { memory: Vec::new(), file_bytes };
        let _ = storage.load_step(&mut load, &mut nothing, 0);
        return;
    }
    let mut destination = Checked { memory: vec![0; file_bytes as usize], file_bytes };
    for step in 0..LOAD_STEPS_MAX {
        match storage.load_step(&mut load, &mut destination, step as u64 * 10_000_000) {
            Ok(LoadStep::Done(summary)) => return assert_eq!(summary.bytes, file_bytes),
            Ok(_) => {}
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
    panic!("a load of {file_bytes} bytes does not end");
}

/// Files lie inside the file system, whatever the tables say.
fn walk(image: &mut Vec<u8>) {
    let mut memory = Memory { image: std::mem::take(image), reads: 0 };
    {
        let mut blocks = CachedBlocks::new(&mut memory);
        if let Ok(volume) = Volume::mount(&mut blocks) {
            let models = volume.find_models(&mut blocks).unwrap_or_default();
            for path in models.list.iter().map(|model| model.path.as_str()).chain(["barellama.txt", "models/x"]) {
                if let Ok(file) = volume.open(&mut blocks, path) {
                    check_extents(&file, &mut blocks);
                }
            }
        }
    }
    *image = memory.image;
}

fn check_extents(file: &FileEntry, blocks: &mut CachedBlocks<&mut Memory>) {
    let layout = file.geometry;
    let end = u64::from(layout.start_lba) + u64::from(layout.block_count);
    let Ok(mut walk) = file.walk() else { return };
    let mut total_blocks = 0;
    while let Ok(Some(extent)) = walk.next_extent(blocks, u32::MAX) {
        assert!(extent.blocks > 0 && extent.lba >= layout.data_lba, "{extent:?} lies before the data");
        assert!(u64::from(extent.lba) + u64::from(extent.blocks) <= end, "{extent:?} lies behind the file system");
        total_blocks += u64::from(extent.blocks);
        assert!(total_blocks <= u64::from(layout.block_count), "a file is no larger than its file system");
    }
}
