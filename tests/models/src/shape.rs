//! The shapes that models of the family have.

/// Shape of a transformer of the llama family. Widths are counts of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub embedding: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key-value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Tokens that it is trained for.
    pub context: usize,
    /// Base of the rotation frequencies.
    pub rope_base: f32,
    /// Whether the embedding table is the head too.
    pub is_tied: bool,
}

impl Shape {
    /// TinyLlama-1.1B (`config.json` of TinyLlama/TinyLlama-1.1B-Chat-v1.0).
    pub const TINYLLAMA: Self = Self {
        layers: 22,
        embedding: 2048,
        heads: 32,
        kv_heads: 4,
        head: 64,
        feed_forward: 5632,
        context: 2048,
        rope_base: 10_000.0,
        is_tied: false,
    };

    /// Two narrow layers, for tests: heads of `head` elements, four for queries and two for keys and values.
    #[must_use]
    pub const fn small(head: usize) -> Self {
        Self {
            layers: 2,
            embedding: 256,
            heads: 4,
            kv_heads: 2,
            head,
            feed_forward: 512,
            context: 512,
            rope_base: 10_000.0,
            is_tied: false,
        }
    }

    /// The matrices of a layer: name, columns, rows.
    #[must_use]
    pub fn layer_matrices(&self) -> [(&'static str, usize, usize); 7] {
        let (query, kv) = (self.heads * self.head, self.kv_heads * self.head);
        [
            ("attn_q", self.embedding, query),
            ("attn_k", self.embedding, kv),
            ("attn_v", self.embedding, kv),
            ("attn_output", query, self.embedding),
            ("ffn_gate", self.embedding, self.feed_forward),
            ("ffn_up", self.embedding, self.feed_forward),
            ("ffn_down", self.feed_forward, self.embedding),
        ]
    }
}
