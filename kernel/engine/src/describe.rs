//! Reports about the model: its card, the arena, the tensors.

use barellama_gguf::ArenaPlan;

use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt::TEMPLATE_KEY;

const MIB: f64 = 1_048_576.0;

/// What the model is, in a few lines.
pub fn model_card(report: &mut Output<'_>, prepared: &Prepared<'_>) {
    let config = &prepared.weights.config;
    let gguf = &prepared.gguf;
    let name = if config.name.is_empty() { "(no name)" } else { &config.name };
    report.line(format_args!("Model: {name}, llama family, GGUF {}", gguf.version()));
    report.line(format_args!(
        "  {} layers, {} wide, feed-forward {}, {} heads of {} ({} key-value), vocabulary {}",
        config.blocks,
        config.embedding,
        config.feed_forward,
        config.heads,
        config.head,
        config.kv_heads,
        config.vocabulary
    ));
    let (parameters, bytes) = gguf.tensors().iter().fold((0, 0), |(elements, bytes), tensor| {
        (elements + tensor.rows() * tensor.dimensions[0], bytes + tensor.data.len())
    });
    report.line(format_args!(
        "  {:.1} M parameters in {:.1} MiB, layers {}, head {}, trained for {} tokens",
        parameters as f64 / 1e6,
        bytes as f64 / MIB,
        kind_of(prepared, "blk.0.ffn_gate.weight"),
        kind_of(prepared, if gguf.tensor("output.weight").is_some() { "output.weight" } else { "token_embd.weight" }),
        config.context
    ));
    if gguf.string(TEMPLATE_KEY).is_none() {
        report.line(format_args!(
            "  no chat template in the file: texts are continued as they are (chat_template sets one, e.g. zephyr)"
        ));
    }
}

fn kind_of(prepared: &Prepared<'_>, tensor: &str) -> &'static str {
    prepared.gguf.tensor(tensor).map_or("?", |tensor| tensor.kind.name())
}

/// Where everything lies.
pub fn arena_table(report: &mut Output<'_>, plan: &ArenaPlan) {
    report.line(format_args!(
        "Arena: needs {:.1} of {:.1} MiB; context {} tokens",
        plan.used_bytes as f64 / MIB,
        plan.arena_bytes as f64 / MIB,
        plan.context
    ));
    for area in &plan.areas {
        report.line(format_args!("  {:<12} at {:#011x}  {:8.1} MiB", area.name, area.offset, area.bytes as f64 / MIB));
    }
}

/// Every tensor of the file.
pub fn tensor_table(report: &mut Output<'_>, prepared: &Prepared<'_>) {
    report.line(format_args!("Tensors:"));
    for tensor in prepared.gguf.tensors() {
        report.line(format_args!(
            "  {:<28} {:>7} x {:<7} {:<8} at {:#011x}",
            tensor.name,
            tensor.dimensions[0],
            tensor.rows(),
            tensor.kind.name(),
            tensor.offset
        ));
    }
}
