//! The engine under a kernel that hands out prepared requests and keeps the answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::DESCRIPTOR_BYTES;
use barellama_abi::outcome::Outcome;
use barellama_abi::request::{RecordKind, RequestHeader, RequestWriter, control};
use barellama_abi::syscall::{CallError, EMIT_BYTES_MAX, EmitKind, Phase};
use barellama_engine::compute::linear::{Arithmetic, RowLayout};
use barellama_engine::compute::team::Team;
use barellama_engine::kernel_calls::{Kernel, Work};
use barellama_engine::kernels::{Fetch, Interleaving};
use barellama_engine::machine::Machine;
use barellama_engine::{prepare, serve};

use super::tiny_model;

pub const ARENA_BYTES: usize = 64 << 20;
pub const HEAP_BYTES: u64 = 1 << 20;

/// What the engine said and did.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub text: String,
    pub json: String,
    pub report: String,
    pub error: String,
    pub outcome: Outcome,
    pub has_ended: bool,
}

/// A kernel that hands out prepared requests, each in a slot of its own, and keeps the answers.
#[derive(Default)]
pub struct FakeKernel {
    pub requests: Mutex<Vec<Vec<u8>>>,
    /// Slot of the next request.
    pub next: AtomicUsize,
    /// Whether requests are handed out while others compute.
    pub is_concurrent: bool,
    /// A request is held back until so many steps were made, in all.
    pub handed_out_at: HashMap<usize, u32>,
    /// By request id, which is the slot's number plus one; 0 is the preparation.
    pub answers: Mutex<BTreeMap<u32, Answer>>,
    pub steps: AtomicU32,
    pub steps_in_all: AtomicU32,
    /// The control word says cancel from this step on.
    pub cancel_at_step: AtomicU32,
    /// The slot that is cancelled.
    pub cancelled_slot: usize,
    pub clock: AtomicU64,
    pub is_sealed: AtomicBool,
}

impl FakeKernel {
    pub fn concurrent() -> Self {
        Self { is_concurrent: true, ..Self::default() }
    }

    fn hand_out(&self) -> Result<Work, CallError> {
        let slot = self.next.load(Ordering::SeqCst);
        let requests = self.requests.lock().unwrap();
        let length = requests.get(slot).ok_or(CallError::WouldBlock)?.len();
        self.next.store(slot + 1, Ordering::SeqCst);
        self.steps.store(0, Ordering::SeqCst);
        Ok(Work { slot, length })
    }
}

impl Kernel for FakeKernel {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        self.hand_out()
    }

    fn poll_for_work(&self) -> Result<Work, CallError> {
        let at = self.handed_out_at.get(&self.next.load(Ordering::SeqCst)).copied().unwrap_or(0);
        let is_time = self.is_concurrent && self.steps_in_all.load(Ordering::SeqCst) >= at;
        if is_time { self.hand_out() } else { Err(CallError::WouldBlock) }
    }

    fn read_request(&self, work: Work, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.requests.lock().unwrap()[work.slot][..work.length]);
    }

    fn control(&self, slot: usize) -> u32 {
        let at = self.cancel_at_step.load(Ordering::SeqCst);
        let is_over = at != 0 && slot == self.cancelled_slot && self.steps.load(Ordering::SeqCst) >= at;
        if is_over { control::CANCEL } else { control::RUN }
    }

    fn emit(&self, id: u32, kind: EmitKind, bytes: &[u8]) {
        assert!(!bytes.is_empty() && bytes.len() as u64 <= EMIT_BYTES_MAX);
        let text = std::str::from_utf8(bytes).expect("whole characters");
        let mut answers = self.answers.lock().unwrap();
        let open = answers.entry(id).or_default();
        assert!(!open.has_ended, "a request that ended says nothing");
        match kind {
            EmitKind::Text => open.text.push_str(text),
            EmitKind::Json => open.json.push_str(text),
            EmitKind::Report => open.report.push_str(text),
            EmitKind::Error => open.error.push_str(text),
        }
    }

    fn clock_ns(&self) -> u64 {
        self.clock.fetch_add(1_000_000, Ordering::SeqCst)
    }

    fn progress(&self, _: u32, _: Phase, done: u64, total: u64) {
        assert!(done <= total);
        self.steps.fetch_add(1, Ordering::SeqCst);
        self.steps_in_all.fetch_add(1, Ordering::SeqCst);
    }

    fn finish(&self, id: u32, outcome: &Outcome) {
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.entry(id).or_default();
        assert!(!answer.has_ended || id == 0, "a request ends once");
        (answer.outcome, answer.has_ended) = (*outcome, true);
    }

    fn seal(&self, length: usize) -> Result<(), CallError> {
        assert!(length > 0 && !self.is_sealed.swap(true, Ordering::SeqCst));
        Ok(())
    }

    fn park(&self, word: &AtomicU32, expected: u32) {
        if word.load(Ordering::SeqCst) == expected {
            std::thread::yield_now();
        }
    }

    fn wake(&self, _: u32) {}
}

