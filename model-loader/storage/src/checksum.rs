//! The checksum file beside a model: `NAME.gguf.crc32` or `NAME.crc32`, beginning with eight hexadecimal digits.

use crate::block::BlockReader;
use crate::cache::CachedBlocks;
use crate::error::StorageError;
use crate::volume::{PATH_BYTES_MAX, Volume};

const SUFFIX: &str = ".crc32";
const DIGITS: usize = 8;

/// The CRC-32 that the card tells for the file at `path`, if it tells one.
///
/// # Errors
/// [`StorageError::ChecksumFile`] for a file that is none, or what reading it says.
pub fn find<R: BlockReader>(
    volume: &Volume,
    blocks: &mut CachedBlocks<R>,
    path: &str,
) -> Result<Option<u32>, StorageError> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    for base in [path, stem] {
        let mut name = heapless::String::<{ PATH_BYTES_MAX + SUFFIX.len() }>::new();
        if name.push_str(base).and_then(|()| name.push_str(SUFFIX)).is_err() {
            continue;
        }
        // One byte more shows that the digits end.
        let mut buffer = [0; DIGITS + 1];
        match volume.read_beginning(blocks, &name, &mut buffer) {
            Ok(_) => return parse(&buffer).map(Some).ok_or(StorageError::ChecksumFile),
            Err(StorageError::FileNotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn parse(text: &[u8]) -> Option<u32> {
    let digits = text.get(..DIGITS)?;
    let ends = text.get(DIGITS).is_none_or(|next| !next.is_ascii_alphanumeric());
    if !ends || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_eight_digits() {
        assert_eq!(parse(b"cbf43926  model.gguf\n"), Some(0xCBF4_3926));
        assert_eq!(parse(b"CBF43926\0\0"), Some(0xCBF4_3926));
        assert_eq!(parse(b"cbf43926"), Some(0xCBF4_3926));
    }

    #[test]
    fn refuses_what_is_no_crc32() {
        assert_eq!(parse(b"cbf4392"), None);
        assert_eq!(parse(b"cbf439261 "), None);
        assert_eq!(parse(b"+bf43926 "), None);
        assert_eq!(parse(b""), None);
    }
}
