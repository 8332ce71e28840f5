//! Card images: made, then read back by the libraries that read real ones.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use barellama::card::{self, CardError, CardSize, Entry};
use fatfs::{Dir, FileSystem, FsOptions};
use fscommon::StreamSlice;
use mbrman::MBR;

fn file(directory: &Path, name: &str, contents: &[u8]) -> Entry {
    let source = directory.join(name);
    fs::write(&source, contents).unwrap();
    Entry { source, name: name.to_owned() }
}

fn open(card: &Path) -> FileSystem<StreamSlice<File>> {
    let mut image = fs::OpenOptions::new().read(true).write(true).open(card).unwrap();
    let table = MBR::read_from(&mut image, 512).unwrap();
    let start = u64::from(table[1].starting_lba) * 512;
    let end = start + u64::from(table[1].sectors) * 512;
    assert_eq!(table[1].sys, 0x0C);
    assert_eq!(end, image.metadata().unwrap().len());
    FileSystem::new(StreamSlice::new(image, start, end).unwrap(), FsOptions::new()).unwrap()
}

fn read(volume: &FileSystem<StreamSlice<File>>, name: &str) -> Vec<u8> {
    let mut contents = Vec::new();
    volume.root_dir().open_file(name).unwrap().read_to_end(&mut contents).unwrap();
    contents
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index ^ (index >> 9)) as u8).collect()
}

#[test]
fn files_have_the_dates_of_their_sources_and_give_the_same_image_again() {
    let images = [0, 1].map(|_| {
        let directory = tempfile::tempdir().unwrap();
        let entries = [("a.txt", 1_000_000_000), ("folder/b.txt", 1_700_000_000)].map(|(name, seconds)| {
            let entry = Entry { name: name.to_owned(), ..file(directory.path(), &name.replace('/', "-"), b"text") };
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(&entry.source).unwrap().set_modified(changed).unwrap();
            entry
        });
        let output = directory.path().join("card.img");
        card::make(&output, CardSize::Auto, &entries).unwrap();
        let volume = open(&output);
        let date = |folder: Dir<'_, StreamSlice<File>>| {
            let entry = folder.iter().map(Result::unwrap).find(|entry| entry.is_file()).unwrap();
            (entry.modified().date.year, entry.modified().date.month, entry.created().time.hour)
        };
        // By `date -u`: 2001-09-09 01:46:40 and 2023-11-14 22:13:20.
        assert_eq!(
            (date(volume.root_dir()), date(volume.root_dir().open_dir("folder").unwrap())),
            ((2001, 9, 1), (2023, 11, 22))
        );
        fs::read(&output).unwrap()
    });
    assert!(images[0] == images[1]);
}

#[test]
fn files_are_there_with_their_long_names() {
    let directory = tempfile::tempdir().unwrap();
    let model = pattern(3_000_001);
    let entries = [
        file(directory.path(), "config.txt", b"arm_64bit=1\n"),
        file(directory.path(), "SmolLM2-135M-Instruct.Q4_1.gguf", &model),
    ];
    let output = directory.path().join("card.img");
    let made = card::make(&output, CardSize::Auto, &entries).unwrap();
    assert_eq!(made.bytes, 64 << 20);
    assert_eq!((made.files[1].name.as_str(), made.files[1].bytes), ("SmolLM2-135M-Instruct.Q4_1.gguf", 3_000_001));

    let volume = open(&output);
    assert_eq!(volume.fat_type(), fatfs::FatType::Fat32);
    assert_eq!(read(&volume, "SmolLM2-135M-Instruct.Q4_1.gguf"), model);
    assert_eq!(read(&volume, "config.txt"), b"arm_64bit=1\n");
    // The firmware's first stage reads only the short name.
    let names = volume.root_dir().iter().map(|entry| entry.unwrap().short_file_name()).collect::<Vec<_>>();
    assert!(names.contains(&"CONFIG.TXT".to_owned()), "{names:?}");
}

