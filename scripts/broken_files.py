#!/usr/bin/env python3
"""Proves that each broken GGUF file is caught by the check that it names: takes every check out, one after the other, and runs the
table of model-loader/gguf/tests/support/broken.rs. A mutant is killed if a file of the table fails; every file must fail for a mutant.

Usage: broken_files.py CARGO...     (the Makefile's `check-broken-files`)
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
COPY = HERE / ".work/mutants"

CARGO = """[package]
name = "barellama-gguf"
version = "0.1.0"
edition = "2024"
[dependencies]
heapless = "0.9"
[profile.test]
debug = false
[workspace]
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
    ("file.rs", "&& second.offset - first.offset < first.data.len()", "&& false"),
    ("file.rs", "&& first.name == second.name", "&& false"),
    ("file.rs", "Some(parts) if parts > 1 => {", "Some(parts) if parts > 100 => {"),
    ("file.rs", "if !alignment.is_power_of_two() || !(8..=65_536).contains(&alignment) {", "if false {"),
    ("file.rs", "if !alignment.is_power_of_two() || ", "if "),
    ("file.rs", "(8..=65_536).contains(&alignment)", "(1..=65_536).contains(&alignment)"),
    ("file.rs", "(8..=65_536).contains(&alignment)", "(8..=1 << 20).contains(&alignment)"),
    ("config.rs", 'gguf.string("general.architecture").ok_or_else(|| missing("general.architecture"))?',
     'gguf.string("general.architecture").unwrap_or("llama")'),
    ("config.rs", 'if architecture != "llama" {', "if false {"),
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
    ("config.rs", 'gguf.tensor("token_embd.weight").ok_or_else(|| missing("token_embd.weight"))?',
     'gguf.tensor("token_embd.weight").or(gguf.tensors().first()).ok_or_else(|| missing("token_embd.weight"))?'),
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


def failing(cargo):
    """Names of the broken files that are not refused as they should be, and the names of all."""
    command = [*cargo, "test", "--offline", "--quiet", "--test", "broken_files", "every_broken", "--", "--nocapture"]
    environment = {**os.environ, "BROKEN_TABLE": "1"}
    run = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False, env=environment)
    if "could not compile" in run.stderr:
        sys.exit(f"a mutant does not compile:\n{run.stderr}")
    return set(re.findall(r"^WRONG (.*?): ", run.stdout, re.MULTILINE)), set(re.findall(r"^\| (.*?) \| `", run.stdout, re.MULTILINE))


def main():
    cargo = sys.argv[1:] or ["cargo"]
    shutil.rmtree(COPY, ignore_errors=True)
    for part in ("src", "tests"):
        shutil.copytree(HERE / "model-loader/gguf" / part, COPY / part)
    (COPY / "tests/reference_models.rs").unlink()
    (COPY / "Cargo.toml").write_text(CARGO)
    shutil.copy(HERE / "Cargo.lock", COPY / "Cargo.lock")
    wrong, names = failing(cargo)
    if wrong or not names:
        sys.exit("the table fails without a mutant")
    killed_by = {}
    for number, (file, *changes) in enumerate(MUTANTS, 1):
        path = COPY / "src" / file
        source = path.read_text()
        mutant = source
        for old, new in zip(changes[::2], changes[1::2]):
            if mutant.count(old) != 1:
                sys.exit(f"{file} has this {mutant.count(old)} times; mend the list of this script:\n{old}")
            mutant = mutant.replace(old, new)
        path.write_text(mutant)
        wrong, _ = failing(cargo)
        path.write_text(source)
        print(f"{number:3}/{len(MUTANTS)} {file}: {changes[0].splitlines()[0][:70]}: {len(wrong)} files fail", flush=True)
        if not wrong:
            sys.exit("no file notices that this check is gone")
        for name in wrong:
            killed_by.setdefault(name, []).append(number)
    unproven = names - set(killed_by)
    if unproven:
        sys.exit("these files fail for no mutant: " + "; ".join(sorted(unproven)))
    print(f"{len(MUTANTS)} checks taken out one by one; each of {len(names)} broken files failed without the check that it names")


main()
