//! Rewrites the weights of a model file in place: rows interleaved by eight, as the kernels read them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use barellama_abi::syscall::{EmitKind, Phase};
use barellama_gguf::{Gguf, ModelConfig, ModelTensors, Tensor};

use crate::compute::team::Crew;
use crate::kernels::{self, GroupFormat, Interleaving, ROWS, WeightFormat};
use crate::output::Output;

/// A tensor that is rewritten.
struct Place {
    name: String,
    bytes: Range<usize>,
    format: WeightFormat,
    group_bytes: usize,
}

/// Rewrites the file that the kernel placed in memory, in the order for this processor. Once: a file that was sealed is interleaved already.
///
/// # Errors
/// One sentence for people: what is wrong with the model. The file is then of no use any more.
pub fn interleave_weights(crew: &Crew<'_>, order: Interleaving, file: &mut [u8]) -> Result<(), String> {
    let places = places_in(file)?;
    let total: usize = places.values().map(|place| place.bytes.len()).sum();
    let longest = places.values().map(|place| place.group_bytes).max().unwrap_or(0);
    let mut scratch = vec![0.0; longest.div_ceil(size_of::<f32>()) * crew.team.cores()];
    let mut done = 0;
    let start_ns = crew.kernel.clock_ns();
    for place in places.values() {
        crew.kernel.progress(0, Phase::Prepare, done, total as u64);
        interleave_tensor(crew, place, order, &mut file[place.bytes.clone()], &mut scratch)?;
        done += place.bytes.len() as u64;
    }
    let took_ms = crew.kernel.clock_ns().saturating_sub(start_ns) / 1_000_000;
    Output::new(crew.kernel, 0, EmitKind::Report).line(format_args!(
        "Rows of {} tensors interleaved: {:.1} MB in {took_ms} ms",
        places.len(),
        done as f64 / 1e6
    ));
    Ok(())
}

/// How many tensors of the model are interleaved.
#[must_use]
pub fn count(tensors: &ModelTensors<'_>) -> usize {
    places(tensors).len()
}

fn places_in(file: &[u8]) -> Result<BTreeMap<usize, Place>, String> {
    let gguf = Gguf::parse(file).map_err(|error| error.to_string())?;
    let config = ModelConfig::from_gguf(&gguf).map_err(|error| error.to_string())?;
    let tensors = ModelTensors::from_gguf(&gguf, &config).map_err(|error| error.to_string())?;
    Ok(places(&tensors))
}

/// By offset in the file, each once: a tied head is the embedding.
fn places(tensors: &ModelTensors<'_>) -> BTreeMap<usize, Place> {
    let layers = tensors.layers.iter().flat_map(|layer| {
        [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.gate, &layer.up, &layer.down]
    });
    let matrices = [&tensors.embedding, &tensors.output].into_iter().chain(layers);
    matrices.filter_map(|tensor| Some((tensor.offset, place(tensor)?))).collect()
}

fn place(tensor: &Tensor<'_>) -> Option<Place> {
    Some(Place {
        name: tensor.name.to_string(),
        bytes: tensor.offset..tensor.offset + tensor.data.len(),
        format: kernels::interleavable(tensor)?,
        group_bytes: tensor.row_bytes() * ROWS,
    })
}

fn interleave_tensor(
    crew: &Crew<'_>,
    place: &Place,
    order: Interleaving,
    rows: &mut [u8],
    scratch: &mut [f32],
) -> Result<(), String> {
    let format = GroupFormat { weights: place.format, order };
    let first_bad = AtomicUsize::new(usize::MAX);
    crew.for_tiles(rows, place.group_bytes, (1, place.group_bytes), scratch, |tile, scratch| {
        let group = tile.rows().start;
        let scratch = bytemuck::cast_slice_mut(scratch);
        if let Err(bad) = kernels::interleave(format, tile.row_mut(group), place.group_bytes / ROWS, scratch) {
            first_bad.fetch_min(group * ROWS + bad.row, Ordering::Relaxed);
        }
    });
    match first_bad.into_inner() {
        usize::MAX => Ok(()),
        row => Err(format!(
            "a scale in row {row} of the tensor {} is not a finite number: the file is damaged",
            place.name
        )),
    }
}
