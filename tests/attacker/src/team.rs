//! The other cores: they sleep until core 0 has an attack for one of them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::attack::{self, Request, Seen};
use crate::state::State;

const CORES_MAX: usize = 4;
const IDLE: u32 = 0;
const ORDERED: u32 = 1;
const LINE_BYTES: usize = 120;

/// What a core shall do.
struct Order {
    word: AtomicU32,
    id: AtomicU32,
    line: UnsafeCell<([u8; LINE_BYTES], usize)>,
    seen: UnsafeCell<Seen>,
    state: [AtomicU64; 5],
}

// SAFETY: line and result are written by the side that the word says has them: core 0 while it is IDLE, the other core after that.
unsafe impl Sync for Order {}

static ORDERS: [Order; CORES_MAX] = [const {
    Order {
        word: AtomicU32::new(IDLE),
        id: AtomicU32::new(0),
        line: UnsafeCell::new(([0; LINE_BYTES], 0)),
        seen: UnsafeCell::new(Seen::Unnoticed),
        state: [const { AtomicU64::new(0) }; 5],
    }
}; CORES_MAX];

/// Gives a core an attack, without waiting for what comes of it.
pub fn start_on(core: usize, line: &str, id: u32) {
    let order = &ORDERS[core % CORES_MAX];
    // SAFETY: the word is IDLE, so that the other core does not look.
    let (bytes, length) = unsafe { &mut *order.line.get() };
    *length = line.len().min(LINE_BYTES);
    bytes[..*length].copy_from_slice(&line.as_bytes()[..*length]);
    order.id.store(id, Ordering::Relaxed);
    order.word.store(ORDERED, Ordering::Release);
    barellama_el0::wake(1 << core);
}

/// Makes a core attack, and waits until it came back from that.
pub fn run_on(core: usize, line: &str, id: u32) -> Seen {
    if core == 0 {
        return attack::run(line, Request { id, core });
    }
    start_on(core, line, id);
    let order = &ORDERS[core % CORES_MAX];
    while order.word.load(Ordering::Acquire) != IDLE {
        barellama_el0::park(&order.word, ORDERED);
    }
    // SAFETY: the word is IDLE: the other core is done with it.
    unsafe { *order.seen.get() }
}

/// Notes the registers with which a core entered.
pub fn note_state(core: usize, state: State) {
    for (place, value) in ORDERS[core % CORES_MAX].state.iter().zip(state.values) {
        place.store(value, Ordering::Release);
    }
}

/// The registers with which a core entered.
pub fn state(core: usize) -> State {
    State { values: core::array::from_fn(|index| ORDERS[core % CORES_MAX].state[index].load(Ordering::Acquire)) }
}

/// What the other cores do for ever.
pub fn follow(core: usize) -> ! {
    let order = &ORDERS[core % CORES_MAX];
    loop {
        if order.word.load(Ordering::Acquire) == IDLE {
            barellama_el0::park(&order.word, IDLE);
            continue;
        }
        // SAFETY: the word is ORDERED: core 0 waits.
        let (bytes, length) = unsafe { &*order.line.get() };
        let line = core::str::from_utf8(&bytes[..*length]).unwrap_or("");
        let seen = attack::run(line, Request { id: order.id.load(Ordering::Relaxed), core });
        // SAFETY: as above.
        unsafe { *order.seen.get() = seen };
        order.word.store(IDLE, Ordering::Release);
        barellama_el0::wake(1);
    }
}
