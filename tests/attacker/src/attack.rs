//! The attacks. Each does what the architecture must not let an engine do, or what the kernel must bear.
//!
//! An attack is a line of words: a verb and its arguments, numbers in hexadecimal, e.g. `read ffffff8000200000`. Where the word `id`
//! stands for a number, it is the request's.

use core::arch::asm;

use barellama_abi::layout::{
    ARENA_BASE, BOOT_INFO_ADDRESS, ENGINE_BASE, RINGS_BASE, RINGS_BYTES, STACK_BYTES, STACK_SLOT_BYTES, STACKS_BASE,
};
use barellama_abi::syscall::{CallError, Phase};

use crate::instructions;

/// `ret`
const RETURN_INSTRUCTION: u32 = 0xD65F_03C0;
/// The most arguments of an attack.
const ARGUMENTS_MAX: usize = 6;

/// What came of an attack that did not fault.
#[derive(Clone, Copy)]
pub enum Seen {
    /// Nothing stopped it.
    Unnoticed,
    /// The kernel answered a call.
    Answered(u64),
    /// The kernel refused a call.
    Refused(CallError),
    /// There is no such attack.
    Unknown,
}

/// What an attack may need to know.
#[derive(Clone, Copy)]
pub struct Request {
    /// The request that asked for it.
    pub id: u32,
    /// The core that carries it out.
    pub core: usize,
}

/// Carries out an attack; comes back if nothing stopped it.
pub fn run(line: &str, request: Request) -> Seen {
    let mut words = line.split(' ');
    let verb = words.next().unwrap_or("");
    let mut numbers = [0; ARGUMENTS_MAX];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = if word == "id" { u64::from(request.id) } else { u64::from_str_radix(word, 16).unwrap_or(0) };
    }
    let [address, second, ..] = numbers;
    match verb {
        "read" => read(address),
        "write" => write(address),
        "execute" => jump(address),
        "plant" => plant_and_jump(address),
        "plant-stack" => plant_and_jump(stack_low(request.core)),
        "overflow" => recurse(0),
        "overflow-far" => write(stack_low(request.core) - second.max(16)),
        "creep" => creep(request.id),
        "panic" => give_up(),
        "loop" => spin(),
        "call" => return call(&numbers),
        "flood" => flood(&numbers),
        "flood-log" => flood_log(),
        "flood-emit" => flood_emit(request.id),
        "scribble" => scribble(address, second),
        "scribble-rings" => scribble(RINGS_BASE, RINGS_BYTES),
        "scribble-boot" => scribble(BOOT_INFO_ADDRESS, 64),
        "frames" => fault_with_frames(address, second),
        "rewrite" => crate::race::rewrite(),
        "registers" => crate::state::spoil(address),
        "instruction" => return instructions::run(line.strip_prefix("instruction ").unwrap_or("")),
        _ => return Seen::Unknown,
    }
    Seen::Unnoticed
}

fn read(address: u64) {
    // SAFETY: the load faults, or reads memory that nobody here relies on; the value is dropped. Written as assembly, so
    // that the compiler assumes nothing about the address.
    unsafe { asm!("ldr {value}, [{address}]", value = out(reg) _, address = in(reg) address, options(nostack)) }
}

fn write(address: u64) {
    // SAFETY: the store faults; if it did not, the test fails, and nothing here is relied on any more.
    unsafe { asm!("str xzr, [{address}]", address = in(reg) address, options(nostack)) }
}

fn jump(address: u64) {
    // SAFETY: the jump faults, or runs a `ret` that was planted there; both leave the registers of the caller as the C
    // calling convention has it.
    unsafe { asm!("blr {address}", address = in(reg) address, clobber_abi("C")) }
}

fn plant_and_jump(address: u64) {
    // SAFETY: the address is 4-byte aligned memory that EL0 may write and that this program uses for nothing else.
    unsafe {
        asm!(
            "str {instruction:w}, [{address}]",
            "dsb ish",
            instruction = in(reg) RETURN_INSTRUCTION,
            address = in(reg) address,
            options(nostack),
        );
    }
    jump(address);
}

/// The lowest mapped address of a core's stack, far below what is used of it.
const fn stack_low(core: usize) -> u64 {
    STACKS_BASE + STACK_SLOT_BYTES * (core as u64 + 1) - STACK_BYTES
}

/// Uses the whole stack, frame by frame.
#[inline(never)]
fn recurse(depth: u64) {
    let frame = [depth; 64];
    if depth != u64::MAX {
        recurse(core::hint::black_box(depth + 1));
    }
    core::hint::black_box(&frame);
}

fn spin() {
    // SAFETY: a branch to itself touches nothing.
    unsafe { asm!("2: b 2b", options(nomem, nostack)) }
}

fn call(numbers: &[u64; ARGUMENTS_MAX]) -> Seen {
    let [number, x0, x1, x2, x3, _] = *numbers;
    let (result, _) = barellama_el0::call(number, [x0, x1, x2, x3]);
    CallError::from_register(result).map_or(Seen::Answered(result), Seen::Refused)
}

/// A call without end.
fn flood(numbers: &[u64; ARGUMENTS_MAX]) {
    loop {
        call(numbers);
    }
}

/// Works on, step by step, and never looks at whether it shall stop.
fn creep(id: u32) {
    loop {
        barellama_el0::progress(id, Phase::Prefill, 1, 2);
        for _ in 0..1_000_000 {
            core::hint::spin_loop();
        }
    }
}

fn flood_log() {
    let line = [b'x'; 512];
    loop {
        barellama_el0::log(1, &line);
    }
}

fn flood_emit(id: u32) {
    loop {
        barellama_el0::emit(id, barellama_abi::syscall::EmitKind::Text, b"spam ");
    }
}

/// Overwrites memory that is shared with the kernel.
fn scribble(address: u64, bytes: u64) {
    for offset in (0..bytes).step_by(8) {
        // SAFETY: EL0 may write the range; what it held is not used again before the kernel writes it anew.
        unsafe {
            asm!("str {value}, [{address}]", value = in(reg) u64::MAX, address = in(reg) address + offset, options(nostack))
        }
    }
}

/// Faults with a frame pointer and a frame record of one's own making.
fn fault_with_frames(record: u64, previous: u64) {
    // SAFETY: if the record is memory that EL0 may write it belongs to the arena; the fault that follows ends this program.
    unsafe {
        if (ARENA_BASE..ARENA_BASE + 0x1000).contains(&record) || record == stack_low(0) {
            asm!("stp {previous}, {caller}, [{record}]", previous = in(reg) previous, caller = in(reg) ENGINE_BASE,
                record = in(reg) record, options(nostack));
        }
        asm!("mov x29, {record}", "udf #0", record = in(reg) record, options(noreturn));
    }
}

/// Ends as an engine's panic does.
pub fn give_up() -> ! {
    // SAFETY: the breakpoint goes to the kernel, which does not return here.
    unsafe { asm!("brk #1", options(noreturn)) }
}