#[test]
fn the_same_files_give_the_same_image() {
    let directory = tempfile::tempdir().unwrap();
    let entries = [file(directory.path(), "kernel8.img", &pattern(70_000))];
    let [first, second] = ["first.img", "second.img"].map(|name| {
        let output = directory.path().join(name);
        card::make(&output, CardSize::Auto, &entries).unwrap();
        fs::read(output).unwrap()
    });
    assert!(first == second);
}

#[test]
fn an_older_larger_image_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("card.img");
    let entries = [file(directory.path(), "one.txt", b"1")];
    card::make(&output, CardSize::Bytes(128 << 20), &entries).unwrap();
    card::make(&output, CardSize::Bytes(64 << 20), &entries).unwrap();
    assert_eq!(read(&open(&output), "one.txt"), b"1");
}

#[test]
fn the_size_grows_with_the_files_and_too_small_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("card.img");
    let source = directory.path().join("large.gguf");
    File::create(&source).unwrap().set_len(64 << 20).unwrap();
    let entries = [Entry { source, name: "large.gguf".to_owned() }];
    assert_eq!(card::make(&output, CardSize::Auto, &entries).unwrap().bytes, 128 << 20);
    let refused = card::make(&output, CardSize::Bytes(64 << 20), &entries);
    assert!(matches!(refused, Err(CardError::TooSmall { needed: CardSize::Bytes(0x800_0000), .. })));
}

#[test]
fn directories_of_the_firmware_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let firmware = directory.path().join("firmware");
    fs::create_dir_all(firmware.join("overlays")).unwrap();
    fs::write(firmware.join("start4.elf"), b"start").unwrap();
    fs::write(firmware.join("overlays/disable-bt.dtbo"), b"overlay").unwrap();
    let entries = card::directory_entries(&firmware).unwrap();
    let output = directory.path().join("card.img");
    card::make(&output, CardSize::Auto, &entries).unwrap();
    let volume = open(&output);
    assert_eq!(read(&volume, "start4.elf"), b"start");
    assert_eq!(read(&volume, "overlays/disable-bt.dtbo"), b"overlay");
}

#[test]
fn a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let entries = [Entry { source: PathBuf::from("/nowhere/model.gguf"), name: "model.gguf".to_owned() }];
    let error = card::make(&directory.path().join("card.img"), CardSize::Auto, &entries).unwrap_err();
    assert!(error.to_string().contains("/nowhere/model.gguf"));
}

#[test]
fn sizes_are_powers_of_two() {
    assert_eq!("auto".parse(), Ok(CardSize::Auto));
    assert_eq!("64M".parse(), Ok(CardSize::Bytes(64 << 20)));
    assert_eq!("2G".parse(), Ok(CardSize::Bytes(2 << 30)));
    for wrong in ["100M", "32M", "0", "", "M", "99999999999G", "1T"] {
        assert!(wrong.parse::<CardSize>().is_err(), "{wrong}");
    }
}

#[test]
fn arguments_may_rename() {
    let entry = Entry::from_argument("/some/where/model.gguf=m.gguf");
    assert_eq!(entry, Entry { source: "/some/where/model.gguf".into(), name: "m.gguf".to_owned() });
    assert_eq!(Entry::from_argument("/some/where/model.gguf").name, "model.gguf");
}

#[test]
fn the_report_says_where_files_came_from_and_which_boards_boot() {
    let directory = tempfile::tempdir().unwrap();
    let report = |names: &[&str]| {
        let entries = names.iter().map(|name| file(directory.path(), name, b"firmware")).collect::<Vec<_>>();
        card::make(&directory.path().join("card.img"), CardSize::Auto, &entries).unwrap().to_string()
    };
    let none = report(&["kernel8.img"]);
    assert!(none.contains(&format!("from {}", directory.path().join("kernel8.img").display())), "{none}");
    assert!(none.contains("No board boots from this card"), "{none}");
    let part = report(&["kernel8.img", "start4.elf", "fixup4.dat", "start4cd.elf"]);
    assert!(part.contains("Raspberry Pi 4: missing fixup4cd.dat") && part.contains("No board"), "{part}");
    let whole = report(&["kernel8.img", "start4cd.elf", "FIXUP4CD.DAT"]);
    assert!(whole.contains("Raspberry Pi 4: its firmware is there") && !whole.contains("No board"), "{whole}");
}
