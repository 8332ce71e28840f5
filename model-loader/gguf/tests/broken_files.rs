//! Broken files: the table of `support/broken.rs`, and what no table of single faults can hold.

#[path = "support/broken.rs"]
mod broken;
#[allow(dead_code, reason = "the fuzz targets use all of it")]
#[path = "support/model_file.rs"]
mod model_file;

use barellama_gguf::{Gguf, ModelConfig, ModelTensors, TensorType};
use model_file::{ModelFile, Weights, kind, smallest};

/// What reading a file says: the error's `Debug` form, for the structure with the name of key or tensor.
fn verdict(file: &[u8]) -> Result<(), String> {
    let gguf = Gguf::parse(file).map_err(|error| format!("{:?} {}", error.check, error.name))?;
    let config = ModelConfig::from_gguf(&gguf).map_err(|error| format!("{error:?}"))?;
    ModelTensors::from_gguf(&gguf, &config).map(|_| ()).map_err(|error| format!("{error:?}"))
}

/// Every fault of the table is found by the check that it names. `BROKEN_TABLE=1` prints the table; `make check-broken-files` proves
/// for each check that its files fail without it.
#[test]
fn every_broken_file_trips_the_check_that_it_names() {
    let files = broken::files();
    let is_printed = std::env::var_os("BROKEN_TABLE").is_some();
    let mut wrong = 0;
    for case in &files {
        let found = std::panic::catch_unwind(|| verdict(&case.file)).unwrap_or_else(|_| Err("panic".to_owned()));
        if found.as_ref().err().is_none_or(|error| error != case.error) {
            println!("WRONG {}: {found:?} instead of {:?}", case.name, case.error);
            wrong += 1;
        }
        if is_printed {
            println!("| {} | `{}` |", case.name, case.error.trim_end());
        }
    }
    assert_eq!(wrong, 0, "of {} files", files.len());
    assert!(files.len() >= 60, "{}", files.len());
}

#[test]
fn no_fault_is_in_the_table_twice() {
    let files = broken::files();
    for (index, case) in files.iter().enumerate() {
        assert!(
            files[index + 1..].iter().all(|other| other.file != case.file && other.name != case.name),
            "{}",
            case.name
        );
    }
}

#[test]
fn the_file_that_is_broken_is_intact_before() {
    for weights in Weights::ALL {
        assert_eq!(verdict(&smallest(weights).build()), Ok(()), "{weights:?}");
    }
}

#[test]
fn a_good_file_gives_its_values_and_tensors() {
    let floats = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
    let integers = [3i32.to_le_bytes(), (-1i32).to_le_bytes()].concat();
    let file = ModelFile::default()
        .u32("general.alignment", 64)
        .key("flag", kind::BOOL, &[1])
        .text("name", "tiny")
        .texts("tokens", &["a", "ü", ""])
        .array("scores", kind::F32, 2, &floats)
        .array("types", kind::I32, 2, &integers)
        .key("wide", kind::U64, &7u64.to_le_bytes())
        .f32("eps", 1e-5)
        .tensor("a", &[16], 0, &[0; 64])
        .tensor("b", &[32, 2], 2, &[0; 36]);
    let mut front = file.front();
    front.resize(front.len().next_multiple_of(64), 0);
    let file = [front, file.data].concat();
    let gguf = Gguf::parse(&file).unwrap();
    assert_eq!(gguf.version(), 3);
    assert_eq!(gguf.bool("flag"), Some(true));
    assert_eq!(gguf.string("name"), Some("tiny"));
    assert_eq!(gguf.u32("wide"), Some(7));
    assert_eq!(gguf.f32("eps"), Some(1e-5));
    assert_eq!(gguf.strings("tokens").unwrap().iter().collect::<Vec<_>>(), ["a", "ü", ""]);
    assert_eq!(gguf.f32s("scores").unwrap().collect::<Vec<_>>(), [1.5, -2.0]);
    assert_eq!(gguf.i32s("types").unwrap().collect::<Vec<_>>(), [3, -1]);
    assert!(gguf.strings("scores").is_none() && gguf.u32("name").is_none() && gguf.get("nothing").is_none());
    let tensor = gguf.tensor("b").unwrap();
    assert_eq!((tensor.kind, tensor.rows(), tensor.row_bytes(), tensor.data.len()), (TensorType::Q4_0, 2, 18, 36));
    assert_eq!(tensor.offset % 64, 0);
    assert_eq!(gguf.tensors().len(), 2);
}

#[test]
fn an_error_tells_where() {
    let error = Gguf::parse(&ModelFile::default().key("some.key", 13, &[0; 8]).build()).unwrap_err();
    assert!(error.offset > 24);
    assert!(error.to_string().starts_with("some.key: value type 13 is not known (at byte "), "{error}");
}

#[test]
fn no_prefix_of_a_good_file_panics_or_parses() {
    let file = smallest(Weights::ALL[1]).build();
    let data_end = file.len() - (file.len() - 1).next_multiple_of(32).abs_diff(file.len() - 1);
    for length in 0..data_end.min(4096) {
        assert!(Gguf::parse(&file[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn no_flipped_byte_of_the_front_panics() {
    let intact = broken::intact();
    let (file, front) = (intact.build(), intact.front().len());
    for at in 0..front {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut changed = file.clone();
            changed[at] = value;
            let _ = verdict(&changed);
        }
    }
}
