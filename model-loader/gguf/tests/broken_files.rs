//! Broken files: each test breaks one thing and names the check that must catch it.

use barellama_gguf::{Check, Gguf, GgufError, METADATA_MAX, NAME_BYTES_MAX, TENSORS_MAX, TensorType};

const U32: u32 = 4;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U64_MAX: u64 = u64::MAX;

/// Builds files field by field, right or wrong.
#[derive(Default)]
struct Builder {
    metadata: Vec<u8>,
    metadata_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

impl Builder {
    fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.metadata.extend(string(key.as_bytes()));
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend(value);
        self.metadata_count += 1;
        self
    }

    fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.extend(string(name.as_bytes()));
        self.tensors.extend((dimensions.len() as u32).to_le_bytes());
        for dimension in dimensions {
            self.tensors.extend(dimension.to_le_bytes());
        }
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    fn data(mut self, bytes: usize) -> Self {
        self.data = vec![0; bytes];
        self
    }

    fn build(self) -> Vec<u8> {
        let mut file = header(3, self.tensor_count, self.metadata_count);
        file.extend(self.metadata);
        file.extend(self.tensors);
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(self.data);
        file
    }
}

fn header(version: u32, tensors: u64, metadata: u64) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(version.to_le_bytes());
    file.extend(tensors.to_le_bytes());
    file.extend(metadata.to_le_bytes());
    file
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

