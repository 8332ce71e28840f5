//! Loads of aligned blocks and the integer sums that all kernels share.

use core::arch::aarch64::*;
use core::arch::asm;

use super::super::product::Outputs;

/// 16 bytes.
///
/// # Safety
/// `start + at` is a multiple of 16 and 16 bytes there are readable. (A plain read of the vector type: the intrinsics make no
/// promise of alignment, and the build has the compiler split what may be unaligned.)
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn load(start: *const u8, at: usize) -> int8x16_t {
    // SAFETY: aligned and readable by the caller's promise; every bit pattern is a vector.
    unsafe { start.add(at).cast::<int8x16_t>().read() }
}

/// PRFM PLDL1STRM: asks for the cache lines (of 64 bytes) that lie 512 bytes behind so many bytes at `start`, at most 320, which are read
/// once. 512 bytes are three blocks of Q4_0, some 300 ns on a Cortex-A53: twice the latency of a Pi's memory.
///
/// It touches no memory and never faults, so the lines may lie behind the weights.
#[inline(always)]
pub(super) fn fetch_ahead(start: *const u8, bytes: usize) {
    // SAFETY: the instructions are hints: no memory is accessed as far as the program can tell.
    unsafe {
        asm!("prfm pldl1strm, [{start}, #512]", "prfm pldl1strm, [{start}, #576]", "prfm pldl1strm, [{start}, #640]",
            start = in(reg) start, options(readonly, nostack, preserves_flags));
        if bytes > 192 {
            asm!("prfm pldl1strm, [{start}, #704]", start = in(reg) start,
                options(readonly, nostack, preserves_flags));
        }
        if bytes > 256 {
            asm!("prfm pldl1strm, [{start}, #768]", start = in(reg) start,
                options(readonly, nostack, preserves_flags));
        }
    }
}

/// Copies 16 bytes from and to any address. By name: the build has the compiler split what may be unaligned, while LD1 and
/// ST1 of bytes are aligned at every address.
#[inline]
pub(in super::super) fn copy_16(from: &[u8; 16], to: &mut [u8; 16]) {
    // SAFETY: 16 bytes are read and 16 written, and one vector register is named, which every core has.
    unsafe {
        asm!("ld1 {{v0.16b}}, [{from}]", "st1 {{v0.16b}}, [{to}]", from = in(reg) from, to = in(reg) to, out("v0") _,
            options(nostack, preserves_flags));
    }
}

/// Eight F16 scales, widened.
///
/// # Safety
/// As [`load`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn scales(start: *const u8, at: usize) -> [float32x4_t; 2] {
    // SAFETY: the caller's promise.
    let halves = vreinterpretq_f16_s8(unsafe { load(start, at) });
    [vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)]
}

/// 16 bytes of nibbles for each of eight rows as 32 unsigned weights for each: low nibbles, then high ones.
///
/// # Safety
/// `start` is a multiple of 16 and 128 bytes there are readable.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn nibbles(start: *const u8) -> [[int8x16_t; 2]; 8] {
    let mut weights = [[vdupq_n_s8(0); 2]; 8];
    let mut row = 0;
    while row < 8 {
        // SAFETY: row 7 ends at byte 128.
        let bytes = vreinterpretq_u8_s8(unsafe { load(start, 16 * row) });
        let low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(0xF)));
        weights[row] = [low, vreinterpretq_s8_u8(vshrq_n_u8::<4>(bytes))];
        row += 1;
    }
    weights
}

/// SLI: `from` shifted left by `COUNT`, with the lower `COUNT` bits of `into` behind. By name: from the intrinsic the compiler makes
/// masks and disjunctions where it knows some of the bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn insert_left<const COUNT: u8>(into: int8x16_t, from: int8x16_t) -> int8x16_t {
    let mut bits = into;
    // SAFETY: the instruction reads and writes the named registers alone.
    unsafe {
        asm!("sli {bits:v}.16b, {from:v}.16b, #{count}", bits = inout(vreg) bits, from = in(vreg) from,
            count = const COUNT, options(pure, nomem, nostack, preserves_flags));
    }
    bits
}

