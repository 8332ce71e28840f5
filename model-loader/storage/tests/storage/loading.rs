//! Loads: bytes, extents, damage of the chain, checksums, destinations.

use crate::images::{
    FRAGMENTED_BYTES, LARGE_BYTES, Memory, SMALL_BYTES, entry_offset, first_cluster, fragmented, geometry, image,
    pattern, set_fat, usual, with_volume, write_file,
};
use barellama_storage::cache::CachedBlocks;
use barellama_storage::fat::chain::ChainFault;
use barellama_storage::load::{Destination, Load, LoadStep, LoadSummary};
use barellama_storage::{StorageError, checksum};
use fatfs::FatType;

const STEP_NS: u64 = 10_000_000;

fn run(
    load: &mut Load,
    blocks: &mut CachedBlocks<&mut Memory>,
    destination: &mut (impl Destination + ?Sized),
) -> Result<LoadSummary, StorageError> {
    for step in 0..100_000 {
        if let LoadStep::Done(summary) = load.step(blocks, destination, step * STEP_NS)? {
            return Ok(summary);
        }
    }
    panic!("the load does not end");
}

/// Loads a file and returns its bytes and the number of reads.
fn load(image: Vec<u8>, path: &str) -> Result<(Vec<u8>, usize), StorageError> {
    with_volume(image, |volume, blocks| {
        let file = volume.open(blocks, path)?;
        let mut load = Load::new(file, None)?;
        let mut bytes = vec![0; load.file_bytes() as usize];
        let reads_before = blocks.reader().reads;
        let summary = run(&mut load, blocks, &mut bytes[..])?;
        assert_eq!(summary.crc32, crc32fast::hash(&bytes));
        assert_eq!(summary.bytes, bytes.len() as u64);
        Ok((bytes, blocks.reader().reads - reads_before))
    })
}

fn damaged(kind: FatType, damage: impl FnOnce(&mut Vec<u8>, u32)) -> StorageError {
    let mut image = usual(kind);
    let first = first_cluster(&image, MODEL);
    damage(&mut image, first);
    load(image, MODEL).unwrap_err()
}

const MODEL: &str = "TinyLlama 1.1B Chat, Q4_0.gguf";
/// 70,001 bytes in clusters of 512.
const MODEL_CLUSTERS: u32 = 137;

#[test]
fn a_file_in_one_piece_takes_few_reads() {
    let image = image(LARGE_BYTES, FatType::Fat16, 4096, |file_system| {
        write_file(file_system, "model.gguf", &pattern(5_000_003));
    });
    let (bytes, reads) = load(image, "model.gguf").unwrap();
    assert_eq!(bytes, pattern(5_000_003));
    // 76 slices of 64 KiB, the tail, and the FAT twice.
    assert!(reads < 90, "{reads}");
}

#[test]
fn sizes_around_blocks_and_clusters_are_exact() {
    for bytes in [1, 511, 512, 513, 2047, 2048, 2049, 65_535, 65_536, 65_537, 131_072] {
        let image = image(SMALL_BYTES * 3, FatType::Fat16, 2048, |file_system| {
            write_file(file_system, "before", b"x");
            write_file(file_system, "model.gguf", &pattern(bytes));
        });
        assert_eq!(load(image, "model.gguf").unwrap().0, pattern(bytes));
    }
}

#[test]
fn clusters_of_the_smallest_and_largest_size_are_read() {
    // The largest have 64 KiB; with them FAT16 begins at 256 MiB.
    for (kind, cluster_bytes, image_bytes) in [
        (FatType::Fat16, 512, SMALL_BYTES),
        (FatType::Fat16, 32 << 10, 140 << 20),
        (FatType::Fat16, 64 << 10, 280 << 20),
        (FatType::Fat32, 4096, 280 << 20),
    ] {
        let image = image(image_bytes, kind, cluster_bytes, |file_system| {
            write_file(file_system, "before", &pattern(70_000));
            write_file(file_system, "model.gguf", &pattern(200_001));
        });
        assert_eq!(geometry(&image).cluster_bytes(), cluster_bytes);
        assert_eq!(load(image, "model.gguf").unwrap().0, pattern(200_001));
    }
}

