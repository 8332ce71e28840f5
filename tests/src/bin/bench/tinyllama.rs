//! TinyLlama-1.1B's shape, measured on a few of its layers.
//!
//! All layers of one kind cost the same instructions, so files with 2, 3 (and 4) layers tell what each kind of layer costs and what
//! the rest does; the 22 layers are added up. Whole files would take QEMU hours.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use barellama_gguf::{Gguf, ModelConfig};
use barellama_models::{Mix, Model, Shape, Vocabulary};
use barellama_tests::machine::Setup;

use crate::count::{Counts, Measured, count};

type Failure = Box<dyn Error + Send + Sync>;

/// Numbers of layers: the second model has one more ordinary layer than the first, the third one more layer with more bits.
const LAYERS: [usize; 3] = [2, 3, 4];

/// The files of one mix.
pub struct Files {
    mix: Mix,
    models: Vec<(tempfile::NamedTempFile, Layers)>,
}

/// How many layers of each kind a model has.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layers {
    ordinary: usize,
    with_more_bits: usize,
}

impl Files {
    /// Writes the files.
    pub fn write(mix: Mix, folder: &Path) -> Result<Self, Failure> {
        let is_mixed = layers(mix, &Shape::TINYLLAMA)?.with_more_bits > 0;
        let needed = if is_mixed { &LAYERS[..] } else { &LAYERS[..2] };
        let models = needed.iter().map(|&layers_count| {
            let shape = Shape { layers: layers_count, ..Shape::TINYLLAMA };
            let file = tempfile::Builder::new().suffix(".gguf").tempfile_in(folder)?;
            model(mix, &shape)?.write(BufWriter::new(File::create(file.path())?))?;
            Ok((file, layers(mix, &shape)?))
        });
        Ok(Self { mix, models: models.collect::<Result<_, Failure>>()? })
    }

    /// Counts for all 22 layers.
    pub fn count(&self, setup: &Setup) -> Result<Measured, Failure> {
        let measured = self.models.iter().map(|(file, layers)| Ok((count(setup.clone(), file.path())?, *layers)));
        let measured: Vec<(Measured, Layers)> = measured.collect::<Result<_, Failure>>()?;
        let whole = layers(self.mix, &Shape::TINYLLAMA)?;
        let mut sum =
            Measured { spread: measured.iter().map(|(one, _)| one.spread).fold(0.0, f64::max), ..Measured::default() };
        for (place, counts) in sum.at.iter_mut().enumerate() {
            let of = |part: fn(&Counts) -> f64| {
                let points: Vec<(f64, Layers)> =
                    measured.iter().map(|(one, layers)| (part(&one.at[place]), *layers)).collect();
                whole_cost(&points, whole)
            };
            *counts = Counts { prompt: of(|counts| counts.prompt)?, generated: of(|counts| counts.generated)? };
        }
        Ok(sum)
    }

    /// Bytes of weights that a token reads.
    pub fn weight_bytes(&self) -> Result<usize, Failure> {
        let model = model(self.mix, &Shape::TINYLLAMA)?;
        Ok(model
            .tensors()
            .iter()
            .filter(|tensor| tensor.name != "token_embd.weight")
            .map(|tensor| tensor.bytes())
            .sum())
    }
}

/// Bytes of an F16 KV cache that a token at a position reads.
pub fn cache_bytes(position: usize) -> usize {
    let shape = Shape::TINYLLAMA;
    shape.layers * 2 * shape.kv_heads * shape.head * 2 * position
}

/// What the whole model costs, from models that differ by one layer of one kind.
fn whole_cost(points: &[(f64, Layers)], whole: Layers) -> Result<f64, Failure> {
    let first = points.first().ok_or("nothing was measured")?;
    let mut cost = first.0;
    for pair in points.windows(2) {
        let ((before, fewer), (after, more)) = (pair[0], pair[1]);
        let layers = match (more.ordinary - fewer.ordinary, more.with_more_bits - fewer.with_more_bits) {
            (1, 0) => whole.ordinary - first.1.ordinary,
            (0, 1) => whole.with_more_bits - first.1.with_more_bits,
            _ => return Err("the models do not differ by one layer".into()),
        };
        cost += (after - before) * layers as f64;
    }
    Ok(cost)
}

fn model(mix: Mix, shape: &Shape) -> Result<Model, Failure> {
    let vocabulary = Vocabulary::reference("ggml-vocab-llama-spm.gguf").map_err(|error| error.to_string())?;
    Ok(Model::new("TinyLlama-1.1B shape, random weights", shape, mix, &vocabulary))
}

fn layers(mix: Mix, shape: &Shape) -> Result<Layers, Failure> {
    let model = model(mix, shape)?;
    let kind = |name: String| model.tensors().iter().find(|tensor| tensor.name == name).map(|tensor| tensor.kind);
    let mixed =
        |layer: &usize| kind(format!("blk.{layer}.ffn_down.weight")) != kind(format!("blk.{layer}.ffn_up.weight"));
    let with_more_bits = (0..shape.layers).filter(mixed).count();
    Ok(Layers { ordinary: shape.layers - with_more_bits, with_more_bits })
}

/// Bytes of weights and of an F16 KV cache that a generated token of a file reads. A tied head is the embedding table.
pub fn bytes_read_by_a_token_of(path: &Path, position: usize) -> Result<usize, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let gguf = Gguf::parse(&bytes).map_err(|error| error.to_string())?;
    let config = ModelConfig::from_gguf(&gguf).map_err(|error| error.to_string())?;
    let is_tied = gguf.tensor("output.weight").is_none();
    let streamed = gguf.tensors().iter().filter(|tensor| is_tied || tensor.name != "token_embd.weight");
    let weights: usize = streamed.map(|tensor| tensor.data.len()).sum();
    Ok(weights + config.kv_elements_per_token() * 2 * position)
}
