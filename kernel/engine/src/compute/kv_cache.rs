//! Keys and values of the tokens that a session has seen.

use core::ops::Range;

use barellama_gguf::ModelConfig;

use super::half;
use super::q8;

/// What the values of a cache are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvKind {
    /// Half precision.
    F16,
    /// ggml's Q8_0.
    Q8_0,
    /// Single precision: the tests of the mathematics.
    F32,
}

impl KvKind {
    /// Bytes of some values, which are whole blocks.
    #[must_use]
    pub const fn bytes(self, values: usize) -> usize {
        match self {
            Self::F16 => values * 2,
            Self::Q8_0 => values / q8::BLOCK_VALUES * q8::BLOCK_BYTES,
            Self::F32 => values * 4,
        }
    }

    /// Values of a block: heads are multiples of it.
    #[must_use]
    pub const fn block_values(self) -> usize {
        match self {
            Self::Q8_0 => q8::BLOCK_VALUES,
            Self::F16 | Self::F32 => 1,
        }
    }
}

/// A cache: `[layer][keys, values][kv head][position][element]`, so that attention reads one head as one stretch.
#[derive(Debug)]
pub struct KvCache<'s> {
    kind: KvKind,
    bytes: &'s mut [u8],
    kv_heads: usize,
    /// Bytes of a head at one position.
    head_bytes: usize,
    context: usize,
}

/// Keys or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Keys.
    Keys = 0,
    /// Values.
    Values = 1,
}

impl<'s> KvCache<'s> {
    /// A cache for as many positions as `bytes`, aligned to 4, have room for; `None` if they are not aligned or heads are no whole
    /// blocks.
    #[must_use]
    pub fn new(kind: KvKind, bytes: &'s mut [u8], config: &ModelConfig) -> Option<Self> {
        let is_fit = bytes.as_ptr().addr().is_multiple_of(4) && config.head.is_multiple_of(kind.block_values());
        let context = bytes.len().checked_div(kind.bytes(config.kv_elements_per_token()))?;
        let (kv_heads, head_bytes) = (config.kv_heads, kind.bytes(config.head));
        is_fit.then_some(Self { kind, bytes, kv_heads, head_bytes, context })
    }

    /// Positions that the cache can hold.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Bytes of one position: keys and values of all layers.
    #[must_use]
    pub fn bytes_per_token(&self) -> usize {
        self.bytes.len() / self.context.max(1)
    }

    /// Stores the head of a token.
    pub fn store(&mut self, layer: usize, part: Part, kv_head: usize, position: usize, values: &[f32]) {
        let range = self.range(layer, part, kv_head, position..position + 1);
        let bytes = &mut self.bytes[range];
        match self.kind {
            KvKind::F16 => half::narrow(values, bytemuck::cast_slice_mut(bytes)),
            KvKind::Q8_0 => q8::quantize(values, bytes),
            KvKind::F32 => bytes.copy_from_slice(bytemuck::cast_slice(values)),
        }
    }

    /// Loads the heads of some positions, one after the other.
    pub fn load(&self, layer: usize, part: Part, kv_head: usize, positions: Range<usize>, values: &mut [f32]) {
        let bytes = &self.bytes[self.range(layer, part, kv_head, positions)];
        match self.kind {
            KvKind::F16 => half::widen(bytemuck::cast_slice(bytes), values),
            KvKind::Q8_0 => q8::dequantize(bytes, values),
            KvKind::F32 => values.copy_from_slice(bytemuck::cast_slice(bytes)),
        }
    }

    /// Copies the first `positions` of another cache of the same shape and kind.
    pub fn copy_beginning(&mut self, other: &KvCache<'_>, positions: usize) {
        let (length, stretch) = (positions * self.head_bytes, self.context * self.head_bytes);
        for (to, from) in self.bytes.chunks_exact_mut(stretch).zip(other.bytes.chunks_exact(stretch)) {
            to[..length].copy_from_slice(&from[..length]);
        }
    }

    fn range(&self, layer: usize, part: Part, kv_head: usize, positions: Range<usize>) -> Range<usize> {
        let start = ((layer * 2 + part as usize) * self.kv_heads + kv_head) * self.context;
        (start + positions.start) * self.head_bytes..(start + positions.end) * self.head_bytes
    }
}
