//! The engine under a kernel that only counts: from the bytes of a model file to answers.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::DESCRIPTOR_BYTES;
use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, RequestHeader, RequestKind, RequestWriter, control};
use barellama_abi::syscall::{CallError, EMIT_BYTES_MAX, EmitKind, Phase};
use barellama_engine::compute::linear::{Arithmetic, RowLayout};
use barellama_engine::compute::team::{Crew, Team};
use barellama_engine::interleave::interleave_weights;
use barellama_engine::kernel_calls::{Kernel, Work};
use barellama_engine::kernels::{Fetch, Interleaving};
use barellama_engine::machine::Machine;
use barellama_engine::{prepare, serve};

/// Arena of the benches, in bytes.
const ARENA_BYTES: usize = 16 << 20;
/// What the plan reserves for the heap before requests; the real heap is the process's.
const HEAP_BYTES: u64 = 1 << 20;

thread_local! {
    /// Kept between runs, dirty on purpose: nothing may trust the arena.
    static ARENA: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// Makes the arena, which is no part of what a run takes.
pub fn make_arena() {
    ARENA.with_borrow_mut(|arena| arena.resize(ARENA_BYTES / size_of::<u128>(), 0));
}

/// Hands out requests and holds the engine to its contract.
#[derive(Debug, Default)]
pub struct CheckingKernel {
    requests: Mutex<Vec<Vec<u8>>>,
    current: Mutex<Vec<u8>>,
    finished: AtomicU32,
    errors_said: AtomicU32,
    /// Everything that was said about errors.
    errors: Mutex<String>,
    clock: AtomicU64,
}

impl CheckingKernel {
    /// A kernel with these requests, the last one first.
    #[must_use]
    pub fn with(requests: Vec<Vec<u8>>) -> Self {
        Self { requests: Mutex::new(requests), ..Self::default() }
    }

    /// What was said about errors, one text after the other.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Requests that were ended.
    pub fn finished(&self) -> u32 {
        self.finished.load(Ordering::Relaxed)
    }
}

impl Kernel for CheckingKernel {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        let request = self.requests.lock().unwrap().pop().ok_or(CallError::WouldBlock)?;
        let length = request.len();
        *self.current.lock().unwrap() = request;
        Ok(Work { slot: 0, length })
    }

    /// Requests come one after the other.
    fn poll_for_work(&self) -> Result<Work, CallError> {
        Err(CallError::WouldBlock)
    }

    fn read_request(&self, work: Work, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.current.lock().unwrap()[..work.length]);
    }

    fn control(&self, _: usize) -> u32 {
        control::RUN
    }

    fn emit(&self, _: u32, kind: EmitKind, bytes: &[u8]) {
        assert!(!bytes.is_empty() && bytes.len() as u64 <= EMIT_BYTES_MAX, "the kernel would refuse the call");
        let text = std::str::from_utf8(bytes).expect("output is text");
        if kind == EmitKind::Error {
            self.errors.lock().unwrap().push_str(text);
            self.errors_said.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn clock_ns(&self) -> u64 {
        self.clock.fetch_add(1_000_000, Ordering::Relaxed)
    }

    fn progress(&self, _: u32, _: Phase, done: u64, total: u64) {
        assert!(done <= total, "progress is a part of a whole");
    }

    fn finish(&self, _: u32, outcome: &Outcome) {
        let said = self.errors_said.swap(0, Ordering::Relaxed);
        assert!(outcome.stop_reason != StopReason::Error || said > 0, "an error is explained");
        assert!(outcome.context_used_tokens <= outcome.context_tokens || outcome.context_tokens == 0);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    fn seal(&self, length: usize) -> Result<(), CallError> {
        assert!(length as u64 <= DESCRIPTOR_BYTES, "the kernel would refuse the call");
        Ok(())
    }

    fn park(&self, _: &std::sync::atomic::AtomicU32, _: u32) {}

    fn wake(&self, _: u32) {}
}

/// A file where the engine may rewrite it: at a multiple of 16.
#[must_use]
pub fn aligned(file: &[u8]) -> Vec<u128> {
    let mut words = vec![0u128; file.len().div_ceil(size_of::<u128>())];
    bytemuck::cast_slice_mut(&mut words)[..file.len()].copy_from_slice(file);
    words
}

/// Prepares a model as the engine does and serves the kernel's requests with it; whether it was accepted.
pub fn open_and_serve(kernel: &CheckingKernel, file: &[u8]) -> bool {
    let mut words = aligned(file);
    let bytes: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut words)[..file.len()];
    let team = Team::new(1);
    let boot = BootInfo { arena_bytes: ARENA_BYTES as u64, cores: 1, sessions: 1, ..BootInfo::default() };
    // As the processor would decide; here the length of the file does.
    let order = Interleaving::ALL[file.len() / 32 % 2];
    let crew = Crew { team: &team, kernel, cores: 1 };
    let prepared = interleave_weights(&crew, order, bytes).and_then(|()| {
        prepare::prepare(kernel, &boot, bytes, Arithmetic::Product, RowLayout::Interleaved(order, Fetch::Core), &|| {
            HEAP_BYTES
        })
    });
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            assert!(!why.is_empty());
            serve::refuse_all(kernel, &why);
            return false;
        }
    };
    assert!(prepared.plan.used_bytes <= boot.arena_bytes, "the plan lies inside the arena");
    let mut descriptor = vec![0; 64];
    prepare::seal(kernel, &prepared, &mut descriptor).expect("there is room for the descriptor");
    prepare::check_sealed(&prepared, &descriptor).expect("what was sealed is accepted");
    ARENA.with_borrow_mut(|arena| {
        let heap = prepared.plan.areas[0].bytes as usize;
        let arena: &mut [u8] = bytemuck::cast_slice_mut(arena);
        let machine = Machine::new(kernel, &team, 1, &prepared, &mut arena[heap..]);
        serve::serve(&mut machine.expect("the arena is as large as the plan says"), &prepared);
    });
    true
}

/// A request with one record.
#[must_use]
pub fn request(kind: RequestKind, max_tokens: u32, record: RecordKind, text: &str) -> Vec<u8> {
    let mut slot = vec![0; 512];
    let header = RequestHeader { kind, max_tokens, ignore_end: true, ..RequestHeader::default() };
    let mut writer = RequestWriter::new(&mut slot, header).expect("the slot is large");
    writer.record(record, text.as_bytes()).expect("the slot is large");
    let length = writer.length();
    slot.truncate(length);
    slot
}
