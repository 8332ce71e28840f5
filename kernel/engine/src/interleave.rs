//! Rewrites the weights of a model file in place: rows interleaved by eight, as the kernels read them.
//!
//! A file that comes from the card is rewritten while it comes: a tensor when its last byte is there, in the order of the file.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::fmt;
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

/// A model file that may still be on its way into memory.
pub trait ArrivingFile {
    /// Size of the whole file, in bytes.
    fn bytes(&self) -> usize;

    /// Waits until the first `end` bytes are there, and lends them. The last byte counts as there when the whole file was found to
    /// be what it should be.
    fn first(&mut self, end: usize) -> &mut [u8];

    /// Whether all of it is there.
    fn is_whole(&self) -> bool;
}

/// A file that is there.
impl ArrivingFile for [u8] {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn first(&mut self, end: usize) -> &mut [u8] {
        &mut self[..end]
    }

    fn is_whole(&self) -> bool {
        true
    }
}

/// So much of an arriving file is looked at first for its tables; then twice as much each time.
const BEGINNING_BYTES: usize = 1 << 20;

/// Rewrites a file in the order for this processor, tensor by tensor as they arrive; returns when all of it is there. Once: a file that
/// was sealed is interleaved already.
///
/// # Errors
/// One sentence for people: what is wrong with the model. The file is then of no use any more. It is said when all of the file is
/// there: whether it was read well comes first.
pub fn interleave_weights(
    crew: &Crew<'_>,
    order: Interleaving,
    file: &mut (impl ArrivingFile + ?Sized),
) -> Result<(), String> {
    let result = interleave_arriving(crew, order, file);
    file.first(file.bytes());
    Output::new(crew.kernel, 0, EmitKind::Report).line(format_args!("{}", result?));
    Ok(())
}

/// What was done.
#[derive(Default)]
struct Done {
    tensors: usize,
    bytes: u64,
    /// Those of them that were done before the file was whole.
    bytes_meanwhile: u64,
    /// Time without that in which the file was waited for, in nanoseconds.
    work_ns: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (tensors, milliseconds) = (self.tensors, self.work_ns / 1_000_000);
        write!(
            formatter,
            "Rows of {tensors} tensors interleaved: {:.1} MB in {milliseconds} ms",
            megabytes(self.bytes)
        )?;
        match self.bytes_meanwhile {
            0 => Ok(()),
            bytes => write!(formatter, ", {:.1} MB of it while the file was read", megabytes(bytes)),
        }
    }
}

fn interleave_arriving(
    crew: &Crew<'_>,
    order: Interleaving,
    file: &mut (impl ArrivingFile + ?Sized),
) -> Result<Done, String> {
    let places = places_in(file)?;
    let total: u64 = places.values().map(|place| place.bytes.len() as u64).sum();
    let longest = places.values().map(|place| place.group_bytes).max().unwrap_or(0);
    let mut scratch = vec![0.0; longest.div_ceil(size_of::<f32>()) * crew.team.cores()];
    let mut done = Done::default();
    for place in places.values() {
        let bytes = &mut file.first(place.bytes.end)[place.bytes.clone()];
        crew.kernel.progress(0, Phase::Prepare, done.bytes, total);
        let start_ns = crew.kernel.clock_ns();
        interleave_tensor(crew, place, order, bytes, &mut scratch)?;
        done.work_ns += crew.kernel.clock_ns().saturating_sub(start_ns);
        done.bytes += place.bytes.len() as u64;
        done.bytes_meanwhile += if file.is_whole() { 0 } else { place.bytes.len() as u64 };
        done.tensors += 1;
    }
    Ok(done)
}

/// How many tensors of the model are interleaved.
#[must_use]
pub fn count(tensors: &ModelTensors<'_>) -> usize {
    places(tensors).len()
}

/// The places of a file, as soon as its tables are there. What is wrong with them is known for sure only when all of it is.
fn places_in(file: &mut (impl ArrivingFile + ?Sized)) -> Result<BTreeMap<usize, Place>, String> {
    let file_bytes = file.bytes();
    let mut end = BEGINNING_BYTES.min(file_bytes);
    loop {
        match places_in_beginning(file.first(end), file_bytes) {
            Err(_) if end < file_bytes => end = file_bytes.min(end.saturating_mul(2)),
            result => return result,
        }
    }
}

fn places_in_beginning(beginning: &[u8], file_bytes: usize) -> Result<BTreeMap<usize, Place>, String> {
    let gguf = Gguf::parse_beginning(beginning, file_bytes).map_err(|error| error.to_string())?;
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
        bytes: tensor.offset..tensor.offset + tensor.data_bytes(),
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
