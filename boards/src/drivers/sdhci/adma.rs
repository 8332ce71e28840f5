//! What the controller's own DMA is told: the table of ADMA2 with 32-bit addresses (SDHC 1.13).

/// Bytes that one descriptor moves: half of the most, which would be written as length 0.
const PIECE_BYTES: usize = 32 << 10;
const DESCRIPTORS: usize = 64;
const DESCRIPTOR_BYTES: usize = 8;
/// Bytes of the table.
pub const TABLE_BYTES: usize = DESCRIPTORS * DESCRIPTOR_BYTES;
/// Bytes that the table can move at once.
pub const TABLE_REACH_BYTES: usize = DESCRIPTORS * PIECE_BYTES;
/// Attributes of a descriptor (SDHC 1.13.4): valid, the last one, move data.
const VALID: u64 = 1 << 0;
const END: u64 = 1 << 1;
const MOVE: u64 = 0b10 << 4;

/// Writes descriptors for `bytes` at a bus address; the table has room for [`TABLE_REACH_BYTES`].
pub fn describe(table: &mut [u8], address: u32, bytes: usize) {
    let pieces = bytes.div_ceil(PIECE_BYTES);
    for (index, descriptor) in table.chunks_exact_mut(DESCRIPTOR_BYTES).take(pieces).enumerate() {
        let offset = index * PIECE_BYTES;
        let length = PIECE_BYTES.min(bytes - offset);
        let end = if index + 1 == pieces { END } else { 0 };
        // The end of the target fits in 32 bits.
        let at = u64::from(address) + offset as u64;
        descriptor.copy_from_slice(&(at << 32 | (length as u64) << 16 | MOVE | end | VALID).to_le_bytes());
    }
}
