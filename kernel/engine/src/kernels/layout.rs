//! From eight rows in ggml's layout to a group and back, in the same bytes.

use barellama_gguf::Tensor;

use super::format::{ALIGNMENT, GroupFormat, Interleaving, ROWS, WeightFormat};
use super::six_bits;

/// A scale that is infinite or not a number: the file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadScale {
    /// The row, counted from the first one that was given.
    pub row: usize,
    /// The block in the row.
    pub block: usize,
}

impl core::fmt::Display for BadScale {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "the scale of block {} in row {} is not a finite number: the file is damaged", self.block, self.row)
    }
}

/// Longest block of one row.
const BLOCK_MAX: usize = 210;

/// The format in which a tensor's rows are interleaved: if it has one, whole groups of rows, and starts at a multiple of 16.
/// The file itself must do so in memory. The answer depends on nothing but the file's tables: a restarted engine gets the same.
#[must_use]
pub fn interleavable(tensor: &Tensor<'_>) -> Option<WeightFormat> {
    let is_whole = tensor.rows().is_multiple_of(ROWS) && tensor.offset.is_multiple_of(ALIGNMENT);
    WeightFormat::of(tensor.kind).filter(|_| is_whole && tensor.data_bytes() > 0)
}

/// Interleaves the rows of a tensor, eight by eight, in place.
///
/// `rows` holds whole groups of rows of `row_bytes` bytes; `scratch` is at least [`ROWS`] rows long.
///
/// # Errors
/// The first scale that is not finite; the groups before it are then interleaved already.
///
/// # Panics
/// If `rows` is not whole groups of whole blocks or `scratch` is too short.
pub fn interleave(format: GroupFormat, rows: &mut [u8], row_bytes: usize, scratch: &mut [u8]) -> Result<(), BadScale> {
    assert!(row_bytes > 0 && row_bytes.is_multiple_of(format.weights.block_bytes()), "a row is whole blocks");
    assert!(rows.len().is_multiple_of(row_bytes * ROWS), "a tensor is whole groups");
    let scratch = &mut scratch[..row_bytes * ROWS];
    for (index, group) in rows.chunks_exact_mut(row_bytes * ROWS).enumerate() {
        check_scales(format.weights, group, row_bytes)
            .map_err(|bad| BadScale { row: bad.row + index * ROWS, ..bad })?;
        scratch.copy_from_slice(group);
        interleave_group(format, scratch, row_bytes, group);
    }
    Ok(())
}

fn check_scales(format: WeightFormat, rows: &[u8], row_bytes: usize) -> Result<(), BadScale> {
    for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
        for (block, bytes) in bytes.chunks_exact(format.block_bytes()).enumerate() {
            for &at in format.scales() {
                // All exponent bits of a binary16 set: infinite or not a number.
                if bytes[at + 1] & 0x7C == 0x7C {
                    return Err(BadScale { row, block });
                }
            }
        }
    }
    Ok(())
}

fn interleave_group(format: GroupFormat, rows: &[u8], row_bytes: usize, group: &mut [u8]) {
    let block_bytes = format.weights.block_bytes();
    let is_native = is_native(format);
    let mut native = [0; BLOCK_MAX];
    let native = &mut native[..block_bytes];
    for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
        let blocks = bytes.chunks_exact(block_bytes).zip(group.chunks_exact_mut(block_bytes * ROWS));
        for (block, group_block) in blocks {
            if is_native {
                spread(format, block, row, group_block);
            } else {
                to_native(format, block, native);
                spread(format, native, row, group_block);
            }
        }
    }
}

/// Whether two rows take turns in fields of 8 bytes: 4 bytes of each, twice. So lie the weights of Q6_K, see `neon::half_loop`.
const fn has_pairs(format: GroupFormat) -> bool {
    matches!(format, GroupFormat { weights: WeightFormat::Q6K, order: Interleaving::Rows })
}

/// Where the first 4 bytes of a row are in such a field; the others are 8 further.
const fn pair_start(row: usize) -> usize {
    row / 2 * 16 + row % 2 * 4
}

/// Puts the fields of a row's block to those of the other rows.
#[inline]
fn spread(format: GroupFormat, native: &[u8], row: usize, group_block: &mut [u8]) {
    if has_pairs(format) {
        let start = pair_start(row);
        spread_by(format, native, group_block, |bytes, field| {
            if bytes.len() == 8 {
                copy(&bytes[..4], &mut field[start..start + 4]);
                copy(&bytes[4..], &mut field[start + 8..start + 12]);
            } else {
                copy(bytes, &mut field[row * bytes.len()..(row + 1) * bytes.len()]);
            }
        });
    } else {
        spread_by(format, native, group_block, |bytes, field| {
            copy(bytes, &mut field[row * bytes.len()..(row + 1) * bytes.len()]);
        });
    }
}

