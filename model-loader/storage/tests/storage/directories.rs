//! Names, folders and small files.

use crate::images::{
    BLOCK, LARGE_BYTES, SMALL_BYTES, entry_offset, first_cluster, geometry, image, pattern, set_fat, usual,
    with_volume, write_file,
};
use barellama_storage::StorageError;
use barellama_storage::fat::chain::ChainFault;
use barellama_storage::listing::{FOLDERS_MAX, Listing, MODELS_MAX};
use fatfs::FatType;

fn paths(image: Vec<u8>) -> Vec<String> {
    with_volume(image, |volume, blocks| {
        let models = volume.find_models(blocks).unwrap();
        models.list.iter().map(|model| model.path.to_string()).collect()
    })
}

#[test]
fn models_are_found_in_root_and_folder_by_their_long_names() {
    for kind in [FatType::Fat16, FatType::Fat32] {
        with_volume(usual(kind), |volume, blocks| {
            let models = volume.find_models(blocks).unwrap();
            let found: Vec<_> = models.list.iter().map(|model| (model.path.as_str(), model.bytes)).collect();
            assert_eq!(found, [("TinyLlama 1.1B Chat, Q4_0.gguf", 70_001), ("models/Another model.GGUF", 1024)]);
            assert_eq!(models.omitted, 0);
        });
    }
}

#[test]
fn what_only_looks_like_a_model_is_left_out() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        write_file(file_system, "._model.gguf", b"x");
        write_file(file_system, "gguf", b"x");
        write_file(file_system, "model.gguf.crc32", b"x");
        file_system.root_dir().create_dir("folder.gguf").unwrap();
        write_file(file_system, "MODEL.GGU", b"x");
        write_file(file_system, "ä.GgUf", b"x");
        file_system.root_dir().create_dir(".Trashes").unwrap();
        write_file(file_system, ".Trashes/deleted.gguf", b"x");
    });
    assert_eq!(paths(image), ["ä.GgUf"]);
}

#[test]
fn names_of_people_are_found_and_opened() {
    let names =
        [" lead.gguf", "#1 model.gguf", "MODEL~1.gguf", "a.b.c.gguf", "model . with.. dots .gguf", "mödel,[1];+.gguf"];
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        for name in names {
            write_file(file_system, name, b"xyz");
        }
        write_file(file_system, "deleted.gguf", b"x");
        file_system.root_dir().remove("deleted.gguf").unwrap();
    });
    assert_eq!(paths(image.clone()), names);
    with_volume(image, |volume, blocks| {
        for name in names {
            assert_eq!(volume.open(blocks, name).unwrap().bytes, 3, "{name}");
        }
    });
}

/// `embedded-sdmmc` 0.10 reads 19 parts of a name, 247 characters: a longer one is listed, and loaded, by its short name.
#[test]
fn the_longest_names_do_not_hide_a_model() {
    for (characters, is_whole) in [(247, true), (248, false), (255, false)] {
        let name = format!("{}.gguf", "n".repeat(characters - 5));
        let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| write_file(file_system, &name, b"xyz"));
        with_volume(image, |volume, blocks| {
            let path = volume.find_models(blocks).unwrap().list[0].path.clone();
            assert_eq!(path == name.as_str(), is_whole, "{path}");
            assert_eq!(volume.open(blocks, &path).unwrap().bytes, 3);
        });
    }
}

#[test]
fn models_are_found_in_every_folder_those_near_the_root_first() {
    let image = image(LARGE_BYTES, FatType::Fat32, 512, |file_system| {
        for folder in
            ["overlays", "a", "a/deeper", "a/deeper/still", "a/deeper/still/than", "a/deeper/still/than/paths"]
        {
            file_system.root_dir().create_dir(folder).unwrap();
        }
        for path in ["a/deeper/still/3.gguf", "a/deeper/2.gguf", "a/1 b.gguf", "z.gguf", "a/1 a.gguf"] {
            write_file(file_system, path, b"x");
        }
    });
    assert_eq!(paths(image), ["z.gguf", "a/1 a.gguf", "a/1 b.gguf", "a/deeper/2.gguf", "a/deeper/still/3.gguf"]);
}

#[test]
fn folders_without_room_are_counted() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        for number in 0..FOLDERS_MAX + 4 {
            file_system.root_dir().create_dir(&format!("folder {number:02}")).unwrap();
        }
        write_file(file_system, "folder 30/last.gguf", b"x");
        write_file(file_system, "folder 31/unseen.gguf", b"x");
    });
    with_volume(image, |volume, blocks| {
        let models = volume.find_models(blocks).unwrap();
        assert_eq!(models.list.iter().map(|model| model.path.as_str()).collect::<Vec<_>>(), ["folder 30/last.gguf"]);
        assert_eq!(models.folders_omitted, 5);
        assert_eq!(volume.open(blocks, "folder 31/unseen.gguf").unwrap().bytes, 1);
    });
}