#[test]
fn fragments_are_put_together() {
    for (kind, cluster_bytes) in [(FatType::Fat16, 512), (FatType::Fat16, 1024), (FatType::Fat32, 512)] {
        let (bytes, reads) = load(fragmented(kind, cluster_bytes), "model.gguf").unwrap();
        assert_eq!(bytes, pattern(FRAGMENTED_BYTES));
        let fragments = FRAGMENTED_BYTES.div_ceil(cluster_bytes as usize);
        assert!((fragments..fragments + 40).contains(&reads), "{reads} for {fragments}");
    }
}

#[test]
fn an_empty_file_is_refused() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| write_file(file_system, "e.gguf", b""));
    assert_eq!(load(image, "e.gguf"), Err(StorageError::Empty));
}

#[test]
fn a_chain_that_ends_early_is_a_truncated_file() {
    for (kind, end) in [(FatType::Fat16, 0xFFFF), (FatType::Fat32, 0x0FFF_FFFF)] {
        let error = damaged(kind, |image, first| set_fat(image, first + 9, end));
        assert_eq!(error, StorageError::Truncated { file_bytes: 70_001, present_bytes: 5120 });
        assert!(error.to_string().contains("70001") && error.to_string().contains("5120"));
    }
}

#[test]
fn damage_of_the_chain_is_named() {
    for kind in [FatType::Fat16, FatType::Fat32] {
        let bad = if kind == FatType::Fat16 { 0xFFF7 } else { 0x0FFF_FFF7 };
        let chain = |damage: fn(&mut Vec<u8>, u32, u32)| match damaged(kind, |image, first| damage(image, first, bad)) {
            StorageError::Chain(fault) => fault,
            other => panic!("{other:?}"),
        };
        let first = first_cluster(&usual(kind), MODEL);
        let fault = chain(|image, first, _| set_fat(image, first + MODEL_CLUSTERS - 1, first + MODEL_CLUSTERS));
        assert_eq!(fault, ChainFault::TooLong { clusters_needed: MODEL_CLUSTERS });
        let fault = chain(|image, first, bad| set_fat(image, first + 5, bad));
        assert_eq!(fault, ChainFault::Bad { cluster: first + 5 });
        let fault = chain(|image, first, _| set_fat(image, first + 5, 0));
        assert_eq!(fault, ChainFault::Free { cluster: first + 5 });
        let fault = chain(|image, first, _| set_fat(image, first + 5, 1));
        assert_eq!(fault, ChainFault::OutOfRange { cluster: first + 5, next: 1 });
        let fault = chain(|image, first, _| {
            let behind = geometry(image).cluster_count + 2;
            set_fat(image, first + 5, behind);
        });
        assert!(matches!(fault, ChainFault::OutOfRange { .. }));
    }
}

