//! Cards as people have them: right, or refused in a sentence of its own that says what to do, and the console lives on.

use std::fs;
use std::io::Write;

use barellama::card::CardSize;
use barellama_tests::card::{Card, Folder, Format, partition_table};
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};
use fatfs::FatType;

const FAT32: Format = Format { kind: FatType::Fat32, cluster_bytes: 512, has_partition: true };

/// Boots with a card, waits for the sentence, and asks the console for a sign of life.
#[track_caller]
fn boot_and_expect(card: Option<&Card>, sentence: &str) -> Machine {
    let mut setup = Machine::raspi4b();
    if let Some(card) = card {
        setup = setup.card(&card.path());
    }
    let mut machine = setup.boot();
    machine.expect(sentence, SHORT);
    machine.expect_prompt(SHORT);
    let help = machine.ask("/help");
    assert!(help.contains("/status"), "{help}");
    let refused = machine.ask("Is anybody there?");
    assert!(refused.to_lowercase().contains("model"), "{refused}");
    machine
}

#[test]
fn no_card() {
    boot_and_expect(None, "no SD card answers");
}

#[test]
fn no_partition() {
    boot_and_expect(Some(&Card::with_bytes(&[])), "the card has no primary FAT partition");
}

#[test]
fn no_file_system() {
    let mut bytes = vec![0; 512];
    // One entry of type 0C at sector 2048, with 100,000 sectors of nothing.
    bytes[446..462].copy_from_slice(&[0, 0, 0, 0, 0x0C, 0, 0, 0, 0, 8, 0, 0, 0xA0, 0x86, 1, 0]);
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    boot_and_expect(Some(&Card::with_bytes(&bytes)), "not a FAT16 or FAT32 file system");
}

#[test]
fn no_model() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("readme.txt");
    fs::write(&text, "no model here").unwrap();
    let card = Card::with_files(CardSize::Auto, &[("readme.txt", &text)]);
    boot_and_expect(Some(&card), "the card has no model");
}

#[test]
fn a_truncated_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("half.gguf");
    let whole = fs::read(artifacts::tiny("q4_0")).unwrap();
    fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    let card = Card::with_files(CardSize::Auto, &[("half.gguf", &model)]);
    let mut machine = boot_and_expect(Some(&card), "The model was refused:");
    // What was in memory may be rewritten by halves: it is read from the card again.
    machine.send("/restart\r");
    machine.expect("half.gguf: CRC-32", SHORT);
    machine.expect("The model was refused:", SHORT);
}

#[test]
fn a_file_that_is_no_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("noise.gguf");
    fs::write(&model, b"GGUF but then nothing that makes sense".repeat(1000)).unwrap();
    let card = Card::with_files(CardSize::Auto, &[("noise.gguf", &model)]);
    boot_and_expect(Some(&card), "The model was refused:");
}

fn model() -> Vec<u8> {
    fs::read(artifacts::tiny("q4_0")).unwrap()
}

fn write(folder: &Folder<'_>, path: &str, bytes: &[u8]) {
    folder.create_file(path).unwrap().write_all(bytes).unwrap();
}

/// Boots with a card whose model is loaded; returns what was said until it is ready.
#[track_caller]
fn boot_and_load(card: &Card) -> String {
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let loading = machine.expect_ready();
    machine.ask("/set max_tokens 2");
    assert_eq!(machine.chat("Hello").stop(), "max_tokens");
    loading
}

/// Offset of the directory entry with this short name.
fn entry_offset(card: &[u8], short_name: &[u8; 11]) -> usize {
    let at = card.chunks_exact(32).position(|entry| &entry[..11] == short_name);
    32 * at.expect("no such entry")
}

/// Offset of an entry of the first FAT of a card with [`FAT32`].
fn fat_offset(card: &[u8], cluster: usize) -> usize {
    let start = 1 << 20;
    let reserved = usize::from(u16::from_le_bytes([card[start + 14], card[start + 15]]));
    start + reserved * 512 + cluster * 4
}

