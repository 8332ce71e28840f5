#!/usr/bin/env python3
"""Proves that each broken GGUF file is caught by the check that it names: takes every check out, one after the other, and runs the
table of model-loader/gguf/tests/support/broken.rs against the reader without it. Each mutant must fail a file of the table, and each
file must fail for a mutant. All mutants are modules of one program, so that they are compiled at once.

Usage: broken_files.py CARGO...     (the Makefile's `check-broken-files`)
       broken_files.py --list       only whether each check stands in the reader as this script's list has it
"""
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
READER = HERE / "model-loader/gguf"
COPY = HERE / ".work/mutants"

MANIFEST = """[package]
name = "mutants"
version = "0.1.0"
edition = "2024"
[dependencies]
heapless = "0.9"
[profile.dev]
debug = false
[workspace]
"""

MAIN = """#![allow(warnings)]
extern crate alloc;
mod broken;
mod model_file;
%(modules)s

macro_rules! verdict {
    ($reader:ident) => {
        |file| {
            let gguf = $reader::Gguf::parse(file).map_err(|error| format!("{:?} {}", error.check, error.name))?;
            let config = $reader::ModelConfig::from_gguf(&gguf).map_err(|error| format!("{error:?}"))?;
            $reader::ModelTensors::from_gguf(&gguf, &config).map(|_| ()).map_err(|error| format!("{error:?}"))
        }
    };
}

type Verdict = fn(&[u8]) -> Result<(), String>;

fn main() {
    let readers: &[Verdict] = &[%(readers)s];
    let files = broken::files();
    std::panic::set_hook(Box::new(|_| {}));
    for file in &files {
        println!("FILE {}", file.name);
    }
    for (number, reader) in readers.iter().enumerate() {
        for file in &files {
            let found = std::panic::catch_unwind(|| reader(&file.file)).unwrap_or_else(|_| Err("panic".to_owned()));
            if found != Err(file.error.to_owned()) {
                println!("MISSED {number} {}", file.name);
            }
        }
    }
}
"""

