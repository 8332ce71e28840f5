//! Names of the engine's functions, which the build appends behind the engine's ELF.
//!
//! Layout, little-endian: the magic `BARESYMS`, the number of functions (`u32`), the bytes of all names (`u32`); for each function, by
//! ascending address, its address (`u32`) and the end of its name (`u32`); the names, one behind the other. Pure: every read is
//! checked, so that a cut-off table gives no name rather than a wrong one.

/// The first bytes of the table.
pub const MAGIC: [u8; 8] = *b"BARESYMS";
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;

/// The table as it lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
    names: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// Reads the table at the start of `bytes`; `None` if there is none or it is cut off.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (count, names_bytes) = (word(rest, 0)? as usize, word(rest, 4)? as usize);
        let entries_end = HEADER_BYTES.checked_add(count.checked_mul(ENTRY_BYTES)?)?;
        let entries = bytes.get(HEADER_BYTES..entries_end)?.as_chunks().0;
        let names = bytes.get(entries_end..entries_end.checked_add(names_bytes)?)?;
        Some(Self { entries, names })
    }

    /// The function that holds an address: its name, and how far into it the address is.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<(&'a str, u64)> {
        let index = self.entries.partition_point(|entry| start(entry) <= address).checked_sub(1)?;
        let entry = self.entries.get(index)?;
        let name_start = index.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(0, name_end);
        let name = core::str::from_utf8(self.names.get(name_start..name_end(entry))?).ok()?;
        Some((name, address - start(entry)))
    }
}

fn start(entry: &[u8; ENTRY_BYTES]) -> u64 {
    u64::from(word(entry, 0).unwrap_or(0))
}

fn name_end(entry: &[u8; ENTRY_BYTES]) -> usize {
    word(entry, 4).unwrap_or(0) as usize
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn table() -> Vec<u8> {
        let functions = [(0x40_0000_u32, "start"), (0x40_0100, "engine::run"), (0x40_0180, "memcpy")];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend((functions.iter().map(|(_, name)| name.len()).sum::<usize>() as u32).to_le_bytes());
        let mut end = 0;
        for (address, name) in functions {
            end += name.len() as u32;
            bytes.extend(address.to_le_bytes());
            bytes.extend(end.to_le_bytes());
        }
        functions.iter().for_each(|(_, name)| bytes.extend(name.bytes()));
        bytes
    }

    #[test]
    fn the_function_that_holds_an_address_is_found() {
        let bytes = table();
        let symbols = Symbols::parse(&bytes).unwrap();
        assert_eq!(symbols.find(0x40_0000), Some(("start", 0)));
        assert_eq!(symbols.find(0x40_017C), Some(("engine::run", 0x7C)));
        assert_eq!(symbols.find(0x40_0180), Some(("memcpy", 0)));
        assert_eq!(symbols.find(0x3F_FFFF), None);
    }

    #[test]
    fn damaged_tables_give_no_name() {
        let whole = table();
        for length in 0..whole.len() {
            assert_eq!(Symbols::parse(&whole[..length]), None);
        }
        for at in MAGIC.len()..whole.len() {
            for value in [0, 0x7F, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Some(symbols) = Symbols::parse(&bytes) {
                    // Nothing panics, whatever comes out.
                    let _ = symbols.find(0x40_0100);
                    let _ = symbols.find(u64::MAX);
                }
            }
        }
    }
}
