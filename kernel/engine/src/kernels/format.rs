//! Which weight formats can be interleaved, and the numbers that describe their blocks.

use barellama_gguf::TensorType;

use super::activations::ActivationFormat;

/// Rows of a group.
pub const ROWS: usize = 8;
/// Groups start at multiples of this many bytes, so that vectors are loaded whole.
pub const ALIGNMENT: usize = 16;

/// A weight format with kernels of its own. The blocks are those of ggml (`ggml-common.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// 32 weights `d (q - 8)`.
    Q4_0,
    /// 32 weights `d q + m`.
    Q4_1,
    /// 32 weights `d q`.
    Q8_0,
    /// 256 weights `d s q - dmin m`: 6-bit `s` and `m` for every 32.
    Q4K,
    /// 256 weights `d s q - dmin m` as those of [`Self::Q4K`], with q of 5 bits.
    Q5K,
    /// 256 weights `d s (q - 32)`: 8-bit `s` for every 16.
    Q6K,
}

/// How the bytes of eight rows follow each other in a group. Decided by the processor, so the same as long as the board runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interleaving {
    /// 16 bytes of quants of each row in turn: SMULL and SMLAL multiply a row with the activations.
    Rows,
    /// Four bytes of quants of each row in turn: SDOT multiplies four rows with four activations.
    Quads,
}

impl Interleaving {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rows, Self::Quads];

    /// The one for a processor with that ID_AA64ISAR0_EL1: [`Self::Quads`] if the field DP (bits 47 to 44) says that SDOT is there
    /// (Arm ARM D23.2.61, FEAT_DotProd).
    #[must_use]
    pub const fn for_processor(id_aa64isar0_el1: u64) -> Self {
        if id_aa64isar0_el1 >> 44 & 0xF == 0 { Self::Rows } else { Self::Quads }
    }
}

/// Who fetches the weights of the next blocks while some are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The core's own prefetcher.
    Core,
    /// PRFM instructions.
    Program,
}

impl Fetch {
    /// The one for a processor with that MIDR_EL1 (Arm ARM D24.2.122): a Cortex-A53 reads 8 to 9 % faster with PRFM, a Cortex-A72
    /// as fast as without (sbc-bench on a Zero 2 W and a Pi 4).
    #[must_use]
    pub const fn for_processor(midr_el1: u64) -> Self {
        match (midr_el1 >> 24 & 0xFF, midr_el1 >> 4 & 0xFFF) {
            (0x41, 0xD03) => Self::Program,
            _ => Self::Core,
        }
    }
}

/// What the weights of a group are, and how its bytes follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupFormat {
    /// The weights.
    pub weights: WeightFormat,
    /// The order of the bytes.
    pub order: Interleaving,
}

impl GroupFormat {
    /// Every format in every order.
    pub fn all() -> impl Iterator<Item = Self> {
        WeightFormat::ALL.into_iter().flat_map(|weights| Interleaving::ALL.map(|order| Self { weights, order }))
    }
}

/// A field of one row's block: where it lies and how long it is, in bytes.
pub(super) type Field = (u8, u8);

impl WeightFormat {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Q4_0, Self::Q4_1, Self::Q8_0, Self::Q4K, Self::Q5K, Self::Q6K];

    /// The format of tensors of that type, if it has one.
    #[must_use]
    pub const fn of(kind: TensorType) -> Option<Self> {
        match kind {
            TensorType::Q4_0 => Some(Self::Q4_0),
            TensorType::Q4_1 => Some(Self::Q4_1),
            TensorType::Q8_0 => Some(Self::Q8_0),
            TensorType::Q4_K => Some(Self::Q4K),
            TensorType::Q5_K => Some(Self::Q5K),
            TensorType::Q6_K => Some(Self::Q6K),
            _ => None,
        }
    }

    /// The type of tensors of that format.
    #[must_use]
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q4_1 => TensorType::Q4_1,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4K => TensorType::Q4_K,
            Self::Q5K => TensorType::Q5_K,
            Self::Q6K => TensorType::Q6_K,
        }
    }

    /// Weights of a block.
    #[must_use]
    pub const fn block_weights(self) -> usize {
        self.activation().block_values()
    }

    /// Bytes of one row's block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// The activations that these weights are multiplied with.
    #[must_use]
    pub const fn activation(self) -> ActivationFormat {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => ActivationFormat::Blocks32,
            Self::Q4K | Self::Q5K | Self::Q6K => ActivationFormat::Blocks256,
        }
    }

    /// Where F16 scales lie in a row's block, in ggml's layout.
    pub(super) const fn scales(self) -> &'static [usize] {
        match self {
            Self::Q4_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q6K => &[208],
        }
    }
}