# File, then pairs of what stands there and what it becomes without the check. Several where one check is in several places:
# reading behind the end fails at the next field otherwise.
MUTANTS = [
    ("file.rs", 'if cursor.array() != Some(*b"GGUF")', 'if cursor.array::<4>().is_none()'),
    ("file.rs", "let version = cursor.u32().ok_or_else(truncated)?", "let version = cursor.u32().unwrap_or(3)",
     "let tensor_count = cursor.u64().ok_or_else(truncated)?", "let tensor_count = cursor.u64().unwrap_or(0)",
     "let metadata_count = cursor.u64().ok_or_else(truncated)?", "let metadata_count = cursor.u64().unwrap_or(0)",
     "let truncated = || fail(Check::Truncated, 4);", ""),
    ("file.rs", "if version != 0 && version & 0xFFFF == 0 {", "if false {"),
    ("file.rs", "(2..=3).contains(&version)", "(2..=4).contains(&version)"),
    ("file.rs", "(2..=3).contains(&version)", "(1..=3).contains(&version)"),
    ("file.rs", "tensor_count > TENSORS_MAX || ", ""),
    ("file.rs", " || tensor_count * TENSOR_BYTES_MIN > left", ""),
    ("file.rs", "metadata_count > METADATA_MAX || ", ""),
    ("file.rs", " || metadata_count * METADATA_BYTES_MIN > left", ""),
    ("file.rs", "bytes == 0 || bytes > NAME_BYTES_MAX", "bytes > NAME_BYTES_MAX"),
    ("file.rs", "bytes == 0 || bytes > NAME_BYTES_MAX", "bytes == 0"),
    ("file.rs", "core::str::from_utf8(name).map_err(|_| fail(Check::Utf8))", 'Ok(core::str::from_utf8(name).unwrap_or("x"))'),
    ("file.rs", "cursor.take(bytes).ok_or_else(|| fail(Check::Truncated))?", 'cursor.take(bytes).unwrap_or(b"x")'),
    ("file.rs", "cursor.u32().ok_or_else(|| GgufError::new(Check::Truncated, key, at))?", "cursor.u32().unwrap_or(0)"),
    ("file.rs", "ValueType::from_number(number).ok_or_else(|| GgufError::new(Check::ValueType(number), key, at))?",
     "ValueType::from_number(number).unwrap_or(ValueType::U8)"),
    ("file.rs", "&& first.key == second.key", "&& false"),
    ("file.rs", "[byte] => Err(Check::Boolean(byte)),", "[_] => Ok(()),"),
    ("file.rs", "cursor.array::<1>().ok_or(Check::Truncated)?", "cursor.array::<1>().unwrap_or([0])"),
    ("file.rs", "scalar => cursor.take(scalar.bytes_min()).map(|_| ()).ok_or(Check::Truncated),",
     "scalar => { let _ = cursor.take(scalar.bytes_min()); Ok(()) }"),
    ("file.rs", "let length = cursor.u64().ok_or(Check::Truncated)?;", "let length = cursor.u64().unwrap_or(0);"),
    ("file.rs", "bytes.ok_or(Check::StringLength(length))?", 'bytes.unwrap_or(b"")'),
    ("file.rs", "core::str::from_utf8(bytes).map(|_| ()).map_err(|_| Check::Utf8)", "{ let _ = bytes; Ok(()) }"),
    ("file.rs", "let number = cursor.u32().ok_or(Check::Truncated)?;\n    let kind = ValueType",
     "let number = cursor.u32().unwrap_or(0);\n    let kind = ValueType",
     "let count = cursor.u64().ok_or(Check::Truncated)?;", "let count = cursor.u64().unwrap_or(0);"),
    ("file.rs", "ValueType::from_number(number).ok_or(Check::ValueType(number))?", "ValueType::from_number(number).unwrap_or(ValueType::U8)"),
    ("file.rs", "if kind == ValueType::Array {", "if false {"),
    ("file.rs", "if bytes_min.is_none_or(|bytes| bytes > cursor.left()) {", "if false {"),
    ("file.rs", "if !(1..=4).contains(&count) {", "if false {"),
    ("file.rs", "let count = cursor.u32().ok_or(Check::Truncated)?;", "let count = cursor.u32().unwrap_or(1);",
     "let value = cursor.u64().ok_or(Check::Truncated)?;", "let value = cursor.u64().unwrap_or(1);",
     "let number = cursor.u32().ok_or(Check::Truncated)?;\n    let kind = TensorType",
     "let number = cursor.u32().unwrap_or(0);\n    let kind = TensorType",
     "let offset = cursor.u64().ok_or(Check::Truncated)?;", "let offset = cursor.u64().unwrap_or(0);"),
    ("file.rs", ".filter(|&value| value > 0)", ""),
    ("file.rs", ".ok_or_else(|| TensorType::removed_name(number).map_or(Check::UnknownType(number), Check::RemovedType))?",
     ".unwrap_or(TensorType::F32)"),
    ("file.rs", "if !dimensions[0].is_multiple_of(kind.block_elements()) {", "if false {"),
    ("file.rs", "data_bytes(tensor).ok_or_else(|| fail(Check::Dimensions))?", "data_bytes(tensor).unwrap_or(0)"),
    ("file.rs", "if !tensor.offset.is_multiple_of(alignment) {", "if false {"),
    ("file.rs", "let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));",
     "let range = start.and_then(|start| Some(start..start.checked_add(bytes)?)).filter(|range| range.end <= self.bytes.len())"
     ".or(Some(0..bytes.min(self.bytes.len())));"),
    ("file.rs", "&& second.offset - first.offset < first.data_bytes()", "&& false"),
    ("file.rs", "&& first.name == second.name", "&& false"),
    ("file.rs", "Some(parts) if parts > 1 => {", "Some(parts) if parts > 100 => {"),
    ("file.rs", "if !alignment.is_power_of_two() || !(8..=65_536).contains(&alignment) {", "if false {"),
    ("file.rs", "if !alignment.is_power_of_two() || ", "if "),
    ("file.rs", "(8..=65_536).contains(&alignment)", "(1..=65_536).contains(&alignment)"),
    ("file.rs", "(8..=65_536).contains(&alignment)", "(8..=1 << 20).contains(&alignment)"),
    ("config.rs", 'gguf.string("general.architecture").ok_or_else(|| missing("general.architecture"))?',
     'gguf.string("general.architecture").unwrap_or("llama")'),
    ("config.rs", 'if architecture != "llama" {', "if false {"),
    ("config.rs", "Some(kind) => Err(ConfigError::NotAModel(short_name(kind))),", "Some(_) => Ok(()),"),
    ("config.rs", 'Some(_) => Err(ConfigError::Unsupported(short_name(key), short_name("mixture of experts"))),', "Some(_) => Ok(()),"),
    ("config.rs", "optional(gguf, key, most)?.ok_or_else(|| missing(key))", "Ok(optional(gguf, key, most)?.unwrap_or(1))"),
    ("config.rs", "Some(value) => value.as_u32().ok_or_else(|| missing(key))?,", "Some(value) => value.as_u32().unwrap_or(1),"),
    ("config.rs", "if value == 0 || value as usize > most {", "if value as usize > most {"),
    ("config.rs", "if value == 0 || value as usize > most {", "if value == 0 {"),
    ("config.rs", "if values.any(|value| value != Some(first)) {", "if false {"),
    ("config.rs", "values.next().flatten().ok_or_else(|| missing(key))?", "values.next().flatten().unwrap_or(1)"),
    ("config.rs", "if value > 0.0 && value.is_finite() {", "if true {"),
    ("config.rs", "if value > 0.0 && value.is_finite() {", "if value.is_finite() {"),
    ("config.rs", "if value > 0.0 && value.is_finite() {", "if value > 0.0 {"),
    ("config.rs", '.ok_or_else(|| missing("llama.attention.layer_norm_rms_epsilon"))?', ".unwrap_or(1e-5)"),
    ("config.rs", "gguf.f32(key).ok_or_else(|| missing(key))?", "gguf.f32(key).unwrap_or(1.0)"),
    ("config.rs", "if key.is_none() && !embedding.is_multiple_of(heads) {", "if false {"),
    ("config.rs", "if value.unwrap_or(head) != head {", "if false {"),
    ("config.rs", "if head == 0 || head > HEAD_MAX {", "if false {"),
    ("config.rs", "Some(other) => return Err(ConfigError::Unsupported(short_name(kind), short_name(other))),", "Some(_) => {}"),
    ("config.rs", "if !(scale > 0.0 && scale.is_finite()) {", "if false {"),
    ("config.rs", "if !(scale > 0.0 && scale.is_finite()) {", "if !scale.is_finite() {"),
    ("config.rs", "if !(scale > 0.0 && scale.is_finite()) {", "if !(scale > 0.0) {"),
    ("config.rs", "Some(None) => return Err(missing(key)),", "Some(None) => 1.0,"),
    ("config.rs", "gguf.tensor(name).ok_or_else(|| ConfigError::MissingTensor(short_name(name)))?",
     "gguf.tensor(name).or(gguf.tensors().first()).ok_or_else(|| ConfigError::MissingTensor(short_name(name)))?"),
    ("config.rs", "if rows > VOCABULARY_MAX {", "if false {"),
    ("config.rs", "if named.is_some_and(|named| named != rows) {", "if false {"),
    ("config.rs", "if tokens.is_some_and(|tokens| tokens != rows) {", "if false {"),
    ("config.rs", "if !self.heads.is_multiple_of(self.kv_heads) {", "if false {"),
    ("config.rs", "if !self.rope_dimensions.is_multiple_of(2) || self.rope_dimensions > self.head {", "if self.rope_dimensions > self.head {"),
    ("config.rs", "if !self.rope_dimensions.is_multiple_of(2) || self.rope_dimensions > self.head {",
     "if !self.rope_dimensions.is_multiple_of(2) {"),
    ("model.rs", "self.gguf.tensor(name).ok_or_else(|| TensorError::Missing(short_name(name)))?",
     "self.gguf.tensor(name).or(self.gguf.tensors().first()).ok_or_else(|| TensorError::Missing(short_name(name)))?"),
    ("model.rs", "if [width, height, depth, more] != [columns, rows, 1, 1] {", "if false {"),
    ("model.rs", "            | TensorType::I8\n", ""),
    ("model.rs", "if tensor.kind == TensorType::F32 {", "if true {"),
    ("model.rs", "if finder.found != gguf.tensors().len() {", "if false {"),
]


