//! Which tensor gets which type: the mixes that llama.cpp's quantizer makes for the names of file types.

use core::str::FromStr;

use barellama_gguf::TensorType;

use crate::shape::Shape;

/// A kind of model file.
///
/// Source of the rules: llama.cpp's `llama_tensor_get_type_impl` (`src/llama-quant.cpp` of the version that Cargo.lock pins), for
/// the llama architecture without an importance matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    name: &'static str,
    number: u32,
    base: TensorType,
}

/// Name, number as `general.file_type`, type of most tensors.
const MIXES: [Mix; 27] = [
    mix("F32", 0, TensorType::F32),
    mix("F16", 1, TensorType::F16),
    mix("Q4_0", 2, TensorType::Q4_0),
    mix("Q4_1", 3, TensorType::Q4_1),
    mix("Q8_0", 7, TensorType::Q8_0),
    mix("Q5_0", 8, TensorType::Q5_0),
    mix("Q5_1", 9, TensorType::Q5_1),
    mix("Q2_K", 10, TensorType::Q2_K),
    mix("Q3_K_M", 12, TensorType::Q3_K),
    mix("Q4_K_M", 15, TensorType::Q4_K),
    mix("Q5_K_M", 17, TensorType::Q5_K),
    mix("Q6_K", 18, TensorType::Q6_K),
    mix("IQ2_XXS", 19, TensorType::IQ2_XXS),
    mix("IQ2_XS", 20, TensorType::IQ2_XS),
    mix("IQ3_XXS", 23, TensorType::IQ3_XXS),
    mix("IQ1_S", 24, TensorType::IQ1_S),
    mix("IQ4_NL", 25, TensorType::IQ4_NL),
    mix("IQ3_S", 26, TensorType::IQ3_S),
    mix("IQ2_M", 29, TensorType::IQ2_S),
    mix("IQ4_XS", 30, TensorType::IQ4_XS),
    mix("IQ1_M", 31, TensorType::IQ1_M),
    mix("BF16", 32, TensorType::BF16),
    mix("TQ1_0", 36, TensorType::TQ1_0),
    mix("TQ2_0", 37, TensorType::TQ2_0),
    mix("NVFP4", 39, TensorType::NVFP4),
    mix("Q1_0", 40, TensorType::Q1_0),
    mix("Q2_0", 41, TensorType::Q2_0),
];

const fn mix(name: &'static str, number: u32, base: TensorType) -> Mix {
    Mix { name, number, base }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        MIXES.iter().find(|mix| mix.name.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
            let names: Vec<&str> = MIXES.iter().map(|mix| mix.name).collect();
            format!("{name} is no type of a model file; there are {}", names.join(", "))
        })
    }
}

impl Mix {
    /// Every mix.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &MIXES
    }

    /// Its name, e.g. `Q4_K_M`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its number as `general.file_type`.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Type of the head, and of the embedding table if that is the head too.
    #[must_use]
    pub fn head(&self) -> TensorType {
        match self.base {
            plain @ (TensorType::F32 | TensorType::F16 | TensorType::BF16 | TensorType::Q8_0) => plain,
            TensorType::IQ2_XXS
            | TensorType::IQ2_XS
            | TensorType::IQ2_S
            | TensorType::IQ3_XXS
            | TensorType::IQ1_S
            | TensorType::IQ1_M => TensorType::Q5_K,
            _ => TensorType::Q6_K,
        }
    }

    /// Type of an embedding table that is not the head.
    #[must_use]
    pub fn embedding(&self) -> TensorType {
        match self.base {
            TensorType::IQ2_XXS | TensorType::IQ2_XS | TensorType::IQ1_S | TensorType::IQ1_M => TensorType::Q2_K,
            TensorType::IQ2_S | TensorType::IQ3_XXS => TensorType::IQ3_S,
            TensorType::TQ1_0 | TensorType::TQ2_0 | TensorType::Q2_0 => TensorType::Q4_K,
            base => base,
        }
    }

    /// Type of a matrix of a layer, by its name without prefix, e.g. `attn_v`.
    #[must_use]
    pub fn of_layer(&self, shape: &Shape, layer: usize, matrix: &str) -> TensorType {
        match matrix {
            "attn_v" => self.values(shape, layer),
            "attn_output" => self.attention_output(),
            "ffn_down" => self.down(shape, layer),
            "attn_q" | "attn_k" if self.base == TensorType::IQ3_XXS => TensorType::IQ2_S,
            _ => self.base,
        }
    }

    fn values(&self, shape: &Shape, layer: usize) -> TensorType {
        let is_grouped = shape.heads / shape.kv_heads >= 4;
        match self.name {
            "IQ2_XXS" | "IQ2_XS" | "IQ1_S" | "IQ1_M" if is_grouped => TensorType::Q4_K,
            "IQ2_XXS" | "IQ2_XS" | "IQ1_S" | "IQ1_M" => TensorType::Q2_K,
            "Q2_K" | "IQ3_XXS" | "IQ3_S" | "IQ2_M" if is_grouped => TensorType::Q4_K,
            "Q2_K" => TensorType::Q3_K,
            "IQ3_XXS" | "IQ2_M" => TensorType::IQ3_S,
            "Q3_K_M" if layer < 2 => TensorType::Q5_K,
            "Q3_K_M" => TensorType::Q4_K,
            "IQ4_NL" | "IQ4_XS" if is_grouped => TensorType::Q5_K,
            "Q4_K_M" | "Q5_K_M" if has_more_bits(layer, shape.layers) => TensorType::Q6_K,
            _ => self.base,
        }
    }

    fn attention_output(&self) -> TensorType {
        match self.name {
            "IQ1_S" | "IQ1_M" => TensorType::IQ2_XXS,
            "IQ2_M" | "IQ3_XXS" => TensorType::IQ3_S,
            "Q2_K" => TensorType::Q3_K,
            "Q3_K_M" => TensorType::Q4_K,
            _ => self.base,
        }
    }

    fn down(&self, shape: &Shape, layer: usize) -> TensorType {
        let is_early = layer < shape.layers / 8;
        match self.name {
            "IQ2_XXS" | "IQ2_XS" | "IQ1_S" | "IQ1_M" if is_early => TensorType::Q2_K,
            "IQ2_M" if is_early => TensorType::IQ3_S,
            "Q2_K" => TensorType::Q3_K,
            "IQ3_XXS" if is_early => TensorType::Q4_K,
            "IQ3_XXS" => TensorType::Q3_K,
            "Q3_K_M" if layer < shape.layers / 16 => TensorType::Q5_K,
            "Q3_K_M" => TensorType::Q4_K,
            "IQ4_NL" | "IQ4_XS" if is_early => TensorType::Q5_K,
            "Q4_K_M" | "Q5_K_M" if has_more_bits(layer, shape.layers) => TensorType::Q6_K,
            _ => self.base,
        }
    }
}

/// The layers that the M mixes give more bits: the first and last eighth and every third between.
const fn has_more_bits(layer: usize, layers: usize) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}
