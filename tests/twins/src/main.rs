//! An engine that compares vector kernels with their scalar twins: for tests, on the machine that the kernels are for.
//!
//! A message such as `q4_0` names a weight format; the answer says how many outputs were the same, or what differs.
#![no_std]
#![no_main]

mod attention;
mod compare;
mod halves;
mod random;
mod search;

use core::alloc::{GlobalAlloc, Layout};
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::AtomicU32;

use barellama_abi::outcome::Outcome;
use barellama_abi::request::{RecordKind, Request};
use barellama_abi::syscall::{EmitKind, WAIT_BLOCK};
use barellama_engine::kernels::{GroupFormat, Interleaving, WeightFormat};

use crate::attention::Tables;
use crate::compare::{Buffers, Difference};

barellama_el0::entry!(enter);

/// Every core comes here with its number; all but core 0 have nothing to do.
extern "C" fn enter(core: usize) -> ! {
    if core != 0 {
        sleep_for_ever();
    }
    if !barellama_el0::boot_info().model_is_sealed {
        // The length does not matter; after a refusal no request comes.
        let _ = barellama_el0::seal(16);
    }
    // SAFETY: core 0 comes here once, and nothing else names the buffers.
    let Everything { buffers, tables } = unsafe { &mut *EVERYTHING.0.get() };
    loop {
        let Ok((slot, length)) = barellama_el0::wait_for_work(WAIT_BLOCK) else { continue };
        // SAFETY: the kernel gave the slot; the request is finished at the end of this round.
        let Some(request) = Request::parse(unsafe { barellama_el0::request(slot, length) }) else { continue };
        let id = request.header().id;
        let message = request.records().filter(|record| record.kind == RecordKind::User).last();
        let name = message.and_then(|record| core::str::from_utf8(record.bytes).ok()).unwrap_or("");
        answer(buffers, tables, &mut Answer { id }, name);
        barellama_el0::finish(id, &Outcome { generated_tokens: 1, ..Outcome::default() });
    }
}

/// The text of the answer to a request.
struct Answer {
    id: u32,
}

impl fmt::Write for Answer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        barellama_el0::emit(self.id, EmitKind::Text, text.as_bytes());
        Ok(())
    }
}

/// Parks on a word that never changes.
fn sleep_for_ever() -> ! {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    loop {
        barellama_el0::park(&NEVER, 0);
    }
}

fn answer(buffers: &mut Buffers, tables: &mut Tables, answer: &mut Answer, name: &str) {
    if name == "attention" {
        // Writing an answer cannot fail.
        let _ = match tables.compare() {
            Ok(same) => write!(answer, "{same} numbers are the same"),
            Err(what) => write!(answer, "{what} differ"),
        };
        return;
    }
    if name == "f16" {
        // Writing an answer cannot fail.
        let _ = match halves::compare() {
            Ok(same) => write!(answer, "{same} outputs are the same"),
            Err(row) => write!(answer, "products differ in row {row}"),
        };
        return;
    }
    if name == "search" {
        // Writing an answer cannot fail.
        let _ = match search::compare() {
            Ok(same) => write!(answer, "{same} searches are the same"),
            Err(round) => write!(answer, "searches differ in round {round}"),
        };
        return;
    }
    let format = WeightFormat::ALL.into_iter().find(|format| format.tensor_type().name() == name);
    // Writing an answer cannot fail.
    let _ = match format.map(|format| compare(buffers, format)) {
        Some(Ok((orders, same))) => write!(answer, "{orders} orders: {same} outputs are the same"),
        Some(Err(difference)) => write!(answer, "{difference}"),
        None => write!(answer, "there are no kernels for {name}"),
    };
}

/// Compares the kernels of a format in every order that this processor has the instructions for: how many orders and outputs.
fn compare(buffers: &mut Buffers, weights: WeightFormat) -> Result<(usize, usize), Difference> {
    let best = Interleaving::for_processor(barellama_el0::boot_info().id_aa64isar0_el1);
    let orders = if best == Interleaving::Quads { &Interleaving::ALL[..] } else { &[Interleaving::Rows] };
    let mut same = 0;
    for &order in orders {
        same += buffers.compare(GroupFormat { weights, order })?;
    }
    Ok((orders.len(), same))
}

/// What is compared, in one place.
struct Everything {
    buffers: Buffers,
    tables: Tables,
}

/// The buffers, of core 0 alone.
struct Shared(core::cell::UnsafeCell<Everything>);

// SAFETY: only core 0 uses the buffers.
unsafe impl Sync for Shared {}

static EVERYTHING: Shared =
    Shared(core::cell::UnsafeCell::new(Everything { buffers: Buffers::new(), tables: Tables::new() }));

/// The engine's library wants a heap; the kernels do not use it.
struct NoHeap;

// SAFETY: no memory is handed out.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the breakpoint goes to the kernel, which does not return here.
    unsafe { asm!("brk #1", options(noreturn)) }
}
