//! Card images with FAT file systems, and a device that reads them.

use barellama_storage::block::{BlockReader, ReadCause, ReadError};
use barellama_storage::cache::CachedBlocks;
use barellama_storage::fat::geometry::{FatKind, Geometry};
use barellama_storage::volume::Volume;
use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use std::io::{Cursor, Write};

pub const BLOCK: usize = 512;
pub const START_LBA: usize = 2048;
pub const SMALL_BYTES: usize = 6 << 20;
pub const LARGE_BYTES: usize = 40 << 20;

/// A memory device that counts its reads.
pub struct Memory {
    pub image: Vec<u8>,
    pub reads: usize,
}

impl BlockReader for &mut Memory {
    fn read_blocks(&mut self, lba: u32, destination: &mut [u8]) -> Result<(), ReadError> {
        self.reads += 1;
        let start = lba as usize * BLOCK;
        let cause = ReadCause::BeyondEnd { block_count: (self.image.len() / BLOCK) as u32 };
        let end = start + destination.len();
        let source = self.image.get(start..end).ok_or(ReadError { lba, command: 0, attempts: 0, cause })?;
        destination.copy_from_slice(source);
        Ok(())
    }
    fn block_count(&self) -> u32 {
        (self.image.len() / BLOCK) as u32
    }
}

pub type FileSystemOf<'a> = FileSystem<Cursor<&'a mut [u8]>>;

/// An image with one partition, filled by `fill`.
pub fn image(bytes: usize, kind: FatType, cluster_bytes: u32, fill: impl FnOnce(&FileSystemOf<'_>)) -> Vec<u8> {
    let mut image = vec![0; bytes];
    let type_byte = if kind == FatType::Fat32 { 0x0C } else { 0x0E };
    write_partition(&mut image, 0, type_byte, START_LBA as u32, (bytes / BLOCK - START_LBA) as u32);
    format(&mut image[START_LBA * BLOCK..], kind, cluster_bytes, fill);
    image
}

pub fn format(partition: &mut [u8], kind: FatType, cluster_bytes: u32, fill: impl FnOnce(&FileSystemOf<'_>)) {
    let options = FormatVolumeOptions::new().fat_type(kind).bytes_per_cluster(cluster_bytes);
    fatfs::format_volume(Cursor::new(&mut *partition), options).unwrap();
    let file_system = FileSystem::new(Cursor::new(partition), FsOptions::new()).unwrap();
    fill(&file_system);
    file_system.unmount().unwrap();
}

pub fn write_partition(image: &mut [u8], index: usize, kind: u8, start: u32, blocks: u32) {
    let entry = &mut image[446 + index * 16..][..16];
    entry[4] = kind;
    entry[8..12].copy_from_slice(&start.to_le_bytes());
    entry[12..16].copy_from_slice(&blocks.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xAA]);
}

pub fn write_file(file_system: &FileSystemOf<'_>, path: &str, bytes: &[u8]) {
    let mut file = file_system.root_dir().create_file(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Bytes that differ from block to block and within each.
pub fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|index| (index.wrapping_mul(0x9E37_79B1) >> 21) as u8).collect()
}

/// The usual small card: a model in the root, one in the folder, a configuration.
pub fn usual(kind: FatType) -> Vec<u8> {
    let bytes = if kind == FatType::Fat32 { LARGE_BYTES } else { SMALL_BYTES };
    image(bytes, kind, 512, |file_system| {
        write_file(file_system, "barellama.txt", b"cores = 4\n");
        write_file(file_system, "TinyLlama 1.1B Chat, Q4_0.gguf", &pattern(70_001));
        file_system.root_dir().create_dir("models").unwrap();
        write_file(file_system, "models/Another model.GGUF", &pattern(1024));
    })
}

/// Two files whose clusters alternate.
pub fn fragmented(kind: FatType, cluster_bytes: u32) -> Vec<u8> {
    let bytes = if kind == FatType::Fat32 { LARGE_BYTES } else { SMALL_BYTES };
    image(bytes, kind, cluster_bytes, |file_system| {
        let data = pattern(FRAGMENTED_BYTES);
        let mut first = file_system.root_dir().create_file("model.gguf").unwrap();
        let mut second = file_system.root_dir().create_file("other.bin").unwrap();
        for part in data.chunks(cluster_bytes as usize) {
            first.write_all(part).unwrap();
            second.write_all(part).unwrap();
        }
    })
}

pub const FRAGMENTED_BYTES: usize = 300_007;

pub fn geometry(image: &[u8]) -> Geometry {
    let start = START_LBA * BLOCK;
    let sector = image[start..start + BLOCK].try_into().unwrap();
    Geometry::parse(sector, START_LBA as u32, (image.len() / BLOCK) as u32).unwrap()
}

/// Writes an entry of the first FAT.
pub fn set_fat(image: &mut [u8], cluster: u32, value: u32) {
    let geometry = geometry(image);
    let fat = geometry.fat_lba as usize * BLOCK;
    match geometry.kind {
        FatKind::Fat16 => {
            let offset = fat + cluster as usize * 2;
            image[offset..offset + 2].copy_from_slice(&(value as u16).to_le_bytes());
        }
        FatKind::Fat32 => {
            let offset = fat + cluster as usize * 4;
            image[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// Mounts an image and hands it to `test`.
pub fn with_volume<T>(image: Vec<u8>, test: impl FnOnce(&Volume, &mut CachedBlocks<&mut Memory>) -> T) -> T {
    let mut memory = Memory { image, reads: 0 };
    let mut blocks = CachedBlocks::new(&mut memory);
    let volume = Volume::mount(&mut blocks).unwrap();
    test(&volume, &mut blocks)
}

pub fn first_cluster(image: &[u8], path: &str) -> u32 {
    with_volume(image.to_vec(), |volume, blocks| volume.open(blocks, path).unwrap().first_cluster)
}

/// Offset of the directory entry with this short name.
pub fn entry_offset(image: &[u8], short_name: &[u8; 11]) -> usize {
    let start = geometry(image).directories_lba as usize * BLOCK;
    let entries = image[start..].chunks_exact(32);
    start + 32 * entries.map(|entry| &entry[..11]).position(|name| name == short_name).expect("no such entry")
}
