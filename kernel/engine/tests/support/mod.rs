//! What several tests share: reference data, a fake kernel, a transformer in ordinary memory, a team of threads.
#![allow(dead_code)]

pub mod engine;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{CallError, EmitKind, Phase};
use barellama_engine::compute::batch::Batch;
use barellama_engine::compute::kv_cache::{KvCache, KvKind};
use barellama_engine::compute::linear::{Arithmetic, RowLayout};
use barellama_engine::compute::team::{Crew, Team};
use barellama_engine::compute::transformer;
use barellama_engine::compute::weights::Weights;
use barellama_engine::compute::workspace::{LOGIT_ROWS, Workspace, WorkspaceSizes};
use barellama_engine::interleave::interleave_weights;
use barellama_engine::kernel_calls::{Kernel, Work};
use barellama_engine::kernels::{Fetch, Interleaving};
use barellama_gguf::{Gguf, ModelConfig, ModelTensors};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A tiny model as it lies in the engine's memory.
pub fn tiny_model(name: &str) -> Vec<u8> {
    interleaved(plain_tiny_model(name))
}

/// A tiny model as it lies in its file.
pub fn plain_tiny_model(name: &str) -> Vec<u8> {
    read(root().join("tests/reference/tiny").join(name))
}

/// A model file with its rows interleaved.
pub fn interleaved(mut file: Vec<u8>) -> Vec<u8> {
    assert!(file.as_ptr().addr().is_multiple_of(16), "files lie at multiples of 16");
    with_crew(1, |crew| interleave_weights(crew, Interleaving::Rows, &mut file[..])).unwrap();
    file
}

pub fn read(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A prompt and what llama.cpp answered.
pub struct Case {
    pub name: String,
    pub prompt_ids: Vec<u32>,
    pub greedy_ids: Vec<u32>,
    pub margins: Vec<f64>,
    pub top: Vec<(u32, f64)>,
}

/// The cases of a reference file below `tests/reference`.
pub fn cases(path: &str) -> Vec<Case> {
    let bytes = read(root().join("tests/reference").join(path));
    let cases: serde_json::Value = serde_json::from_slice(&bytes).expect("the reference is JSON");
    let ids = |value: &serde_json::Value| -> Vec<u32> {
        value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let case = |case: &serde_json::Value| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        prompt_ids: ids(&case["prompt_ids"]),
        greedy_ids: ids(&case["greedy_ids"]),
        margins: case["margins"].as_array().unwrap().iter().map(|margin| margin.as_f64().unwrap()).collect(),
        top: case["top5_first_step"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_u64().unwrap() as u32, pair[1].as_f64().unwrap()))
            .collect(),
    };
    cases.as_array().unwrap().iter().map(case).collect()
}

/// A kernel under threads: parking is a short sleep.
pub struct ThreadKernel;

impl Kernel for ThreadKernel {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        Err(CallError::NotAllowed)
    }

    fn poll_for_work(&self) -> Result<Work, CallError> {
        Err(CallError::WouldBlock)
    }

    fn read_request(&self, _: Work, _: &mut Vec<u8>) {}

    fn control(&self, _: usize) -> u32 {
        0
    }

    fn emit(&self, _: u32, _: EmitKind, _: &[u8]) {}

    fn clock_ns(&self) -> u64 {
        0
    }

    fn progress(&self, _: u32, _: Phase, _: u64, _: u64) {}

    fn finish(&self, _: u32, _: &Outcome) {}

    fn seal(&self, _: usize) -> Result<(), CallError> {
        Ok(())
    }

    fn park(&self, word: &AtomicU32, expected: u32) {
        if word.load(Ordering::SeqCst) == expected {
            std::thread::yield_now();
        }
    }

    fn wake(&self, _: u32) {}
}

/// Runs `body` with a crew of `cores` threads, this one included.
pub fn with_crew<R>(cores: usize, body: impl FnOnce(&Crew<'_>) -> R) -> R {
    let team = Team::new(cores);
    let is_running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for core in 1..cores {
            let (team, is_running) = (&team, &is_running);
            scope.spawn(move || team.work(&ThreadKernel, core, &|| is_running.load(Ordering::SeqCst)));
        }
        let result = body(&Crew { team: &team, kernel: &ThreadKernel, cores });
        is_running.store(false, Ordering::SeqCst);
        team.nudge(&ThreadKernel);
        result
    })
}

/// A model in ordinary memory, and one session.
pub struct Bench<'m> {
    pub weights: Weights<'m>,
    pub context: usize,
    sizes: WorkspaceSizes,
    activations: Vec<f32>,
    logits: Vec<f32>,
    scratch: Vec<f32>,
    pub kv_kind: KvKind,
    kv: Vec<u32>,
}

impl<'m> Bench<'m> {
    pub fn new(file: &'m [u8], arithmetic: Arithmetic, chunk: usize, cores: usize, context: usize) -> Self {
        let gguf = Gguf::parse(file).unwrap();
        let config = ModelConfig::from_gguf(&gguf).unwrap();
        let tensors = ModelTensors::from_gguf(&gguf, &config).unwrap();
        let weights =
            Weights::new(config, &tensors, arithmetic, RowLayout::Interleaved(Interleaving::Rows, Fetch::Core))
                .unwrap();
        let sizes = WorkspaceSizes::new(&weights, chunk, cores);
        let kv_kind = if arithmetic == Arithmetic::Product { KvKind::F16 } else { KvKind::F32 };
        Self {
            weights,
            context,
            sizes,
            activations: vec![0.0; sizes.activations],
            logits: vec![0.0; sizes.logits],
            scratch: vec![0.0; sizes.scratch],
            kv_kind,
            kv: Vec::new(),
        }
    }

    /// Runs `tokens` in chunks from position `first`; gives the logits of every token from index `wanted` on to `each`.
    pub fn run(
        &mut self,
        crew: &Crew<'_>,
        tokens: &[u32],
        first: usize,
        wanted: usize,
        each: &mut dyn FnMut(usize, &[f32]),
    ) {
        let config = &self.weights.config;
        let (activations, logits, scratch) = (&mut self.activations, &mut self.logits, &mut self.scratch);
        let mut workspace = Workspace::new(config, &self.sizes, activations, logits, scratch);
        let kv_bytes = self.kv_kind.bytes(config.kv_elements_per_token()) * self.context;
        self.kv.resize(kv_bytes.div_ceil(4), 0);
        let kv = &mut bytemuck::cast_slice_mut(&mut self.kv)[..kv_bytes];
        let mut caches = [KvCache::new(self.kv_kind, kv, config).unwrap()];
        let mut done = 0;
        for chunk in tokens.chunks(self.sizes.chunk) {
            let mut batch = Batch::default();
            batch.push(0, first + done, chunk, wanted.saturating_sub(done));
            let (tokens, segments) = (&batch.tokens, &batch.segments);
            transformer::forward(crew, &self.weights, &mut workspace, &mut caches, tokens, segments, &mut || true)
                .unwrap();
            for rows in batch.wanted.chunks(LOGIT_ROWS) {
                let logits = transformer::logits(crew, &self.weights, &mut workspace, rows);
                for (row, logits) in rows.iter().zip(logits.chunks_exact(config.vocabulary)) {
                    each(done + row, logits);
                }
            }
            done += chunk.len();
        }
    }
}
