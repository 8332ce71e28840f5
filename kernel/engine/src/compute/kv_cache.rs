//! Keys and values of the tokens that a session has seen.

use core::ops::Range;

use barellama_gguf::ModelConfig;

use super::half;

/// The elements of a cache.
#[derive(Debug)]
pub enum KvElements<'s> {
    /// Half precision: the product.
    F16(&'s mut [u16]),
    /// Single precision: the tests of the mathematics.
    F32(&'s mut [f32]),
}

/// A cache: `[layer][keys, values][kv head][position][element]`, so that attention reads one head as one stretch.
#[derive(Debug)]
pub struct KvCache<'s> {
    elements: KvElements<'s>,
    kv_heads: usize,
    head: usize,
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
    /// A cache for as many positions as the elements have room for.
    #[must_use]
    pub fn new(elements: KvElements<'s>, config: &ModelConfig) -> Self {
        let length = match &elements {
            KvElements::F16(elements) => elements.len(),
            KvElements::F32(elements) => elements.len(),
        };
        let context = length / config.kv_elements_per_token();
        Self { elements, kv_heads: config.kv_heads, head: config.head, context }
    }

    /// Positions that the cache can hold.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// Stores the head of a token.
    pub fn store(&mut self, layer: usize, part: Part, kv_head: usize, position: usize, values: &[f32]) {
        let range = self.range(layer, part, kv_head, position..position + 1);
        match &mut self.elements {
            KvElements::F16(elements) => half::narrow(values, &mut elements[range]),
            KvElements::F32(elements) => elements[range].copy_from_slice(values),
        }
    }

    /// Loads the heads of some positions, one after the other.
    pub fn load(&self, layer: usize, part: Part, kv_head: usize, positions: Range<usize>, values: &mut [f32]) {
        let range = self.range(layer, part, kv_head, positions);
        match &self.elements {
            KvElements::F16(elements) => half::widen(&elements[range], values),
            KvElements::F32(elements) => values.copy_from_slice(&elements[range]),
        }
    }

    fn range(&self, layer: usize, part: Part, kv_head: usize, positions: Range<usize>) -> Range<usize> {
        let start = ((layer * 2 + part as usize) * self.kv_heads + kv_head) * self.context;
        (start + positions.start) * self.head..(start + positions.end) * self.head
    }
}