/// A card with one model, and the number of its first cluster; the others follow it.
fn card_with_model() -> (Card, usize) {
    let card = Card::formatted(FAT32, |root| write(root, "model.gguf", &model()));
    let mut first = 0;
    card.change(|bytes| {
        let entry = entry_offset(bytes, b"MODEL~1 GGU");
        first = usize::from(u16::from_le_bytes([bytes[entry + 26], bytes[entry + 27]]));
    });
    (card, first)
}

#[test]
fn a_card_without_partition_table_and_with_fat16_and_large_clusters() {
    let format = Format { kind: FatType::Fat16, cluster_bytes: 16 << 10, has_partition: false };
    let card = Card::formatted(format, |root| write(root, "model.gguf", &model()));
    boot_and_load(&card);
}

#[test]
fn a_fragmented_model_is_put_together_as_its_checksum_says() {
    let model = model();
    let card = Card::formatted(FAT32, |root| {
        let mut file = root.create_file("model.gguf").unwrap();
        let mut other = root.create_file("other.bin").unwrap();
        for part in model.chunks(5 * 512) {
            file.write_all(part).unwrap();
            other.write_all(&part[..512.min(part.len())]).unwrap();
        }
        write(root, "MODEL.crc32", format!("{:08x}  model.gguf\n", crc32fast::hash(&model)).as_bytes());
    });
    let loading = boot_and_load(&card);
    assert!(loading.contains("equal to the checksum file"), "{loading}");
}

#[test]
fn a_model_in_a_folder_is_found_by_its_path() {
    let card = Card::formatted(FAT32, |root| {
        root.create_dir("large models").unwrap();
        write(root, "large models/the one.gguf", &model());
        write(root, "another.gguf", b"not this one");
        write(root, "barellama.txt", b"model = Large Models/the one.gguf\n");
    });
    let loading = boot_and_load(&card);
    assert!(loading.contains("the one.gguf: CRC-32"), "{loading}");
}

#[test]
fn a_guid_partition_table() {
    let mut bytes = partition_table(0xEE, 512, (64 << 20) - 512);
    bytes.extend_from_slice(b"EFI PART");
    boot_and_expect(Some(&Card::with_bytes(&bytes)), "GUID partition table, which is not read: partition it as MBR");
}

#[test]
fn exfat() {
    let mut bytes = partition_table(0x07, 1 << 20, 63 << 20);
    bytes.resize(1 << 20, 0);
    bytes.extend_from_slice(b"\xEB\x76\x90EXFAT   ");
    boot_and_expect(Some(&Card::with_bytes(&bytes)), "formatted as exFAT, which is not read: format it as FAT32");
}

#[test]
fn a_chain_that_is_shorter_than_the_file() {
    let (card, first) = card_with_model();
    card.change(|bytes| {
        let at = fat_offset(bytes, first + 99);
        bytes[at..at + 4].copy_from_slice(&0x0FFF_FFFF_u32.to_le_bytes());
    });
    boot_and_expect(Some(&card), "the card has 51200 of them; copy it again");
}

#[test]
fn a_chain_in_a_circle() {
    let (card, first) = card_with_model();
    card.change(|bytes| {
        let at = fat_offset(bytes, first + 99);
        bytes[at..at + 4].copy_from_slice(&(first as u32 + 10).to_le_bytes());
    });
    boot_and_expect(Some(&card), "the chain comes back to cluster");
}

#[test]
fn a_model_of_no_bytes() {
    let card = Card::formatted(FAT32, |root| write(root, "model.gguf", b""));
    boot_and_expect(Some(&card), "the file is empty: copy it to the card again");
}

#[test]
fn another_model_than_the_checksum_file_says() {
    let card = Card::formatted(FAT32, |root| {
        write(root, "model.gguf", &model());
        write(root, "model.gguf.crc32", b"01234567  model.gguf\n");
    });
    boot_and_expect(Some(&card), "the file is not what its checksum file says");
}