#[test]
fn a_folder_that_contains_itself_does_not_hide_models_or_hang() {
    let mut image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        file_system.root_dir().create_dir("outer").unwrap();
        file_system.root_dir().create_dir("outer/inner").unwrap();
        write_file(file_system, "outer/model.gguf", b"x");
    });
    let outer = first_cluster_of_entry(&image, b"OUTER      ");
    let inner = entry_offset(&image, b"INNER      ");
    image[inner + 26..inner + 28].copy_from_slice(&outer.to_le_bytes());
    let found = paths(image);
    assert_eq!(found[0], "outer/model.gguf");
    assert!(found.len() <= MODELS_MAX && found.iter().all(|path| path.ends_with("/model.gguf")), "{found:?}");
}

/// Cluster by the directory entry of a folder on FAT16.
fn first_cluster_of_entry(image: &[u8], short_name: &[u8; 11]) -> u16 {
    let entry = entry_offset(image, short_name);
    u16::from_le_bytes([image[entry + 26], image[entry + 27]])
}

#[test]
fn models_are_sorted_and_those_without_room_counted() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        for number in (0..MODELS_MAX + 3).rev() {
            write_file(file_system, &format!("model number {number:02}.gguf"), b"x");
        }
    });
    with_volume(image, |volume, blocks| {
        let models = volume.find_models(blocks).unwrap();
        assert_eq!(models.list.len(), MODELS_MAX);
        assert_eq!(models.omitted, 3);
        assert!(models.list.is_sorted_by(|left, right| left.path <= right.path));
    });
}

#[test]
fn a_model_without_room_in_the_list_is_found_by_its_name() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        file_system.root_dir().create_dir("folder").unwrap();
        file_system.root_dir().create_dir("folder/last.gguf").unwrap();
        for number in 0..MODELS_MAX {
            write_file(file_system, &format!("model number {number:02}.gguf"), b"x");
        }
        write_file(file_system, "folder/unlisted Model.gguf", b"x");
        write_file(file_system, "folder/notes.txt", b"x");
    });
    with_volume(image, |volume, blocks| {
        let mut listing = Listing::new();
        while !listing.step(volume, blocks).unwrap() {}
        assert_eq!(listing.models().omitted, 1);
        for name in ["unlisted model", "Unlisted Model.GGUF"] {
            assert_eq!(listing.find(volume, blocks, name).unwrap(), "folder/unlisted Model.gguf");
        }
        for name in ["", "folder", "last", "last.gguf", "notes", "notes.txt", "unlisted"] {
            assert_eq!(listing.find(volume, blocks, name), Err(StorageError::FileNotFound), "{name}");
        }
    });
}

#[test]
fn a_card_without_models_has_an_empty_list() {
    assert!(paths(image(SMALL_BYTES, FatType::Fat16, 512, |_| {})).is_empty());
}

#[test]
fn paths_are_found_without_regard_to_case() {
    with_volume(usual(FatType::Fat32), |volume, blocks| {
        assert_eq!(volume.open(blocks, "/MODELS/another MODEL.gguf").unwrap().bytes, 1024);
        assert_eq!(volume.open(blocks, "tinyll~1.ggu").map(|file| file.bytes), Ok(70_001));
        for path in ["", "/", "models", "models/nothing", "nothing/x", "barellama.txt/x", "a/b/c/d/e/f/g"] {
            assert_eq!(volume.open(blocks, path), Err(StorageError::FileNotFound), "{path}");
        }
    });
}

#[test]
fn small_files_are_read_whole() {
    for bytes in [0, 1, 511, 512, 513, 5000] {
        for cluster_bytes in [512, 4096] {
            let size = if cluster_bytes == 512 { SMALL_BYTES } else { LARGE_BYTES };
            let image = image(size, FatType::Fat16, cluster_bytes, |file_system| {
                write_file(file_system, "File", &pattern(bytes));
            });
            with_volume(image, |volume, blocks| {
                let mut buffer = [0xEE; 5001];
                assert_eq!(volume.read_small_file(blocks, "file", &mut buffer), Ok(bytes));
                assert_eq!(buffer[..bytes], pattern(bytes));
                assert_eq!(buffer[bytes], 0xEE);
            });
        }
    }
}

#[test]
fn a_file_that_does_not_fit_is_refused() {
    with_volume(usual(FatType::Fat16), |volume, blocks| {
        let error = volume.read_small_file(blocks, "barellama.txt", &mut [0; 9]);
        assert_eq!(error, Err(StorageError::TooLarge { file_bytes: 10, room_bytes: 9 }));
    });
}

#[test]
fn of_a_file_that_does_not_fit_the_beginning_is_read() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| {
        write_file(file_system, "barellama.txt", &pattern(1 << 20));
        write_file(file_system, "short.txt", b"short");
    });
    with_volume(image, |volume, blocks| {
        for room in [0, 1, 511, 512, 513, 16_385] {
            let mut buffer = vec![0xEE; room];
            assert_eq!(volume.read_beginning(blocks, "barellama.txt", &mut buffer), Ok(room));
            assert_eq!(buffer, pattern(room));
        }
        let mut buffer = [0xEE; 6];
        assert_eq!(volume.read_beginning(blocks, "short.txt", &mut buffer), Ok(5));
        assert_eq!(&buffer, b"short\xEE");
        assert_eq!(volume.read_beginning(blocks, "none.txt", &mut buffer), Err(StorageError::FileNotFound));
    });
}