def without_check(file, source, changes):
    """The source of a file without a check."""
    for old, new in zip(changes[::2], changes[1::2]):
        if source.count(old) != 1:
            sys.exit(f"{file} has this {source.count(old)} times; mend the list of {sys.argv[0]}:\n{old}")
        source = source.replace(old, new)
    return source


def write_reader(number, file, changes):
    """Writes the reader as a module, without a check."""
    folder = COPY / f"src/m{number}"
    folder.mkdir()
    for path in (READER / "src").glob("*.rs"):
        source = path.read_text()
        if path.name == file:
            source = without_check(file, source, changes)
        source = source.replace("crate::", f"crate::m{number}::")
        if path.name == "lib.rs":
            source = re.sub(r"^(#!\[.*|extern crate .*|//!.*)\n", "", source, flags=re.MULTILINE)
        (folder / ("mod.rs" if path.name == "lib.rs" else path.name)).write_text(source)


def main():
    if sys.argv[1:] == ["--list"]:
        for file, *changes in MUTANTS:
            without_check(file, (READER / "src" / file).read_text(), changes)
        return
    cargo = sys.argv[1:] or ["cargo"]
    shutil.rmtree(COPY / "src", ignore_errors=True)
    (COPY / "src").mkdir(parents=True)
    for part in ("broken.rs", "model_file.rs"):
        shutil.copy(READER / "tests/support" / part, COPY / "src" / part)
    (COPY / "Cargo.toml").write_text(MANIFEST)
    shutil.copy(HERE / "Cargo.lock", COPY / "Cargo.lock")
    # Number 0 is the reader as it is.
    mutants = [("", ()), *((file, changes) for file, *changes in MUTANTS)]
    for number, (file, changes) in enumerate(mutants):
        write_reader(number, file, changes)
    numbers = range(len(mutants))
    modules = "\n".join(f"mod m{number};" for number in numbers)
    readers = ", ".join(f"verdict!(m{number})" for number in numbers)
    (COPY / "src/main.rs").write_text(MAIN % {"modules": modules, "readers": readers})
    run = subprocess.run([*cargo, "run", "--offline", "--quiet"], cwd=COPY, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"the mutants do not run:\n{run.stderr}")
    files = re.findall(r"^FILE (.*)$", run.stdout, re.MULTILINE)
    missed = [(int(number), name) for number, name in re.findall(r"^MISSED (\d+) (.*)$", run.stdout, re.MULTILINE)]
    for number, (file, changes) in list(enumerate(mutants))[1:]:
        count = sum(1 for other, _ in missed if other == number)
        print(f"{number:3} {file}, without `{changes[0].splitlines()[0].strip()[:80]}`: {count} files of the table fail")
        if count == 0:
            sys.exit("no file notices that this check is gone")
    if any(number == 0 for number, _ in missed):
        sys.exit("the table fails without a mutant")
    unproven = set(files) - {name for _, name in missed}
    if unproven:
        sys.exit("these files fail for no mutant: " + "; ".join(sorted(unproven)))
    print(f"{len(MUTANTS)} checks taken out one by one: each is missed by a file, and each of {len(files)} broken files misses one")


main()
