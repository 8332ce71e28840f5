//! Where the file system is found, and what is refused by name.

use crate::images::{
    BLOCK, Memory, SMALL_BYTES, START_LBA, format, geometry, image, pattern, usual, with_volume, write_file,
    write_partition,
};
use barellama_storage::StorageError;
use barellama_storage::cache::CachedBlocks;
use barellama_storage::fat::geometry::{FatKind, GeometryFault};
use barellama_storage::volume::Volume;
use fatfs::FatType;

fn refusal(image: Vec<u8>) -> StorageError {
    let mut memory = Memory { image, reads: 0 };
    let error = Volume::mount(&mut CachedBlocks::new(&mut memory)).unwrap_err();
    let text = error.to_string();
    assert!(text.len() > 40, "not a sentence: {text}");
    error
}

fn small() -> Vec<u8> {
    usual(FatType::Fat16)
}

#[test]
fn both_kinds_are_mounted() {
    for (kind, expected) in [(FatType::Fat16, FatKind::Fat16), (FatType::Fat32, FatKind::Fat32)] {
        with_volume(usual(kind), |volume, _| assert_eq!(volume.geometry().kind, expected));
    }
}

#[test]
fn a_card_formatted_as_a_whole_is_mounted() {
    for kind in [FatType::Fat16, FatType::Fat32] {
        let bytes = if kind == FatType::Fat32 { 40 << 20 } else { SMALL_BYTES };
        let mut image = vec![0; bytes];
        format(&mut image, kind, 512, |file_system| write_file(file_system, "a.gguf", &pattern(2000)));
        with_volume(image, |volume, blocks| {
            assert_eq!(volume.geometry().start_lba, 0);
            assert_eq!(volume.find_models(blocks).unwrap().list[0].path, "a.gguf");
        });
    }
}

#[test]
fn the_first_fat_partition_counts_wherever_it_stands() {
    let mut image = small();
    let entry: Vec<u8> = image[446..462].to_vec();
    image[446..462].fill(0);
    write_partition(&mut image, 0, 0x83, 64, 100);
    write_partition(&mut image, 1, 0x05, 64, 100);
    image[446 + 48..446 + 64].copy_from_slice(&entry);
    with_volume(image, |volume, _| assert_eq!(volume.geometry().start_lba, START_LBA as u32));
}

#[test]
fn every_type_of_a_fat_partition_is_taken() {
    for kind in [0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E] {
        let mut image = small();
        image[446 + 4] = kind;
        with_volume(image, |volume, _| assert_eq!(volume.geometry().start_lba, START_LBA as u32, "{kind:#x}"));
    }
}

#[test]
fn of_several_fat_partitions_the_first_one_counts_that_can_be_read() {
    let one = small();
    let second_lba = one.len() / BLOCK;
    let mut image = [one.clone(), one[START_LBA * BLOCK..].to_vec()].concat();
    write_partition(&mut image, 1, 0x0E, second_lba as u32, (one.len() / BLOCK - START_LBA) as u32);
    with_volume(image.clone(), |volume, _| assert_eq!(volume.geometry().start_lba, START_LBA as u32));
    image[START_LBA * BLOCK..][..BLOCK].fill(0);
    with_volume(image, |volume, blocks| {
        assert_eq!(volume.geometry().start_lba, second_lba as u32);
        assert_eq!(volume.find_models(blocks).unwrap().list.len(), 2);
    });
}

#[test]
fn an_empty_card_has_no_partition() {
    assert_eq!(refusal(vec![0; 1 << 20]), StorageError::NoPartition);
    let mut image = vec![0; 1 << 20];
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
    assert_eq!(refusal(image), StorageError::NoPartition);
    assert!(matches!(refusal(Vec::new()), StorageError::Read(_)));
}

#[test]
fn other_systems_are_no_partition() {
    let mut image = vec![0; 1 << 20];
    write_partition(&mut image, 0, 0x83, 64, 100);
    write_partition(&mut image, 1, 0x0F, 200, 100);
    assert_eq!(refusal(image), StorageError::NoPartition);
}

#[test]
fn tables_and_file_systems_that_are_not_read_are_named() {
    let mut image = vec![0; 1 << 20];
    write_partition(&mut image, 0, 0xEE, 1, 2047);
    assert_eq!(refusal(image), StorageError::Gpt);

    for (name, expected) in [(b"EXFAT   ", StorageError::ExFat), (b"NTFS    ", StorageError::Ntfs)] {
        let mut image = vec![0; 1 << 20];
        write_partition(&mut image, 0, 0x07, 64, 100);
        image[64 * BLOCK + 3..64 * BLOCK + 11].copy_from_slice(name);
        assert_eq!(refusal(image.clone()), expected);
        // The same without a partition table.
        let mut whole = image[64 * BLOCK..].to_vec();
        whole[510..512].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(refusal(whole), expected);
    }
}