#[test]
fn a_directory_over_many_clusters_is_read() {
    for kind in [FatType::Fat16, FatType::Fat32] {
        let bytes = if kind == FatType::Fat32 { LARGE_BYTES } else { SMALL_BYTES };
        let image = image(bytes, kind, 512, |file_system| {
            file_system.root_dir().create_dir("models").unwrap();
            for number in 0..200 {
                write_file(file_system, &format!("models/a rather long name, number {number}.txt"), b"x");
            }
            write_file(file_system, "models/z.gguf", b"x");
        });
        assert_eq!(paths(image), ["models/z.gguf"]);
    }
}

#[test]
fn a_card_named_models_does_not_hide_the_folder() {
    let mut image = usual(FatType::Fat16);
    let root = geometry(&image).directories_lba as usize * BLOCK;
    image.copy_within(root..root + 32 * 16, root + 32);
    image[root..root + 32].fill(0);
    image[root..root + 11].copy_from_slice(b"MODELS     ");
    image[root + 11] = 0x08;
    assert_eq!(paths(image).len(), 2);
}

/// A directory chain in a circle would keep `embedded-sdmmc` walking for ever.
#[test]
fn a_directory_in_a_circle_is_refused() {
    let mut image = usual(FatType::Fat32);
    let root = geometry(&image).root_cluster;
    set_fat(&mut image, root, root);
    with_volume(image, |volume, blocks| {
        let error = StorageError::Directory(ChainFault::Loop { cluster: root });
        assert_eq!(volume.find_models(blocks), Err(error));
        assert_eq!(volume.open(blocks, "barellama.txt"), Err(error));
    });
}

#[test]
fn a_damaged_folder_does_not_hide_the_models_of_the_root() {
    let mut image = usual(FatType::Fat16);
    let folder = entry_offset(&image, b"MODELS     ");
    let cluster = u16::from_le_bytes([image[folder + 26], image[folder + 27]]);
    set_fat(&mut image, cluster.into(), cluster.into());
    assert_eq!(paths(image.clone()), ["TinyLlama 1.1B Chat, Q4_0.gguf"]);

    // A folder that begins at no cluster.
    image[folder + 26..folder + 28].copy_from_slice(&[0, 0]);
    assert_eq!(paths(image.clone()), ["TinyLlama 1.1B Chat, Q4_0.gguf"]);
    with_volume(image, |volume, blocks| {
        let fault = ChainFault::OutOfRange { cluster: 0, next: 0 };
        assert_eq!(volume.open(blocks, "models/x"), Err(StorageError::Directory(fault)));
    });
}

/// 13 units and half of a character from the part before: `embedded-sdmmc` 0.10 panics on this one.
#[test]
fn a_broken_long_name_does_not_panic() {
    let mut image = usual(FatType::Fat16);
    let short = entry_offset(&image, b"TINYLL~1GGU");
    let parts = ["\u{1}aaaaaaa.gguf", "bbbbbbbbbbbbb", "ccccccccccccc"];
    for ((part, offset), sequence) in parts.iter().zip([96, 64, 32]).zip([0x43, 2, 1]) {
        let entry = &mut image[short - offset..][..32];
        entry[0] = sequence;
        for (unit, character) in (1..11).chain(14..26).chain(28..32).step_by(2).zip(part.encode_utf16()) {
            let lone_surrogate = if character == 1 { 0xDC00 } else { character };
            entry[unit..unit + 2].copy_from_slice(&lone_surrogate.to_le_bytes());
        }
    }
    assert_eq!(paths(image)[0], "cccccccccccccbbbbbbbbbbbbb\u{FFFD}aaaaaaa.gguf");
}

#[test]
fn an_empty_file_begins_nowhere() {
    let image = image(SMALL_BYTES, FatType::Fat16, 512, |file_system| write_file(file_system, "empty.gguf", b""));
    assert_eq!(first_cluster(&image, "empty.gguf"), 0);
}

/// Some systems write the parts of a long name and then another short one: its checksum tells that they do not belong together.
#[test]
fn a_long_name_with_a_wrong_checksum_does_not_hide_the_model() {
    let mut image = usual(FatType::Fat16);
    let short = entry_offset(&image, b"TINYLL~1GGU");
    for offset in [32, 64, 96] {
        assert_eq!(image[short - offset + 11], 0x0F, "a part of the long name");
        image[short - offset + 13] ^= 0x55;
    }
    with_volume(image, |volume, blocks| {
        let models = volume.find_models(blocks).unwrap();
        let first = &models.list[0];
        assert_eq!((first.path.as_str(), first.bytes), ("TINYLL~1.GGU", 70_001));
        assert_eq!(volume.open(blocks, "TINYLL~1.GGU").unwrap().bytes, 70_001);
    });
}