/// `put` gets the bytes of each field of a row, and those of all rows.
#[inline(always)]
fn spread_by(format: GroupFormat, native: &[u8], group_block: &mut [u8], put: impl Fn(&[u8], &mut [u8])) {
    let mut rest = group_block;
    for &(from, length) in format.fields() {
        let (from, length) = (usize::from(from), usize::from(length));
        let (field, after) = core::mem::take(&mut rest).split_at_mut(length * ROWS);
        put(&native[from..from + length], field);
        rest = after;
    }
}

/// A copy of a field, whose few lengths are known: vectors at once, scales without a call.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    match (from, to) {
        ([from], [to]) => *to = *from,
        ([first, second], [to_first, to_second]) => (*to_first, *to_second) = (*first, *second),
        ([a, b, c, d], [to_a, to_b, to_c, to_d]) => (*to_a, *to_b, *to_c, *to_d) = (*a, *b, *c, *d),
        (from, to) => {
            let (from_vectors, from_rest) = from.as_chunks::<16>();
            let (to_vectors, to_rest) = to.as_chunks_mut::<16>();
            for (from, to) in from_vectors.iter().zip(to_vectors) {
                #[cfg(target_arch = "aarch64")]
                super::neon::copy_16(from, to);
                #[cfg(not(target_arch = "aarch64"))]
                to.copy_from_slice(from);
            }
            to_rest.copy_from_slice(from_rest);
        }
    }
}

/// One row's block of a group's block, in ggml's layout: the inverse of [`interleave`].
///
/// # Panics
/// If `group_block` is not a block of a group, `row` is not below [`ROWS`] or `block` is not one row's block.
pub fn extract_block(format: GroupFormat, group_block: &[u8], row: usize, block: &mut [u8]) {
    assert!(group_block.len() == block.len() * ROWS && row < ROWS, "a block of a group and one of its rows");
    let mut native = [0; BLOCK_MAX];
    let native = &mut native[..format.weights.block_bytes()];
    let mut start = 0;
    for &(to, length) in format.fields() {
        let (to, length) = (usize::from(to), usize::from(length));
        let field = &group_block[start..start + length * ROWS];
        let bytes = &mut native[to..to + length];
        if has_pairs(format) && length == 8 {
            let start = pair_start(row);
            bytes[..4].copy_from_slice(&field[start..start + 4]);
            bytes[4..].copy_from_slice(&field[start + 8..start + 12]);
        } else {
            bytes.copy_from_slice(&field[row * length..][..length]);
        }
        start += length * ROWS;
    }
    from_native(format, native, block);
}

/// Whether the kernels take the bits of a block as ggml has them.
const fn is_native(format: GroupFormat) -> bool {
    match (format.weights, format.order) {
        (WeightFormat::Q4_0, Interleaving::Rows) | (WeightFormat::Q4_1 | WeightFormat::Q8_0, _) => true,
        (WeightFormat::Q4_0, Interleaving::Quads) | (WeightFormat::Q4K | WeightFormat::Q5K | WeightFormat::Q6K, _) => {
            false
        }
    }
}

/// A block in ggml's layout with its bits arranged as the kernels want them.
fn to_native(format: GroupFormat, block: &[u8], native: &mut [u8]) {
    native.copy_from_slice(block);
    match format.weights {
        WeightFormat::Q4K => {
            pack_scales(&unpack_scales(&block[4..16]), &mut native[4..16]);
            pair_nibbles(&block[16..], &mut native[16..]);
        }
        WeightFormat::Q5K => {
            pack_scales(&unpack_scales(&block[4..16]), &mut native[4..16]);
            flip_bits(&mut native[16..48], 0xFF);
            pair_nibbles(&block[48..], &mut native[48..]);
        }
        WeightFormat::Q6K => six_bits::pack(block, native),
        WeightFormat::Q4_0 if format.order == Interleaving::Quads => flip_bits(&mut native[2..], 0x88),
        WeightFormat::Q4_0 | WeightFormat::Q4_1 | WeightFormat::Q8_0 => {}
    }
}

/// The inverse of [`to_native`].
fn from_native(format: GroupFormat, native: &[u8], block: &mut [u8]) {
    block.copy_from_slice(native);
    match format.weights {
        WeightFormat::Q4K => {
            repack_as_ggml(&native[4..16], &mut block[4..16]);
            pair_nibbles(&native[16..], &mut block[16..]);
        }
        WeightFormat::Q5K => {
            repack_as_ggml(&native[4..16], &mut block[4..16]);
            flip_bits(&mut block[16..48], 0xFF);
            pair_nibbles(&native[48..], &mut block[48..]);
        }
        WeightFormat::Q6K => six_bits::unpack(native, block),
        WeightFormat::Q4_0 if format.order == Interleaving::Quads => flip_bits(&mut block[2..], 0x88),
        WeightFormat::Q4_0 | WeightFormat::Q4_1 | WeightFormat::Q8_0 => {}
    }
}

