//! The choice of a kernel, and its operands, checked once.

use super::activations::ActivationFormat;
use super::format::{ALIGNMENT, Fetch, GroupFormat, Interleaving, ROWS, WeightFormat};
use super::layout;
use super::portable;

/// What a kernel multiplies: made by [`GroupProducts::of`], when the lengths were found to fit together.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// Whole blocks of one group of eight rows, at a multiple of 16.
    pub(super) group: &'a [u8],
    /// How the bytes of the group follow each other.
    pub(super) order: Interleaving,
    /// As many blocks for each of `stride` tokens, at a multiple of 16.
    pub(super) activations: &'a [u8],
    /// Tokens in `activations`.
    pub(super) stride: usize,
    /// The first token that is computed; it and the following ones, one for each output, are below `stride`.
    pub(super) first: usize,
    /// Who fetches the blocks that follow.
    #[cfg_attr(
        not(target_arch = "aarch64"),
        expect(dead_code, reason = "the kernels without vectors leave it to the core")
    )]
    pub(super) fetch: Fetch,
}

/// What a group's rows give for one token, on an address that whole vectors are loaded from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(16))]
pub struct Outputs(pub [f32; ROWS]);

/// Computes the outputs of a group for each token.
pub(super) type Product = fn(&Operands<'_>, &mut [Outputs]);

/// The kernel of a group's format.
#[derive(Clone, Copy, Debug)]
pub struct GroupKernel {
    format: GroupFormat,
    product: Product,
    fetch: Fetch,
}

impl GroupKernel {
    /// The fastest kernel for the format. The processor must have the instructions that the order of the bytes is for.
    #[must_use]
    pub fn new(format: GroupFormat, fetch: Fetch) -> Self {
        #[cfg(target_arch = "aarch64")]
        return Self { format, product: super::neon::product(format), fetch };
        #[cfg(not(target_arch = "aarch64"))]
        Self { fetch, ..Self::portable(format) }
    }

    /// The kernel without vectors, which defines the result: the same for both orders.
    #[must_use]
    pub fn portable(format: GroupFormat) -> Self {
        Self { format, product: portable::product(format.weights), fetch: Fetch::Core }
    }

    /// The format of the weights.
    #[must_use]
    pub const fn weights(&self) -> WeightFormat {
        self.format.weights
    }

    /// The format of the activations.
    #[must_use]
    pub const fn activation(&self) -> ActivationFormat {
        self.format.weights.activation()
    }

    /// `outputs[index].0[row]` = row of `group` times token `first + index` of `activations`, which has `tokens` tokens.
    ///
    /// # Panics
    /// As [`Self::with`] and [`GroupProducts::of`].
    pub fn product(&self, group: &[u8], activations: &[u8], tokens: usize, first: usize, outputs: &mut [Outputs]) {
        self.with(activations, tokens, group.len()).of(group, first, outputs);
    }

    /// What multiplies groups of `group_bytes` bytes with `activations`, which has `tokens` tokens.
    ///
    /// # Panics
    /// If a group is not eight rows of whole blocks, or `activations` does not have as many blocks for each token or does not start at a
    /// multiple of 16.
    #[must_use]
    pub fn with<'a>(&self, activations: &'a [u8], tokens: usize, group_bytes: usize) -> GroupProducts<'a> {
        let block_bytes = self.format.weights.block_bytes() * ROWS;
        let blocks = group_bytes / block_bytes;
        assert_eq!(group_bytes, blocks * block_bytes, "a group is whole blocks");
        assert_eq!(activations.len(), blocks * tokens * self.activation().block_bytes(), "blocks for every token");
        assert!(is_aligned(activations), "blocks are aligned to {ALIGNMENT} bytes");
        GroupProducts { kernel: *self, activations, tokens, group_bytes }
    }

    /// One row's block of a group's block in ggml's layout.
    ///
    /// # Panics
    /// If the lengths are not those of the format or `row` is not below [`ROWS`].
    pub fn extract_block(&self, group_block: &[u8], row: usize, block: &mut [u8]) {
        layout::extract_block(self.format, group_block, row, block);
    }
}

/// A kernel and the activations of some tokens, checked once for all groups of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct GroupProducts<'a> {
    kernel: GroupKernel,
    activations: &'a [u8],
    tokens: usize,
    group_bytes: usize,
}

impl GroupProducts<'_> {
    /// `outputs[index].0[row]` = row of `group` times token `first + index`.
    ///
    /// # Panics
    /// If `group` does not have the length that was checked or does not start at a multiple of 16, or a token is not there.
    #[inline]
    pub fn of(&self, group: &[u8], first: usize, outputs: &mut [Outputs]) {
        let Self { kernel: GroupKernel { format, product, fetch }, activations, tokens: stride, group_bytes } = *self;
        assert!(group.len() == group_bytes && is_aligned(group), "a group of the length that was checked, aligned");
        assert!(first <= stride && outputs.len() <= stride - first, "tokens are in the activations");
        product(&Operands { group, order: format.order, activations, stride, first, fetch }, outputs);
    }
}

fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
}
