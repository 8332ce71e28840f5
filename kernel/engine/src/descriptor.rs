//! What the engine leaves at the end of the model region when it seals it: proof that the file was checked, and the plan.
//!
//! After a restart only this and the file, both read-only by then, are trusted; nothing in the arena is.

use barellama_gguf::ArenaPlan;

/// First bytes of a descriptor.
const MAGIC: [u8; 8] = *b"BLlama\x01\n";
/// Number of the layout of descriptor and rewritten weights; a descriptor of another version is not used.
const VERSION: u32 = 2;

/// The sealed facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Size of the model file, in bytes.
    pub file_bytes: u64,
    /// Context of each session, in tokens.
    pub context: u64,
    /// Bytes of the arena in use.
    pub used_bytes: u64,
    /// Tensors whose rows are interleaved. Which ones follows from the file's tables.
    pub interleaved: u64,
}

impl Descriptor {
    /// Size of the encoded form, in bytes.
    pub const BYTES: usize = 48;

    /// The facts of a plan.
    #[must_use]
    pub const fn new(file_bytes: u64, plan: &ArenaPlan, interleaved: u64) -> Self {
        Self { file_bytes, context: plan.context, used_bytes: plan.used_bytes, interleaved }
    }

    /// The encoded form: magic, version, fields, CRC-32 of all before.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.file_bytes.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.context.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.used_bytes.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.interleaved.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..44]);
        bytes[44..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The inverse of [`Self::to_bytes`]; `None` if magic, version or checksum are wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.first_chunk()?;
        let checksum = u32::from_le_bytes(*bytes.last_chunk()?);
        let version = u32::from_le_bytes(*bytes[8..].first_chunk()?);
        if bytes[..8] != MAGIC || version != VERSION || crc32fast::hash(&bytes[..44]) != checksum {
            return None;
        }
        Some(Self {
            file_bytes: u64::from_le_bytes(*bytes[12..].first_chunk()?),
            context: u64::from_le_bytes(*bytes[20..].first_chunk()?),
            used_bytes: u64::from_le_bytes(*bytes[28..].first_chunk()?),
            interleaved: u64::from_le_bytes(*bytes[36..].first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips_and_damage_is_noticed() {
        let descriptor = Descriptor { file_bytes: 98_362_432, context: 8192, used_bytes: 1 << 28, interleaved: 211 };
        let bytes = descriptor.to_bytes();
        assert_eq!(Descriptor::from_bytes(&bytes), Some(descriptor));
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert_eq!(Descriptor::from_bytes(&damaged), None, "byte {at}");
        }
        assert_eq!(Descriptor::from_bytes(&bytes[..47]), None);
    }
}