#[test]
fn a_chain_in_a_circle_is_found() {
    for back in [0, 1, 5, 63] {
        let error = damaged(FatType::Fat32, |image, first| set_fat(image, first + 63, first + 63 - back));
        assert!(
            matches!(error, StorageError::Chain(ChainFault::Loop { .. } | ChainFault::TooLong { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn a_file_that_begins_nowhere_is_refused() {
    let mut image = usual(FatType::Fat16);
    let entry = entry_offset(&image, b"TINYLL~1GGU");
    image[entry + 26..entry + 28].copy_from_slice(&[1, 0]);
    let fault = ChainFault::OutOfRange { cluster: 0, next: 1 };
    assert_eq!(load(image, MODEL), Err(StorageError::Chain(fault)));
}

/// A region that consists of pieces.
struct Pieces {
    bytes: Vec<u8>,
    piece: usize,
}

impl Destination for Pieces {
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]> {
        let start = offset as usize;
        let piece_end = (start / self.piece + 1) * self.piece;
        let end = piece_end.min(start + bytes).min(self.bytes.len());
        self.bytes.get_mut(start..end).filter(|window| !window.is_empty())
    }
}

#[test]
fn a_destination_may_consist_of_pieces() {
    for piece in [100, 512, 700, 4096, 65_536] {
        with_volume(usual(FatType::Fat16), |volume, blocks| {
            let file = volume.open(blocks, MODEL).unwrap();
            let mut load = Load::new(file, None).unwrap();
            let mut pieces = Pieces { bytes: vec![0; 70_001], piece };
            run(&mut load, blocks, &mut pieces).unwrap();
            assert_eq!(pieces.bytes, pattern(70_001), "pieces of {piece}");
        });
    }
}

#[test]
fn bytes_behind_the_file_are_left_alone() {
    with_volume(usual(FatType::Fat16), |volume, blocks| {
        let file = volume.open(blocks, MODEL).unwrap();
        let mut region = vec![0xEE; 70_001 + 1000];
        run(&mut Load::new(file, None).unwrap(), blocks, &mut region[..]).unwrap();
        assert_eq!(region[..70_001], pattern(70_001));
        assert!(region[70_001..].iter().all(|&byte| byte == 0xEE));
    });
}

#[test]
fn a_destination_that_is_too_small_is_refused() {
    with_volume(usual(FatType::Fat16), |volume, blocks| {
        let file = volume.open(blocks, MODEL).unwrap();
        let error = run(&mut Load::new(file, None).unwrap(), blocks, &mut vec![0; 70_000][..]);
        assert_eq!(error, Err(StorageError::NoWindow { offset: 70_000 }));
    });
}

fn with_checksum(name: &str, text: &str) -> Result<LoadSummary, StorageError> {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        write_file(file_system, "My model.gguf", &pattern(3000));
        write_file(file_system, name, text.as_bytes());
    });
    with_volume(image, |volume, blocks| {
        let file = volume.open(blocks, "My model.gguf")?;
        let expected = checksum::find(volume, blocks, "My model.gguf")?;
        run(&mut Load::new(file, expected)?, blocks, &mut vec![0; 3000][..])
    })
}

#[test]
fn a_checksum_file_is_compared() {
    let actual = crc32fast::hash(&pattern(3000));
    for name in ["My model.gguf.crc32", "my MODEL.CRC32"] {
        let summary = with_checksum(name, &format!("{actual:08X}  My model.gguf\n")).unwrap();
        assert!(summary.is_checksum_verified);
        let expected = actual ^ 0x100;
        let error = with_checksum(name, &format!("{expected:08x}\n"));
        assert_eq!(error, Err(StorageError::Checksum { expected, actual }));
        assert_eq!(with_checksum(name, "checksum"), Err(StorageError::ChecksumFile));
        assert_eq!(with_checksum(name, ""), Err(StorageError::ChecksumFile));
        // Of a list, its first line counts.
        let list = format!("{actual:08x}  My model.gguf\n").repeat(100);
        assert!(with_checksum(name, &list).unwrap().is_checksum_verified);
    }
    assert!(!with_checksum("other.crc32", "").unwrap().is_checksum_verified);
}

#[test]
fn progress_tells_bytes_rate_and_time() {
    with_volume(fragmented(FatType::Fat16, 512), |volume, blocks| {
        let file = volume.open(blocks, "model.gguf").unwrap();
        let mut load = Load::new(file, None).unwrap();
        let mut bytes = vec![0; FRAGMENTED_BYTES];
        assert!(matches!(load.step(blocks, &mut bytes[..], 0), Ok(LoadStep::Checking(_))));
        let mut readings = Vec::new();
        for step in 1..2000 {
            match load.step(blocks, &mut bytes[..], step * STEP_NS).unwrap() {
                LoadStep::Checking(progress) => assert_eq!(progress.done_bytes, 0),
                LoadStep::Reading(progress) => readings.push(progress),
                LoadStep::Done(summary) => {
                    assert!(summary.elapsed_ns > 0);
                    break;
                }
            }
        }
        assert!(readings.len() > 2 && readings.is_sorted_by_key(|progress| progress.done_bytes));
        assert!(readings[1].bytes_per_second > 0 && readings[1].seconds_left == Some(1));
    });
}

#[test]
fn slices_follow_the_time_that_steps_take() {
    let image = image(LARGE_BYTES, FatType::Fat16, 4096, |file_system| {
        write_file(file_system, "model.gguf", &pattern(8 << 20));
    });
    with_volume(image, |volume, blocks| {
        let file = volume.open(blocks, "model.gguf").unwrap();
        let mut steps = [1_000_000, 100_000_000].map(|step_ns| {
            let mut load = Load::new(file, None).unwrap();
            let mut bytes = vec![0; 8 << 20];
            let mut count = 0;
            while !matches!(load.step(blocks, &mut bytes[..], count * step_ns).unwrap(), LoadStep::Done(_)) {
                count += 1;
            }
            count
        });
        steps.sort_unstable();
        assert!(steps[0] < 30, "fast steps become large: {steps:?}");
        assert!(steps[1] > 240, "slow steps become small: {steps:?}");
    });
}