/// From bytes with a nibble of each of two sub-blocks to bytes with two of one, and back: its own inverse.
fn pair_nibbles(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.chunks_exact(32).zip(to.chunks_exact_mut(32)) {
        for index in 0..16 {
            let (first, second) = (from[index], from[index + 16]);
            to[index] = first & 0xF | second << 4;
            to[index + 16] = first >> 4 | second & 0xF0;
        }
    }
}

/// Flips the top bits of numbers: `q ^ 8` is `q - 8` as a 4-bit two's complement number, `q ^ 16` is `q - 16` as one of 5 bits.
fn flip_bits(bytes: &mut [u8], mask: u8) {
    for byte in bytes {
        *byte ^= mask;
    }
}

/// Scales and minima of the eight sub-blocks of a Q4_K block, from ggml's 12 bytes.
pub(super) fn unpack_scales(bytes: &[u8]) -> [(u8, u8); 8] {
    core::array::from_fn(|index| {
        if index < 4 {
            (bytes[index] & 63, bytes[index + 4] & 63)
        } else {
            let (low, high) = (bytes[index + 4], [bytes[index - 4], bytes[index]]);
            (low & 0xF | (high[0] >> 6) << 4, low >> 4 | (high[1] >> 6) << 4)
        }
    })
}

/// Eight bytes with a scale and the two high bits of the minimum each, then four bytes with the low bits of two minima each
/// (of sub-blocks two apart): what the kernel unpacks for eight rows with few operations.
fn pack_scales(scales: &[(u8, u8); 8], bytes: &mut [u8]) {
    for (byte, (scale, minimum)) in bytes.iter_mut().zip(scales) {
        *byte = scale | (minimum >> 4) << 6;
    }
    for (index, byte) in bytes[8..].iter_mut().enumerate() {
        let first = index / 2 * 4 + index % 2;
        *byte = scales[first].1 & 0xF | scales[first + 2].1 << 4;
    }
}

/// From [`pack_scales`]' form to ggml's.
fn repack_as_ggml(packed: &[u8], bytes: &mut [u8]) {
    let scale = |index: usize| packed[index] & 63;
    let minimum = |index: usize| {
        let low = packed[8 + index / 4 * 2 + index % 2] >> (index % 4 / 2 * 4);
        low & 0xF | (packed[index] >> 6) << 4
    };
    for index in 0..4 {
        bytes[index] = scale(index) | (scale(index + 4) >> 4) << 6;
        bytes[index + 4] = minimum(index) | (minimum(index + 4) >> 4) << 6;
        bytes[index + 8] = scale(index + 4) & 0xF | minimum(index + 4) << 4;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn rows(format: WeightFormat, row_bytes: usize, count: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut bytes: Vec<u8> = (0..row_bytes * count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            for &at in format.scales() {
                block[at + 1] &= 0xBF;
            }
        }
        bytes
    }

    #[test]
    fn every_row_comes_back() {
        for format in GroupFormat::all() {
            let block_bytes = format.weights.block_bytes();
            let row_bytes = block_bytes * 3;
            let original = rows(format.weights, row_bytes, 2 * ROWS);
            let mut group = original.clone();
            interleave(format, &mut group, row_bytes, &mut vec![0; row_bytes * ROWS]).unwrap();
            assert_ne!(group, original);
            let mut block = vec![0; block_bytes];
            for (row, expected) in original.chunks_exact(row_bytes).enumerate() {
                let group = &group[row / ROWS * ROWS * row_bytes..][..ROWS * row_bytes];
                let blocks = group.chunks_exact(block_bytes * ROWS);
                for (group_block, expected) in blocks.zip(expected.chunks_exact(block_bytes)) {
                    extract_block(format, group_block, row % ROWS, &mut block);
                    assert_eq!(block, expected, "{format:?} row {row}");
                }
            }
        }
    }

    #[test]
    fn a_scale_that_is_not_finite_is_found() {
        for GroupFormat { weights: format, order } in GroupFormat::all() {
            let row_bytes = format.block_bytes() * 3;
            for &at in format.scales() {
                let mut bytes = rows(format, row_bytes, 2 * ROWS);
                bytes[row_bytes * 9 + format.block_bytes() * 2 + at..][..2].copy_from_slice(&[0, 0xFC]);
                let group_format = GroupFormat { weights: format, order };
                let found = interleave(group_format, &mut bytes, row_bytes, &mut vec![0; row_bytes * ROWS]);
                assert_eq!(found, Err(BadScale { row: 9, block: 2 }), "{format:?} at {at}");
            }
        }
    }
}
