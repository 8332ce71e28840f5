//! What the C code expects around it.

use crate::TensorType;
use crate::bindings::barellama_ggml_block;

/// ggml's own idea of a block, as (elements, bytes); `None` for types without blocks. For tests of the type table.
#[must_use]
pub fn block_of(kind: TensorType) -> Option<(usize, usize)> {
    match barellama_ggml_block(kind as u32) {
        0 => None,
        packed => Some(((packed >> 32) as usize, (packed & 0xFFFF_FFFF) as usize)),
    }
}

/// An assertion inside the C code failed: it was called with what it does not support.
// SAFETY: the name is ours alone (prefix) and the signature is the one that `shim/runtime.c` declares.
#[unsafe(no_mangle)]
extern "C" fn barellama_ggml_assertion_failed(line: core::ffi::c_int) -> ! {
    panic!("ggml: assertion in line {line}")
}

/// ggml's table of the unsigned E4M3 scales of NVFP4, halved; ggml fills it at start-up, here constant evaluation does.
// SAFETY: ggml declares this name as an array of 256 floats and only reads it after start-up.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static ggml_table_f32_ue4m3: [f32; 256] = ue4m3_table();

/// Value of every byte: 4 bits of exponent (bias 7), 3 bits of mantissa, sign ignored, times one half.
const fn ue4m3_table() -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = ue4m3_half(byte);
        byte += 1;
    }
    table
}

const fn ue4m3_half(byte: usize) -> f32 {
    // 0x7F would be "not a number"; ggml reads it as zero.
    if byte == 0x7F {
        return 0.0;
    }
    let exponent = (byte >> 3) & 0xF;
    let mantissa = (byte & 7) as f32;
    // Subnormal: mantissa * 2^-9; normal: (8 + mantissa) * 2^(exponent - 10). Then half of it.
    let (value, shift) = if exponent == 0 { (mantissa, 0) } else { (8.0 + mantissa, exponent - 1) };
    value * (1u32 << shift) as f32 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_the_values_of_e4m3() {
        assert_eq!(ggml_table_f32_ue4m3[0], 0.0);
        assert_eq!(ggml_table_f32_ue4m3[1], 0.5 / 512.0);
        assert_eq!(ggml_table_f32_ue4m3[7 << 3], 0.5);
        assert_eq!(ggml_table_f32_ue4m3[0x7E], 224.0);
        assert_eq!(ggml_table_f32_ue4m3[0x7F], 0.0);
    }

    #[test]
    fn the_type_table_agrees_with_the_c_structs() {
        for &kind in TensorType::ALL {
            if let Some(block) = block_of(kind) {
                assert_eq!(block, (kind.block_elements(), kind.block_bytes()), "{}", kind.name());
            } else {
                assert_eq!(kind.block_elements(), 1, "{}", kind.name());
            }
        }
    }
}
