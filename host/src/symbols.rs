//! The names of the engine's functions for `kernel8.img`, so that a fault report on the board can name them.
//!
//! The layout is that of `kernel/core/src/symbols.rs`, which reads it.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};

/// What the table starts with; the kernel looks for it.
pub const SYMBOLS_MAGIC: &[u8; 8] = b"BARESYMS";
/// Longer names are cut: a report is read by people.
const NAME_BYTES_MAX: usize = 64;

/// The table of an ELF file's functions; empty if it has none.
#[must_use]
pub fn table(file: &ElfFile64<'_, Endianness>) -> Vec<u8> {
    let mut functions: Vec<(u32, String)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
        .filter_map(|symbol| Some((u32::try_from(symbol.address()).ok()?, readable(symbol.name().ok()?))))
        .collect();
    functions.sort();
    functions.dedup_by_key(|(address, _)| *address);
    if functions.is_empty() {
        return Vec::new();
    }
    let names: String = functions.iter().map(|(_, name)| name.as_str()).collect();
    let mut table = SYMBOLS_MAGIC.to_vec();
    table.extend((functions.len() as u32).to_le_bytes());
    table.extend((names.len() as u32).to_le_bytes());
    let mut end = 0;
    for (address, name) in &functions {
        end += name.len() as u32;
        table.extend(address.to_le_bytes());
        table.extend(end.to_le_bytes());
    }
    table.extend(names.bytes());
    table
}

/// `barellama_engine::compute::linear::run::h0123` as `compute::linear::run`: demangled, printable, without the crate and short.
fn readable(name: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    let name = name.strip_prefix("barellama_engine::").unwrap_or(&name);
    name.chars().filter(char::is_ascii_graphic).take(NAME_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_without_what_the_compiler_added() {
        let mangled = "_ZN16barellama_engine7compute6linear3run17h0123456789abcdefE";
        assert_eq!(readable(mangled), "compute::linear::run");
        assert_eq!(readable("ggml_vec_dot_q4_0_q8_0"), "ggml_vec_dot_q4_0_q8_0");
        assert_eq!(readable(&"x".repeat(100)).len(), NAME_BYTES_MAX);
    }
}
