//! Little-endian numbers out of a block; what lies outside reads as 0.

/// 16 bits at `offset`.
pub fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    let field = offset.checked_add(2).and_then(|end| bytes.get(offset..end));
    field.and_then(|field| field.try_into().ok()).map_or(0, u16::from_le_bytes)
}

/// 32 bits at `offset`.
pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = offset.checked_add(4).and_then(|end| bytes.get(offset..end));
    field.and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// One byte at `offset`.
pub fn u8_at(bytes: &[u8], offset: usize) -> u8 {
    bytes.get(offset).copied().unwrap_or(0)
}
