//! Rewrites the weights of a model file in place: rows interleaved by eight, as the kernels read them.
//!
//! A file that comes from the card is rewritten while it comes, in the order of the file: all tensors whose last bytes are there, as one
//! task for the cores. Core 0 has little time for the engine then, for it reads the card: however short its turn is, the others get all
//! the work that there is.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

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

    /// How many bytes are there now: so many [`Self::first`] lends at once.
    fn arrived(&self) -> usize;

    /// Whether all of it is there.
    fn is_whole(&self) -> bool {
        self.arrived() == self.bytes()
    }
}

/// A file that is there.
impl ArrivingFile for [u8] {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn first(&mut self, end: usize) -> &mut [u8] {
        &mut self[..end]
    }

    fn arrived(&self) -> usize {
        self.len()
    }
}

/// So much of an arriving file is looked at first for its tables; then twice as much each time.
const BEGINNING_BYTES: usize = 1 << 20;
/// What a core rewrites at once, if a group of rows is not longer: on core 0, a turn of reading (0.2 ms) is enough for it.
const PART_BYTES: usize = 16 << 10;
/// Bytes of the tensors that become one task, if the first is not longer: progress is told between tasks.
const TASK_BYTES: usize = 16 << 20;

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
    let total: u64 = places.iter().map(|place| place.bytes.len() as u64).sum();
    let longest = places.iter().map(|place| place.group_bytes).max().unwrap_or(0);
    let mut scratch = vec![0.0; longest.div_ceil(size_of::<f32>()) * crew.team.cores()];
    let mut done = Done::default();
    let mut others = &places[..];
    while let Some(next) = others.first() {
        file.first(next.bytes.end);
        let task;
        (task, others) = others.split_at(task_length(others, file.arrived()));
        crew.kernel.progress(0, Phase::Prepare, done.bytes, total);
        let start_ns = crew.kernel.clock_ns();
        interleave_tensors(crew, order, task, file, &mut scratch)?;
        done.work_ns += crew.kernel.clock_ns().saturating_sub(start_ns);
        let bytes = task.iter().map(|place| place.bytes.len() as u64).sum::<u64>();
        done.bytes += bytes;
        done.bytes_meanwhile += if file.is_whole() { 0 } else { bytes };
        done.tensors += task.len();
    }
    Ok(done)
}

/// How many of the places, the first of which is there, become one task.
fn task_length(places: &[Place], arrived: usize) -> usize {
    let start = places.first().map_or(0, |place| place.bytes.start);
    let end = arrived.min(start.saturating_add(TASK_BYTES));
    places.iter().take_while(|place| place.bytes.end <= end).count().max(1)
}

/// How many tensors of the model are interleaved.
#[must_use]
pub fn count(tensors: &ModelTensors<'_>) -> usize {
    places(tensors).len()
}

/// The places of a file, as soon as its tables are there. What is wrong with them is known for sure only when all of it is.
fn places_in(file: &mut (impl ArrivingFile + ?Sized)) -> Result<Vec<Place>, String> {
    let file_bytes = file.bytes();
    let mut end = BEGINNING_BYTES.min(file_bytes);
    loop {
        match places_in_beginning(file.first(end), file_bytes) {
            Err(_) if end < file_bytes => end = file_bytes.min(end.saturating_mul(2)),
            result => return result,
        }
    }
}

fn places_in_beginning(beginning: &[u8], file_bytes: usize) -> Result<Vec<Place>, String> {
    let gguf = Gguf::parse_beginning(beginning, file_bytes).map_err(|error| error.to_string())?;
    let config = ModelConfig::from_gguf(&gguf).map_err(|error| error.to_string())?;
    let tensors = ModelTensors::from_gguf(&gguf, &config).map_err(|error| error.to_string())?;
    Ok(places(&tensors))
}

/// In the order of the file, each once: a tied head is the embedding.
fn places(tensors: &ModelTensors<'_>) -> Vec<Place> {
    let layers = tensors.layers.iter().flat_map(|layer| {
        [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.gate, &layer.up, &layer.down]
    });
    let matrices = [&tensors.embedding, &tensors.output].into_iter().chain(layers);
    let places: BTreeMap<usize, Place> = matrices.filter_map(|tensor| Some((tensor.offset, place(tensor)?))).collect();
    places.into_values().collect()
}

fn place(tensor: &Tensor<'_>) -> Option<Place> {
    Some(Place {
        name: tensor.name.to_string(),
        bytes: tensor.offset..tensor.offset + tensor.data_bytes(),
        format: kernels::interleavable(tensor)?,
        group_bytes: tensor.row_bytes() * ROWS,
    })
}

/// Some groups of rows of a tensor.
struct Part<'f> {
    place: &'f Place,
    first_row: usize,
    rows: &'f mut [u8],
    /// The first row with a scale that is not a finite number.
    bad_row: Option<usize>,
}

impl Part<'_> {
    fn interleave(&mut self, order: Interleaving, scratch: &mut [u8]) {
        let format = GroupFormat { weights: self.place.format, order };
        let row_bytes = self.place.group_bytes / ROWS;
        for (index, group) in self.rows.chunks_exact_mut(self.place.group_bytes).enumerate() {
            if let Err(bad) = kernels::interleave(format, group, row_bytes, scratch) {
                self.bad_row.get_or_insert(self.first_row + index * ROWS + bad.row);
            }
        }
    }
}

/// Cuts tensors that are there into parts, in the order of the file.
fn parts<'f>(places: &'f [Place], file: &'f mut (impl ArrivingFile + ?Sized)) -> Vec<Part<'f>> {
    let end = places.last().map_or(0, |place| place.bytes.end);
    let mut rest = file.first(end);
    let mut rest_start = 0;
    let mut parts = Vec::new();
    for place in places {
        let (tensor, behind) =
            core::mem::take(&mut rest)[place.bytes.start - rest_start..].split_at_mut(place.bytes.len());
        (rest, rest_start) = (behind, place.bytes.end);
        let groups = (PART_BYTES / place.group_bytes).max(1);
        let rows = tensor.chunks_mut(groups * place.group_bytes).enumerate();
        parts.extend(rows.map(|(index, rows)| Part { place, first_row: index * groups * ROWS, rows, bad_row: None }));
    }
    parts
}

fn interleave_tensors(
    crew: &Crew<'_>,
    order: Interleaving,
    places: &[Place],
    file: &mut (impl ArrivingFile + ?Sized),
    scratch: &mut [f32],
) -> Result<(), String> {
    let mut parts = parts(places, file);
    crew.for_tiles(&mut parts, 1, (1, 1), scratch, |tile, scratch| {
        for part in tile.row_mut(tile.rows().start) {
            part.interleave(order, bytemuck::cast_slice_mut(scratch));
        }
    });
    match parts.iter().find_map(|part| Some((part.place, part.bad_row?))) {
        None => Ok(()),
        Some((place, row)) => Err(format!(
            "a scale in row {row} of the tensor {} is not a finite number: the file is damaged",
            place.name
        )),
    }
}