fn array(kind: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

fn error(file: &[u8]) -> GgufError {
    Gguf::parse(file).expect_err("the file is broken")
}

fn check(builder: Builder) -> Check {
    error(&builder.build()).check
}

#[test]
fn a_good_file_gives_its_values_and_tensors() {
    let strings = [string(b"a"), string("ü".as_bytes()), string(b"")].concat();
    let file = Builder::default()
        .key("general.alignment", U32, &64u32.to_le_bytes())
        .key("flag", BOOL, &[1])
        .key("name", STRING, &string(b"tiny"))
        .key("tokens", ARRAY, &array(STRING, 3, &strings))
        .key("scores", ARRAY, &array(6, 2, &[1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat()))
        .key("types", ARRAY, &array(5, 2, &[3i32.to_le_bytes(), (-1i32).to_le_bytes()].concat()))
        .key("wide", 10, &7u64.to_le_bytes())
        .key("eps", 6, &1e-5f32.to_le_bytes())
        .tensor("b", &[32, 2], 2, 64)
        .tensor("a", &[4], 0, 0)
        .data(128)
        .build();
    let mut file = file;
    file.resize(file.len() + 64, 0);
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
fn headers_are_checked() {
    assert_eq!(error(b"").check, Check::Magic);
    assert_eq!(error(b"GGML\x03\0\0\0").check, Check::Magic);
    assert_eq!(error(b"GGUF\x03").check, Check::Truncated);
    assert_eq!(error(&header(1, 0, 0)).check, Check::Version(1));
    assert_eq!(error(&header(4, 0, 0)).check, Check::Version(4));
    assert_eq!(error(&header(3 << 24, 0, 0)).check, Check::BigEndian);
}

#[test]
fn counts_are_bounded_before_memory_is_reserved() {
    let padded = |tensors, metadata| [header(3, tensors, metadata), vec![0; 1 << 20]].concat();
    assert_eq!(error(&padded(U64_MAX, 0)).check, Check::TensorCount(U64_MAX));
    assert_eq!(error(&padded(TENSORS_MAX + 1, 0)).check, Check::TensorCount(TENSORS_MAX + 1));
    assert_eq!(error(&padded(0, U64_MAX)).check, Check::MetadataCount(U64_MAX));
    assert_eq!(error(&padded(0, METADATA_MAX + 1)).check, Check::MetadataCount(METADATA_MAX + 1));
    assert_eq!(error(&header(3, 0, 1)).check, Check::MetadataCount(1));
    assert_eq!(error(&header(3, 1, 0)).check, Check::TensorCount(1));
}

#[test]
fn names_are_bounded() {
    let long = "k".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(check(Builder::default().key(&long, BOOL, &[0])), Check::NameLength(257));
    assert_eq!(check(Builder::default().key("", BOOL, &[0; 32])), Check::NameLength(0));
    let endless = [header(3, 0, 1), U64_MAX.to_le_bytes().to_vec(), vec![0; 64]].concat();
    assert_eq!(error(&endless).check, Check::NameLength(U64_MAX));
    let not_text = [header(3, 0, 1), string(&[0xFF, 0xFE]), BOOL.to_le_bytes().to_vec(), vec![0; 8]].concat();
    assert_eq!(error(&not_text).check, Check::Utf8);
}

#[test]
fn values_are_checked_and_the_error_names_the_key() {
    let found = error(&Builder::default().key("some.key", 13, &[0; 8]).build());
    assert_eq!((found.check, found.name.as_str()), (Check::ValueType(13), "some.key"));
    assert!(found.offset > 24);
    assert_eq!(check(Builder::default().key("k", BOOL, &[2])), Check::Boolean(2));
    assert_eq!(check(Builder::default().key("k", STRING, &U64_MAX.to_le_bytes())), Check::StringLength(U64_MAX));
    assert_eq!(check(Builder::default().key("k", STRING, &string(&[0xC3]))), Check::Utf8);
    assert_eq!(check(Builder::default().key("k", BOOL, &[0]).key("k", BOOL, &[1])), Check::DuplicateKey);
    let cut = Builder::default().key("k", 10, &[0; 7]).build();
    assert_eq!(error(&cut[..24 + 9 + 4 + 7]).check, Check::Truncated);
}

#[test]
fn arrays_are_checked() {
    let with = |value: Vec<u8>| check(Builder::default().key("k", ARRAY, &value));
    assert_eq!(with(array(ARRAY, 1, &array(U32, 0, &[]))), Check::NestedArray);
    assert_eq!(with(array(U32, U64_MAX, &[])), Check::ArrayLength(U64_MAX));
    assert_eq!(with(array(U32, 1 << 40, &[])), Check::ArrayLength(1 << 40));
    assert_eq!(with(array(STRING, 2, &string(b"a"))), Check::ArrayLength(2));
    assert_eq!(with(array(99, 1, &[])), Check::ValueType(99));
    assert_eq!(with(array(BOOL, 2, &[1, 7])), Check::Boolean(7));
}

#[test]
fn alignment_is_checked() {
    for alignment in [0u32, 1, 4, 31, 48, 1 << 17, u32::MAX] {
        let builder = Builder::default().key("general.alignment", U32, &alignment.to_le_bytes());
        assert_eq!(check(builder), Check::Alignment(alignment));
    }
    let found = check(Builder::default().tensor("t", &[4], 0, 8).data(64));
    assert_eq!(found, Check::TensorAlignment(8));
}

#[test]
fn tensor_shapes_and_types_are_checked() {
    let with = |dimensions: &[u64], kind| check(Builder::default().tensor("t", dimensions, kind, 0).data(64));
    assert_eq!(with(&[], 0), Check::DimensionCount(0));
    assert_eq!(with(&[1, 1, 1, 1, 1], 0), Check::DimensionCount(5));
    assert_eq!(with(&[0], 0), Check::Dimensions);
    assert_eq!(with(&[1 << 33, 1 << 33], 0), Check::Dimensions);
    assert_eq!(with(&[1 << 62, 2], 0), Check::Dimensions);
    assert_eq!(with(&[4], 4), Check::RemovedType("q4_2"));
    assert_eq!(with(&[4], 31), Check::RemovedType("q4_0_4_4"));
    assert_eq!(with(&[4], 43), Check::UnknownType(43));
    assert_eq!(with(&[33], 2), Check::RowBlocks(TensorType::Q4_0));
}

#[test]
fn tensor_data_must_lie_inside_the_file_and_alone() {
    let outside = check(Builder::default().tensor("t", &[17], 0, 0).data(64));
    assert!(matches!(outside, Check::TensorOutsideFile { bytes: 68, .. }));
    let far = check(Builder::default().tensor("t", &[4], 0, U64_MAX - 31).data(64));
    assert!(matches!(far, Check::TensorOutsideFile { start: U64_MAX, .. }));
    let overlap = Builder::default().tensor("a", &[16], 0, 0).tensor("b", &[8], 0, 32).data(64);
    assert_eq!(check(overlap), Check::TensorOverlap);
    let twice = Builder::default().tensor("a", &[8], 0, 0).tensor("a", &[8], 0, 32).data(64);
    assert_eq!(check(twice), Check::DuplicateTensor);
}

#[test]
fn split_models_are_refused() {
    let found = error(&Builder::default().key("split.count", 2, &3u16.to_le_bytes()).build());
    assert_eq!((found.check, found.name.as_str()), (Check::Split(3), "split.count"));
}

#[test]
fn no_prefix_of_a_good_file_panics_or_parses() {
    let file = Builder::default()
        .key("name", STRING, &string(b"tiny"))
        .key("tokens", ARRAY, &array(STRING, 2, &[string(b"a"), string(b"b")].concat()))
        .tensor("t", &[8], 0, 0)
        .data(32)
        .build();
    assert!(Gguf::parse(&file).is_ok());
    for length in 0..file.len() {
        assert!(Gguf::parse(&file[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn no_flipped_byte_panics() {
    let file = Builder::default()
        .key("name", STRING, &string(b"tiny"))
        .key("tokens", ARRAY, &array(STRING, 2, &[string(b"a"), string(b"b")].concat()))
        .tensor("t", &[8], 0, 0)
        .data(32)
        .build();
    for at in 0..file.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut broken = file.clone();
            broken[at] = value;
            if let Ok(gguf) = Gguf::parse(&broken) {
                let tensors: usize = gguf.tensors().iter().map(|tensor| tensor.data.len()).sum();
                assert!(tensors <= file.len());
                for key in gguf.keys() {
                    assert!(gguf.get(key).is_some());
                }
            }
        }
    }
}