#[test]
fn a_partition_without_a_file_system_is_not_fat() {
    let mut image = vec![0; SMALL_BYTES];
    write_partition(&mut image, 0, 0x0C, START_LBA as u32, 4096);
    assert_eq!(refusal(image), StorageError::NotFat(GeometryFault::NoSignature));
}

/// By the standard it would be a FAT16 or FAT12, but `mkfs.fat -F 32` makes it, and the board's firmware reads it.
#[test]
fn a_fat32_with_few_clusters_is_a_fat32() {
    for clusters in [300, 4084, 4085, 65_524] {
        let mut image = usual(FatType::Fat32);
        let whole = geometry(&image);
        let blocks = whole.data_lba - whole.start_lba + clusters * whole.cluster_blocks;
        image[START_LBA * BLOCK + 32..][..4].copy_from_slice(&blocks.to_le_bytes());
        with_volume(image, |volume, blocks| {
            assert_eq!((volume.geometry().kind, volume.geometry().cluster_count), (FatKind::Fat32, clusters));
            let models = volume.find_models(blocks).unwrap();
            assert_eq!(models.list.iter().map(|model| model.bytes).collect::<Vec<_>>(), [70_001, 1024]);
            let mut bytes = vec![0; 1024];
            assert_eq!(volume.read_small_file(blocks, "models/another model.gguf", &mut bytes), Ok(1024));
            assert_eq!(bytes, pattern(1024));
        });
    }
}

#[test]
fn fat12_is_too_small() {
    let image = image(2 << 20, FatType::Fat12, 1024, |_| {});
    assert_eq!(refusal(image), StorageError::NotFat(GeometryFault::Fat12));
}

#[test]
fn a_truncated_image_is_told() {
    let mut image = small();
    let blocks = (image.len() / BLOCK) as u32;
    image.truncate(SMALL_BYTES / 2);
    let fault = GeometryFault::BeyondCard { needed_blocks: blocks.into(), card_blocks: blocks / 2 };
    assert_eq!(refusal(image.clone()), StorageError::NotFat(fault));
    image.truncate(START_LBA * BLOCK / 2);
    assert!(matches!(refusal(image), StorageError::NotFat(GeometryFault::BeyondCard { .. })));
}

#[test]
fn impossible_fields_are_named() {
    let cases: [(usize, &[u8], GeometryFault); 8] = [
        (11, &[0, 4], GeometryFault::SectorBytes(1024)),
        (13, &[3], GeometryFault::Field("BPB_SecPerClus")),
        (13, &[0], GeometryFault::Field("BPB_SecPerClus")),
        (14, &[0, 0], GeometryFault::Field("BPB_RsvdSecCnt")),
        (16, &[0], GeometryFault::Field("BPB_NumFATs")),
        (17, &[0, 0], GeometryFault::Field("BPB_RootEntCnt")),
        (22, &[1, 0], GeometryFault::Field("BPB_FATSz")),
        (22, &[0xFF, 0xFF], GeometryFault::Field("BPB_TotSec")),
    ];
    for (offset, bytes, fault) in cases {
        let mut image = small();
        image[START_LBA * BLOCK + offset..][..bytes.len()].copy_from_slice(bytes);
        assert_eq!(refusal(image), StorageError::NotFat(fault), "offset {offset}");
    }
}

#[test]
fn impossible_fields_of_fat32_are_named() {
    let cases: [(usize, &[u8], &str); 5] = [
        (40, &[0x81, 0], "BPB_ExtFlags"),
        (42, &[1, 0], "BPB_FSVer"),
        (44, &[0, 0, 0, 0], "BPB_RootClus"),
        (44, &[0, 0, 0, 0x10], "BPB_RootClus"),
        (48, &[0xFF, 0xFF], "BPB_FSInfo"),
    ];
    for (offset, bytes, field) in cases {
        let mut image = usual(FatType::Fat32);
        image[START_LBA * BLOCK + offset..][..bytes.len()].copy_from_slice(bytes);
        assert_eq!(refusal(image), StorageError::NotFat(GeometryFault::Field(field)), "offset {offset}");
    }
}