/// ADDP: sums of neighbours, those of `a` before those of `b`. By name: from the intrinsic the compiler makes additions of
/// shuffled vectors where another addition follows.
#[inline]
#[target_feature(enable = "neon")]
fn add_pairs(a: int16x8_t, b: int16x8_t) -> int16x8_t {
    let sums;
    // SAFETY: the instruction reads and writes the named registers alone.
    unsafe {
        asm!("addp {sums:v}.8h, {a:v}.8h, {b:v}.8h", sums = lateout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// For each of eight rows the sum of 32 products, modulo 2^16.
///
/// With nibbles q from 0 to 15 this is `sum((q - 8) x) + 8 sum(x)` modulo 2^16; the first term is exact in 16 bits, since
/// 32 * 8 * 127 = 32512. Subtracting `8 sum(x)`, also modulo 2^16, leaves exactly that.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sums_of_32(weights: &[[int8x16_t; 2]; 8], x: [int8x16_t; 2]) -> int16x8_t {
    let first = quads(weights, 0, x);
    let second = quads(weights, 4, x);
    add_pairs(first, second)
}

/// For each of four rows two sums.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn quads(weights: &[[int8x16_t; 2]; 8], row: usize, x: [int8x16_t; 2]) -> int16x8_t {
    let (a, b, c, d) = (weights[row], weights[row + 1], weights[row + 2], weights[row + 3]);
    // Four rows side by side: an in-order core then finds an independent multiplication in every cycle.
    let (x0, x1) = (vget_low_s8(x[0]), vget_low_s8(x[1]));
    let mut sums = [
        vmull_s8(vget_low_s8(a[0]), x0),
        vmull_s8(vget_low_s8(b[0]), x0),
        vmull_s8(vget_low_s8(c[0]), x0),
        vmull_s8(vget_low_s8(d[0]), x0),
    ];
    sums = [
        vmlal_high_s8(sums[0], a[0], x[0]),
        vmlal_high_s8(sums[1], b[0], x[0]),
        vmlal_high_s8(sums[2], c[0], x[0]),
        vmlal_high_s8(sums[3], d[0], x[0]),
    ];
    sums = [
        vmlal_s8(sums[0], vget_low_s8(a[1]), x1),
        vmlal_s8(sums[1], vget_low_s8(b[1]), x1),
        vmlal_s8(sums[2], vget_low_s8(c[1]), x1),
        vmlal_s8(sums[3], vget_low_s8(d[1]), x1),
    ];
    sums = [
        vmlal_high_s8(sums[0], a[1], x[1]),
        vmlal_high_s8(sums[1], b[1], x[1]),
        vmlal_high_s8(sums[2], c[1], x[1]),
        vmlal_high_s8(sums[3], d[1], x[1]),
    ];
    add_pairs(add_pairs(sums[0], sums[1]), add_pairs(sums[2], sums[3]))
}

/// Eight numbers of 16 bits as F32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn to_floats(numbers: int16x8_t) -> [float32x4_t; 2] {
    [vcvtq_f32_s32(vmovl_s16(vget_low_s16(numbers))), vcvtq_f32_s32(vmovl_high_s16(numbers))]
}

/// Eight outputs, with one fused multiply-add each.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn add_scaled(
    outputs: [float32x4_t; 2],
    scales: [float32x4_t; 2],
    numbers: [float32x4_t; 2],
) -> [float32x4_t; 2] {
    [vfmaq_f32(outputs[0], scales[0], numbers[0]), vfmaq_f32(outputs[1], scales[1], numbers[1])]
}

/// The eight outputs of a token.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_outputs(outputs: &Outputs) -> [float32x4_t; 2] {
    // SAFETY: eight floats at a multiple of 16, as the type of `outputs` says.
    unsafe { core::ptr::from_ref(outputs).cast::<[float32x4_t; 2]>().read() }
}

/// The inverse of [`load_outputs`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_outputs(outputs: &mut Outputs, values: [float32x4_t; 2]) {
    // SAFETY: as in `load_outputs`.
    unsafe { core::ptr::from_mut(outputs).cast::<[float32x4_t; 2]>().write(values) }
}
