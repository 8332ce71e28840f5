//! Random damage: whatever the card says, nothing panics, nothing runs for ever, nothing is read outside the card.

use crate::images::{BLOCK, Memory, START_LBA, fragmented, geometry, usual};
use barellama_storage::cache::CachedBlocks;
use barellama_storage::load::{Load, LoadStep};
use barellama_storage::volume::Volume;
use barellama_storage::{StorageError, checksum};
use fatfs::FatType;
use std::ops::Range;

const STEPS_MAX: u64 = 100_000;
/// 2 MiB of directory in lines of 16 KiB, thrice, and 300 KB by single blocks, with plenty to spare.
const READS_MAX: usize = 20_000;
const LOAD_BYTES_MAX: u64 = 1 << 20;

/// Marsaglia's xorshift: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Everything that the kernel does with a card.
fn use_card(memory: &mut Memory) -> Result<u64, StorageError> {
    let mut blocks = CachedBlocks::new(memory);
    let volume = Volume::mount(&mut blocks)?;
    let mut text = [0; 4096];
    let _ = volume.read_small_file(&mut blocks, "barellama.txt", &mut text);
    let mut loaded = 0;
    for model in &volume.find_models(&mut blocks)?.list {
        let _ = checksum::find(&volume, &mut blocks, &model.path);
        let Ok(file) = volume.open(&mut blocks, &model.path) else { continue };
        let Ok(mut load) = Load::new(file, None) else { continue };
        let mut bytes = vec![0; load.file_bytes().min(LOAD_BYTES_MAX) as usize];
        for step in 0.. {
            assert!(step < STEPS_MAX, "the load does not end");
            match load.step(&mut blocks, &mut bytes[..], step) {
                Ok(LoadStep::Done(summary)) => {
                    loaded += summary.bytes;
                    break;
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    Ok(loaded)
}

/// Where damage hurts: table, boot sector and its neighbours, the FAT of the files, directories and their clusters.
fn targets(image: &[u8]) -> [Range<usize>; 5] {
    let geometry = geometry(image);
    let fat = geometry.fat_lba as usize * BLOCK;
    let directories = geometry.directories_lba as usize * BLOCK;
    let data = geometry.data_lba as usize * BLOCK;
    [
        440..512,
        START_LBA * BLOCK..START_LBA * BLOCK + 96,
        fat..fat + 2 * BLOCK,
        directories..directories + 12 * 32,
        data..data + BLOCK,
    ]
}

fn damage(image: Vec<u8>, seed: u64, rounds: usize) {
    let targets = targets(&image);
    let mut memory = Memory { image, reads: 0 };
    assert!(use_card(&mut memory).unwrap() > 0);
    let mut random = Random(seed);
    let mut survivors = 0;
    for round in 0..rounds {
        let mut undo = Vec::new();
        for _ in 0..=random.below(6) {
            let target = &targets[random.below(targets.len())];
            let offset = target.start + random.below(target.len());
            undo.push((offset, memory.image[offset]));
            memory.image[offset] = match random.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => memory.image[offset] ^ 1 << random.below(8),
                _ => random.next() as u8,
            };
        }
        memory.reads = 0;
        survivors += usize::from(use_card(&mut memory).is_ok());
        assert!(memory.reads < READS_MAX, "round {round}: {} reads", memory.reads);
        for (offset, byte) in undo.into_iter().rev() {
            memory.image[offset] = byte;
        }
    }
    assert!(survivors > rounds / 20 && survivors < rounds, "{survivors} of {rounds}: the damage is not worth much");
}

#[test]
fn damaged_fat16_cards_do_no_harm() {
    damage(usual(FatType::Fat16), 0x1234_5678_9ABC_DEF1, 20_000);
    damage(fragmented(FatType::Fat16, 512), 0x0F1E_2D3C_4B5A_6978, 2000);
}

#[test]
fn damaged_fat32_cards_do_no_harm() {
    damage(usual(FatType::Fat32), 0xFEDC_BA98_7654_3211, 20_000);
    damage(fragmented(FatType::Fat32, 512), 0x1122_3344_5566_7789, 2000);
}

#[test]
fn cards_of_noise_do_no_harm() {
    let mut random = Random(0x5555_AAAA_1234_4321);
    for _ in 0..300 {
        let mut image: Vec<u8> = (0..(64 << 10) / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        image[510..512].copy_from_slice(&[0x55, 0xAA]);
        let _ = use_card(&mut Memory { image, reads: 0 });
    }
}
