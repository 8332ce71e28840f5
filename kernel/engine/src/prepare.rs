//! From the bytes of a model file to a model that can answer: check, plan, seal.

use alloc::format;
use alloc::string::{String, ToString};

use barellama_abi::boot_info::{BootInfo, KvFormat};
use barellama_abi::layout::CORES_MAX;
use barellama_abi::syscall::{EmitKind, Phase};
use barellama_gguf::{ArenaPlan, Gguf, ModelConfig, ModelTensors, PlanRequest};

use crate::compute::kv_cache::KvKind;
use crate::compute::linear::{Arithmetic, RowLayout};
use crate::compute::weights::Weights;
use crate::compute::workspace::WorkspaceSizes;
use crate::describe;
use crate::descriptor::Descriptor;
use crate::interleave;
use crate::kernel_calls::Kernel;
use crate::output::Output;
use crate::template::Memory;
use crate::tokenizer::Tokenizer;

/// Most tokens of a prefill chunk.
const CHUNK_TOKENS: usize = 32;
/// Heap that requests may use on top of what the model's tables take, in bytes: texts, ids, templates, tokenizing.
const REQUEST_HEAP_BYTES: u64 = 4 << 20;

/// The model, checked, and where its buffers will lie.
pub struct Prepared<'m> {
    /// Keys and tensors of the file.
    pub gguf: Gguf<'m>,
    /// The weights.
    pub weights: Weights<'m>,
    /// The tokenizer.
    pub tokenizer: Tokenizer<'m>,
    /// Where each buffer lies in the arena.
    pub plan: ArenaPlan,
    /// How the buffers of the forward pass are cut.
    pub sizes: WorkspaceSizes,
    /// What keys and values are kept as.
    pub kv_kind: KvKind,
    /// Number of sessions.
    pub sessions: usize,
    /// Number of tensors whose rows are interleaved.
    pub interleaved: usize,
    /// What requests may take of the heap.
    pub memory: Memory,
}

/// Names of the areas, in the order of the plan.
pub mod area {
    /// Tables of the model and what requests need for a while.
    pub const HEAP: &str = "heap";
    /// Activations of a chunk.
    pub const ACTIVATIONS: &str = "activations";
    /// Rows of logits.
    pub const LOGITS: &str = "logits";
    /// Scratch memory of each core.
    pub const SCRATCH: &str = "scratch";
    /// Keys and values of all sessions.
    pub const KV_CACHE: &str = "kv cache";
}

/// Checks the file, whose rows lie as `layout` says, and plans the arena. `heap_bytes` tells how much heap is in use; it is asked when all tables are made.
///
/// # Errors
/// One sentence for people: what is wrong with the model or how much memory is missing.
pub fn prepare<'m>(
    kernel: &dyn Kernel,
    boot: &BootInfo,
    file: &'m [u8],
    arithmetic: Arithmetic,
    layout: RowLayout,
    heap_bytes: &dyn Fn() -> u64,
) -> Result<Prepared<'m>, String> {
    let total = file.len() as u64;
    kernel.progress(0, Phase::Prepare, 0, total);
    let gguf = Gguf::parse(file).map_err(|error| error.to_string())?;
    let config = ModelConfig::from_gguf(&gguf).map_err(|error| error.to_string())?;
    let tensors = ModelTensors::from_gguf(&gguf, &config).map_err(|error| error.to_string())?;
    let weights = Weights::new(config, &tensors, arithmetic, layout).map_err(|tensor| {
        format!("the tensor {} has the type {}, which is not supported", tensor.name, tensor.kind.name())
    })?;
    kernel.progress(0, Phase::Prepare, total / 2, total);
    let tokenizer = Tokenizer::new(&gguf).map_err(|error| format!("the tokenizer: {error}"))?;
    let sizes = WorkspaceSizes::new(&weights, CHUNK_TOKENS, CORES_MAX);
    let sessions = boot.sessions.max(1) as usize;
    let kv_kind = kv_kind(boot, &weights)?;
    let plan = plan(boot, &weights, &sizes, kv_kind, heap_bytes()).map_err(|error| error.to_string())?;
    kernel.progress(0, Phase::Prepare, total, total);
    let interleaved = if layout == RowLayout::Plain { 0 } else { interleave::count(&tensors) };
    let memory = Memory::endless();
    Ok(Prepared { gguf, weights, tokenizer, plan, sizes, kv_kind, sessions, interleaved, memory })
}