impl GroupFormat {
    /// The fields of a row's block in the order in which a group's block has them, each for all eight rows.
    pub(super) const fn fields(self) -> &'static [Field] {
        use WeightFormat::{Q4_0, Q4_1, Q4K, Q5K, Q6K, Q8_0};
        match (self.weights, self.order) {
            (Q4_0, Interleaving::Rows) => &Q4_0_FIELDS,
            (Q4_1, Interleaving::Rows) => &Q4_1_FIELDS,
            (Q8_0, Interleaving::Rows) => &Q8_0_FIELDS,
            (Q4K, Interleaving::Rows) => &Q4K_FIELDS,
            (Q5K, Interleaving::Rows) => &Q5K_FIELDS,
            (Q6K, Interleaving::Rows) => const { &six_bits::<33>(2, &[0, 8]) },
            (Q4_0, Interleaving::Quads) => const { &quads::<5>(&Q4_0_FIELDS) },
            (Q4_1, Interleaving::Quads) => const { &quads::<6>(&Q4_1_FIELDS) },
            (Q8_0, Interleaving::Quads) => const { &quads::<9>(&Q8_0_FIELDS) },
            (Q4K, Interleaving::Quads) => const { &quads::<46>(&Q4K_FIELDS) },
            (Q5K, Interleaving::Quads) => const { &quads::<54>(&Q5K_FIELDS) },
            (Q6K, Interleaving::Quads) => const { &six_bits::<65>(1, &[0, 8, 4, 12]) },
        }
    }
}

/// Scales (and minima), then quants.
const Q4_0_FIELDS: [Field; 2] = [(0, 2), (2, 16)];
const Q4_1_FIELDS: [Field; 3] = [(0, 2), (2, 2), (4, 16)];
const Q8_0_FIELDS: [Field; 2] = [(0, 2), (2, 32)];

/// The same fields with those of 16 bytes and more cut into pieces of four.
const fn quads<const COUNT: usize>(fields: &[Field]) -> [Field; COUNT] {
    let mut pieces = [(0, 0); COUNT];
    let (mut count, mut index) = (0, 0);
    while index < fields.len() {
        let (start, length) = fields[index];
        let piece = if length < 16 { length } else { 4 };
        let mut at = 0;
        while at < length {
            pieces[count] = (start + at, piece);
            count += 1;
            at += piece;
        }
        index += 1;
    }
    assert!(count == COUNT, "the pieces fill the table");
    pieces
}

/// `d`, `dmin`, 12 bytes of scales one by one (so that the eight rows' scales lie together), 8 sub-blocks.
const Q4K_FIELDS: [Field; 22] = {
    let mut fields = [(0, 2); 22];
    fields[1] = (2, 2);
    let mut index = 0;
    while index < 12 {
        fields[2 + index] = (4 + index as u8, 1);
        index += 1;
    }
    index = 0;
    while index < 8 {
        fields[14 + index] = (16 + 16 * index as u8, 16);
        index += 1;
    }
    fields
};

/// As [`Q4K_FIELDS`], with twice 16 bytes of high bits in front of the sub-blocks.
const Q5K_FIELDS: [Field; 24] = {
    let mut fields = [(0, 2); 24];
    let mut index = 1;
    while index < 14 {
        fields[index] = Q4K_FIELDS[index];
        index += 1;
    }
    while index < 24 {
        fields[index] = (16 + 16 * (index as u8 - 14), 16);
        index += 1;
    }
    fields
};

/// `d`; the scales in twos or one by one; 12 vectors in pieces, which begin there: the places in the blocks that
/// `kernels::six_bits::pack` makes.
const fn six_bits<const COUNT: usize>(scale_bytes: u8, pieces: &[u8]) -> [Field; COUNT] {
    let mut fields = [(208, 2); COUNT];
    let mut count = 1;
    let mut scale = 0;
    while scale < 16 {
        fields[count] = (192 + scale, scale_bytes);
        scale += scale_bytes;
        count += 1;
    }
    let mut piece = 0;
    while piece < 12 * pieces.len() {
        fields[count] = (16 * (piece / pieces.len()) as u8 + pieces[piece % pieces.len()], 16 / pieces.len() as u8);
        piece += 1;
        count += 1;
    }
    assert!(count == COUNT, "the fields fill the table");
    fields
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn blocks_are_those_of_the_type_table() {
        for format in WeightFormat::ALL {
            let kind = format.tensor_type();
            assert_eq!(WeightFormat::of(kind), Some(format));
            assert_eq!((format.block_weights(), format.block_bytes()), (kind.block_elements(), kind.block_bytes()));
        }
    }

    #[test]
    fn the_processor_decides() {
        // ID_AA64ISAR0_EL1 of a Cortex-A72 and of a Cortex-A76, from their reference manuals.
        assert_eq!(Interleaving::for_processor(0x0001_1120), Interleaving::Rows);
        assert_eq!(Fetch::for_processor(0x410F_D034), Fetch::Program, "Cortex-A53 r0p4");
        assert_eq!(Fetch::for_processor(0x410F_D083), Fetch::Core, "Cortex-A72 r0p3");
        assert_eq!(Interleaving::for_processor(0x0000_1000_1021_1120), Interleaving::Quads);
    }

    #[test]
    fn fields_cover_a_block_once_and_keep_groups_aligned() {
        for format in GroupFormat::all() {
            let mut seen = vec![0; format.weights.block_bytes()];
            for &(start, length) in format.fields() {
                for place in &mut seen[start as usize..][..length as usize] {
                    *place += 1;
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{format:?}: {seen:?}");
            assert!((format.weights.block_bytes() * ROWS).is_multiple_of(ALIGNMENT));
        }
    }
}