/// Builds requests.
pub struct Ask {
    slot: Vec<u8>,
    length: usize,
}

impl Ask {
    pub fn new(header: RequestHeader) -> Self {
        let mut slot = vec![0; 256 << 10];
        let length = RequestWriter::new(&mut slot, header).unwrap().length();
        Self { slot, length }
    }

    pub fn bytes(mut self, kind: RecordKind, bytes: &[u8]) -> Self {
        let at = self.length;
        let mut header = [0; 8];
        header[..4].copy_from_slice(&(kind as u32).to_le_bytes());
        header[4..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.slot[at..at + 8].copy_from_slice(&header);
        self.slot[at + 8..at + 8 + bytes.len()].copy_from_slice(bytes);
        self.length = at + 8 + bytes.len().next_multiple_of(8);
        self
    }

    pub fn text(self, kind: RecordKind, text: &str) -> Self {
        self.bytes(kind, text.as_bytes())
    }

    pub fn ids(self, kind: RecordKind, ids: &[u32]) -> Self {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.bytes(kind, &bytes)
    }

    pub fn build(mut self) -> Vec<u8> {
        self.slot.truncate(self.length);
        self.slot
    }
}

pub fn generate(max_tokens: u32) -> RequestHeader {
    RequestHeader { max_tokens, ..RequestHeader::default() }
}

pub fn boot(context_tokens: u32) -> BootInfo {
    BootInfo { arena_bytes: ARENA_BYTES as u64, cores: 2, context_tokens, sessions: 2, ..BootInfo::default() }
}

/// Prepares a model and runs requests on two threads; the first answer is what preparing said.
pub fn run(file: &[u8], boot: &BootInfo, kernel: &FakeKernel, requests: Vec<Vec<u8>>) -> Vec<Answer> {
    for (slot, mut request) in requests.into_iter().enumerate() {
        request[..4].copy_from_slice(&(slot as u32 + 1).to_le_bytes());
        kernel.requests.lock().unwrap().push(request);
    }
    // Aligned like the arena: a page of u64.
    let mut arena = vec![0u64; ARENA_BYTES / 8];
    let arena: &mut [u8] = bytemuck::cast_slice_mut(&mut arena);
    let team = Team::new(2);
    let is_running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| team.work(kernel, 1, &|| is_running.load(Ordering::SeqCst)));
        let layout = RowLayout::Interleaved(Interleaving::Rows, Fetch::Core);
        match prepare::prepare(kernel, boot, file, Arithmetic::Product, layout, &|| HEAP_BYTES) {
            Err(why) => serve::refuse_all(kernel, &why),
            Ok(prepared) => {
                let mut descriptor = vec![0; DESCRIPTOR_BYTES as usize];
                prepare::seal(kernel, &prepared, &mut descriptor).unwrap();
                prepare::check_sealed(&prepared, &descriptor).unwrap();
                kernel.finish(0, &Outcome::default());
                let heap = prepared.plan.areas[0].bytes as usize;
                let mut machine = Machine::new(kernel, &team, 2, &prepared, &mut arena[heap..]).unwrap();
                serve::serve(&mut machine, &prepared);
            }
        }
        is_running.store(false, Ordering::SeqCst);
        team.nudge(kernel);
    });
    std::mem::take(&mut *kernel.answers.lock().unwrap()).into_values().collect()
}

/// Runs requests on the tiny F16 model.
pub fn ask(requests: Vec<Ask>) -> Vec<Answer> {
    let requests = requests.into_iter().map(Ask::build).collect();
    run(&tiny_model("f16.gguf"), &boot(0), &FakeKernel::default(), requests).split_off(1)
}

pub fn lines(json: &str) -> Vec<serde_json::Value> {
    json.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

pub fn ask_all(requests: Vec<Ask>) -> Vec<Answer> {
    let count = requests.len();
    let answers = ask(requests);
    assert_eq!(answers.len(), count);
    answers
}