/// What the cache is kept as: what was asked for, if the model's heads can be.
fn kv_kind(boot: &BootInfo, weights: &Weights<'_>) -> Result<KvKind, String> {
    let kind = match (weights.arithmetic, boot.kv_format) {
        (Arithmetic::Exact, _) => KvKind::F32,
        (Arithmetic::Product, KvFormat::F16) => KvKind::F16,
        (Arithmetic::Product, KvFormat::Q8_0) => KvKind::Q8_0,
    };
    let (head, block) = (weights.config.head, kind.block_values());
    if head.is_multiple_of(block) {
        return Ok(kind);
    }
    Err(format!("kv_cache = q8_0 needs heads of a multiple of {block} values, this model's have {head}: use f16"))
}

fn plan(
    boot: &BootInfo,
    weights: &Weights<'_>,
    sizes: &WorkspaceSizes,
    kv_kind: KvKind,
    heap_bytes: u64,
) -> Result<ArenaPlan, barellama_gguf::PlanError> {
    let floats = |values: usize| values as u64 * 4;
    // Each session's list of tokens, four bytes a token.
    let lists_bytes = weights.config.context as u64 * 4 * u64::from(boot.sessions.max(1));
    let fixed = [
        (area::HEAP, heap_bytes.saturating_add(lists_bytes).saturating_add(REQUEST_HEAP_BYTES)),
        (area::ACTIVATIONS, floats(sizes.activations)),
        (area::LOGITS, floats(sizes.logits)),
        (area::SCRATCH, floats(sizes.scratch)),
    ];
    ArenaPlan::new(&PlanRequest {
        arena_bytes: boot.arena_bytes,
        fixed: &fixed,
        kv_bytes_per_token: kv_kind.bytes(weights.config.kv_elements_per_token()) as u64,
        sessions: u64::from(boot.sessions.max(1)),
        context_wanted: u64::from(boot.context_tokens),
        context_trained: weights.config.context as u64,
    })
}

/// Reports the model and the plan and seals the region, unless a previous run did. `descriptor` is the end of the region.
///
/// # Errors
/// One sentence: the region could not be sealed, or what was sealed does not belong to this file.
pub fn seal(kernel: &dyn Kernel, prepared: &Prepared<'_>, descriptor: &mut [u8]) -> Result<(), String> {
    let facts = Descriptor::new(prepared.gguf.file_bytes() as u64, &prepared.plan, prepared.interleaved as u64);
    let mut report = Output::new(kernel, 0, EmitKind::Report);
    describe::model_card(&mut report, prepared);
    describe::arena_table(&mut report, &prepared.plan);
    report.flush();
    let bytes = facts.to_bytes();
    let place = descriptor.get_mut(..bytes.len()).ok_or("the model region has no room for its descriptor")?;
    place.copy_from_slice(&bytes);
    kernel.seal(bytes.len()).map_err(|error| format!("the kernel did not seal the model: {error:?}"))
}

/// Checks what a previous run of the engine sealed against what this one found.
///
/// # Errors
/// One sentence: the sealed descriptor does not belong to this file or plan.
pub fn check_sealed(prepared: &Prepared<'_>, descriptor: &[u8]) -> Result<(), String> {
    let found = Descriptor::from_bytes(descriptor).ok_or("the sealed model has no valid descriptor")?;
    if found.file_bytes != prepared.gguf.file_bytes() as u64 {
        return Err(String::from("the sealed descriptor belongs to another file"));
    }
    if found.interleaved != prepared.interleaved as u64 {
        return Err(format!(
            "the sealed model has {} interleaved tensors, not {}",
            found.interleaved, prepared.interleaved
        ));
    }
    Ok(())
}
