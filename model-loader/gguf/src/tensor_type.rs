//! The types that tensor elements can have.

macro_rules! tensor_types {
    ($($variant:ident = $id:literal, $name:literal, $elements:literal, $bytes:literal;)*) => {
        /// The type of a tensor's elements, numbered as in the file.
        ///
        /// Quantized types store blocks of [`Self::block_elements`] weights in [`Self::block_bytes`] bytes (ggml,
        /// `ggml-common.h`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[allow(non_camel_case_types)]
        pub enum TensorType {
            $(#[doc = concat!("`", $name, "`: ", $elements, " elements in ", $bytes, " bytes.")] $variant = $id,)*
        }

        impl TensorType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type of that number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                Some(match number {
                    $($id => Self::$variant,)*
                    _ => return None,
                })
            }

            /// The name that ggml gives it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Elements of one block; 1 for plain types.
            #[must_use]
            pub const fn block_elements(self) -> usize {
                match self {
                    $(Self::$variant => $elements,)*
                }
            }

            /// Bytes of one block.
            #[must_use]
            pub const fn block_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $bytes,)*
                }
            }
        }
    };
}

tensor_types! {
    F32 = 0, "f32", 1, 4;
    F16 = 1, "f16", 1, 2;
    Q4_0 = 2, "q4_0", 32, 18;
    Q4_1 = 3, "q4_1", 32, 20;
    Q5_0 = 6, "q5_0", 32, 22;
    Q5_1 = 7, "q5_1", 32, 24;
    Q8_0 = 8, "q8_0", 32, 34;
    Q8_1 = 9, "q8_1", 32, 36;
    Q2_K = 10, "q2_K", 256, 84;
    Q3_K = 11, "q3_K", 256, 110;
    Q4_K = 12, "q4_K", 256, 144;
    Q5_K = 13, "q5_K", 256, 176;
    Q6_K = 14, "q6_K", 256, 210;
    Q8_K = 15, "q8_K", 256, 292;
    IQ2_XXS = 16, "iq2_xxs", 256, 66;
    IQ2_XS = 17, "iq2_xs", 256, 74;
    IQ3_XXS = 18, "iq3_xxs", 256, 98;
    IQ1_S = 19, "iq1_s", 256, 50;
    IQ4_NL = 20, "iq4_nl", 32, 18;
    IQ3_S = 21, "iq3_s", 256, 110;
    IQ2_S = 22, "iq2_s", 256, 82;
    IQ4_XS = 23, "iq4_xs", 256, 136;
    I8 = 24, "i8", 1, 1;
    I16 = 25, "i16", 1, 2;
    I32 = 26, "i32", 1, 4;
    I64 = 27, "i64", 1, 8;
    F64 = 28, "f64", 1, 8;
    IQ1_M = 29, "iq1_m", 256, 56;
    BF16 = 30, "bf16", 1, 2;
    TQ1_0 = 34, "tq1_0", 256, 54;
    TQ2_0 = 35, "tq2_0", 256, 66;
    MXFP4 = 39, "mxfp4", 32, 17;
    NVFP4 = 40, "nvfp4", 64, 36;
    Q1_0 = 41, "q1_0", 128, 18;
    Q2_0 = 42, "q2_0", 64, 18;
}

impl TensorType {
    /// The name of a type that ggml once had and took out of the format, if the number is one of those.
    #[must_use]
    pub const fn removed_name(number: u32) -> Option<&'static str> {
        Some(match number {
            4 => "q4_2",
            5 => "q4_3",
            31 => "q4_0_4_4",
            32 => "q4_0_4_8",
            33 => "q4_0_8_8",
            36 => "iq4_nl_4_4",
            37 => "iq4_nl_4_8",
            38 => "iq4_nl_8_8",
            _ => return None,
        })
    }

    /// Bytes of a row of `elements`; `None` if they are not whole blocks or the size overflows.
    #[must_use]
    pub const fn row_bytes(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_types_map_one_to_one() {
        for &kind in TensorType::ALL {
            assert_eq!(TensorType::from_number(kind as u32), Some(kind));
            assert_eq!(TensorType::removed_name(kind as u32), None);
        }
        assert_eq!(TensorType::ALL.len(), 35);
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(TensorType::Q4_1.row_bytes(576), Some(360));
        assert_eq!(TensorType::Q4_K.row_bytes(576), None);
        assert_eq!(TensorType::F64.row_bytes(usize::MAX), None);
    }
}
