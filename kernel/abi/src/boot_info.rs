//! What the kernel tells the engine before its first instruction.

use crate::wire::{Reader, Writer};

/// What keys and values are kept as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum KvFormat {
    /// Half precision, 2 bytes for each value.
    #[default]
    F16 = 0,
    /// ggml's Q8_0: 32 values in 34 bytes.
    Q8_0 = 1,
}

impl KvFormat {
    /// The format of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F16,
            1 => Self::Q8_0,
            _ => return None,
        })
    }
}

/// Written by the kernel at [`crate::layout::BOOT_INFO_ADDRESS`] before each start of the engine.
///
/// Core `n` enters at the ELF entry point with `x0 = n`, SP at [`crate::layout::stack_top`] and every other register zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootInfo {
    /// Bytes of the model file at [`crate::layout::MODEL_BASE`].
    pub model_file_bytes: u64,
    /// Bytes of the model region: the file, zeros up to a block, and the descriptor block at its end.
    pub model_region_bytes: u64,
    /// Bytes of the arena at [`crate::layout::ARENA_BASE`].
    pub arena_bytes: u64,
    /// How many cores enter the engine, 1 to 4.
    pub cores: u32,
    /// Whether the model is sealed already (a restart): the descriptor is valid and the region read-only.
    pub model_is_sealed: bool,
    /// The context length that the user asked for, in tokens; 0: the model's own, as far as it fits.
    pub context_tokens: u32,
    /// How many sessions (KV caches) to plan for, at least 1.
    pub sessions: u32,
    /// What keys and values are kept as.
    pub kv_format: KvFormat,
    /// ID_AA64ISAR0_EL1, so that the engine can choose its kernels (EL0 cannot read it).
    pub id_aa64isar0_el1: u64,
    /// MIDR_EL1, likewise: which core it is.
    pub midr_el1: u64,
}

impl BootInfo {
    /// Size of the encoded form, in bytes.
    pub const BYTES: usize = 64;

    /// The encoded form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut writer = Writer::new(&mut bytes);
        writer.u64(self.model_file_bytes);
        writer.u64(self.model_region_bytes);
        writer.u64(self.arena_bytes);
        writer.u32(self.cores);
        writer.u32(u32::from(self.model_is_sealed));
        writer.u32(self.context_tokens);
        writer.u32(self.sessions);
        writer.u64(self.id_aa64isar0_el1);
        writer.u64(self.midr_el1);
        writer.u32(self.kv_format as u32);
        bytes
    }

    /// The inverse of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut reader = Reader::new(bytes);
        let info = Self {
            model_file_bytes: reader.u64(),
            model_region_bytes: reader.u64(),
            arena_bytes: reader.u64(),
            cores: reader.u32(),
            model_is_sealed: reader.u32() != 0,
            context_tokens: reader.u32(),
            sessions: reader.u32(),
            kv_format: KvFormat::F16,
            id_aa64isar0_el1: reader.u64(),
            midr_el1: reader.u64(),
        };
        Self { kv_format: KvFormat::from_number(reader.u32()).unwrap_or_default(), ..info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips() {
        let info = BootInfo {
            model_file_bytes: 98_362_432,
            model_region_bytes: 102 << 20,
            arena_bytes: 1 << 30,
            cores: 4,
            model_is_sealed: true,
            context_tokens: 2048,
            sessions: 2,
            kv_format: KvFormat::Q8_0,
            id_aa64isar0_el1: 0x1122_3344_5566_7788,
            midr_el1: 0x99AA_BBCC_DDEE_FF00,
        };
        assert_eq!(BootInfo::from_bytes(&info.to_bytes()), info);
    }
}
