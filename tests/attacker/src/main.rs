//! An engine that misbehaves on request: the kernel, byte for byte the same, has to hold.
//!
//! A message `attack read 8` makes core 0 do it; `attack read 8 on 2` makes core 2 do it, while core 0 waits as an engine does. Any
//! other message is answered with `fine: ` and the message.
#![no_std]
#![no_main]

mod attack;
mod instructions;
mod preparation;
mod race;
mod state;
mod team;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request};
use barellama_abi::syscall::{Call, EmitKind, WAIT_BLOCK};

use crate::attack::Seen;
use crate::state::{State, Text};

const CORES: usize = 4;

barellama_el0::entry!(enter);

/// Every core comes here with its number.
extern "C" fn enter(core: usize) -> ! {
    team::note_state(core, State::read());
    if core == 0 { serve() } else { team::follow(core) }
}

/// Core 0: seals the model, then serves requests for ever.
fn serve() -> ! {
    preparation::begin();
    if !barellama_el0::boot_info().model_is_sealed {
        preparation::seal();
    }
    loop {
        let Ok((slot, length)) = barellama_el0::wait_for_work(WAIT_BLOCK) else { continue };
        // SAFETY: the kernel gave the slot; the request is finished at the end of this round.
        let bytes = unsafe { barellama_el0::request(slot, length) };
        let Some(request) = Request::parse(bytes) else { continue };
        let id = request.header().id;
        let message = request.records().filter(|record| record.kind == RecordKind::User).last();
        let text = message.and_then(|record| core::str::from_utf8(record.bytes).ok()).unwrap_or("");
        let outcome = answer(id, text);
        barellama_el0::finish(id, &outcome);
    }
}

fn answer(id: u32, text: &str) -> Outcome {
    match text.strip_prefix("attack ") {
        Some(line) => return make_attack(id, line),
        None => {
            barellama_el0::emit(id, EmitKind::Text, b"fine: ");
            barellama_el0::emit(id, EmitKind::Text, text.as_bytes());
        }
    }
    Outcome { generated_tokens: 1, ..Outcome::default() }
}

/// An attack that needs more than one core or the request's end, or one of [`attack::run`].
fn make_attack(id: u32, line: &str) -> Outcome {
    let (attack, core) = split_core(line);
    match attack {
        "race" => {
            team::start_on(1, "rewrite", id);
            barellama_el0::emit(id, EmitKind::Text, race::emit(id).bytes());
        }
        "escape" => emit_escapes(id),
        "absurd outcome" => return ABSURD,
        "unknown outcome" => finish_badly(id),
        "finish twice" => {
            barellama_el0::finish(id, &Outcome::default());
            barellama_el0::emit(id, EmitKind::Text, b"after the end");
        }
        "states" => {
            for core in 0..CORES {
                barellama_el0::emit(id, EmitKind::Text, Text::of(format_args!("{} ", team::state(core))).bytes());
            }
        }
        "cost" => barellama_el0::emit(id, EmitKind::Text, cost().bytes()),
        _ if attack.starts_with("everywhere ") => {
            let each = attack.strip_prefix("everywhere ").unwrap_or("");
            (1..CORES).for_each(|core| team::start_on(core, each, id));
            team::run_on(0, each, id);
        }
        _ if attack.starts_with("start ") => preparation::fault_at_start(attack.strip_prefix("start ").unwrap_or("")),
        _ if attack.starts_with("leave ") => {
            team::start_on(core, attack.strip_prefix("leave ").unwrap_or(""), id);
            barellama_el0::emit(id, EmitKind::Text, b"left");
        }
        _ => {
            let text = match team::run_on(core, attack, id) {
                Seen::Unnoticed => Text::of(format_args!("nothing stopped it")),
                Seen::Answered(value) => Text::of(format_args!("answered {value:x}")),
                Seen::Refused(error) => Text::of(format_args!("refused {error:?}")),
                Seen::Unknown => Text::of(format_args!("no such attack")),
            };
            barellama_el0::emit(id, EmitKind::Text, text.bytes());
        }
    }
    Outcome { generated_tokens: 1, ..Outcome::default() }
}

/// Numbers that no arithmetic of the kernel may stumble over.
const ABSURD: Outcome = Outcome {
    stop_reason: StopReason::Complete,
    prompt_tokens: 0,
    reused_tokens: u32::MAX,
    generated_tokens: u32::MAX,
    context_used_tokens: u32::MAX,
    context_tokens: 1,
    prompt_ns: 1,
    decode_ns: 1,
    decode_passes: 1,
    drafted_tokens: 0,
    accepted_tokens: u32::MAX,
    decode_bytes: u64::MAX,
    decode_instructions: u64::MAX,
};

/// What a terminal would act on, as every kind of output.
fn emit_escapes(id: u32) {
    for kind in [EmitKind::Text, EmitKind::Json, EmitKind::Report, EmitKind::Error] {
        barellama_el0::emit(id, kind, b"\x1B]52;c;c3RvbGVu\x07\x1B[2J\x00\x08\xC2\x9B2Jend\r\n");
    }
}

/// An end whose stop reason does not exist, then one at an address that is none of ours.
fn finish_badly(id: u32) {
    let mut bytes = Outcome::default().to_bytes();
    bytes[0] = 0xEE;
    for address in [bytes.as_ptr() as u64, u64::MAX - 8, 0xFFFF_FF80_0020_0000] {
        let (result, _) = barellama_el0::call(Call::Finish as u64, [u64::from(id), address, 0, 0]);
        let error = barellama_abi::syscall::CallError::from_register(result);
        barellama_el0::emit(id, EmitKind::Text, Text::of(format_args!("{error:?} ")).bytes());
    }
}

/// Nanoseconds of 1000 calls, and of a computation of a million rounds, for the benchmarks.
fn cost() -> Text {
    const CALLS: u64 = 1000;
    const ROUNDS: u64 = 400_000_000;
    let clock = || barellama_el0::clock().0;
    let began = clock();
    for _ in 1..CALLS {
        clock();
    }
    let call_ns = (clock() - began) / CALLS;
    let began = clock();
    // SAFETY: counts a register down.
    unsafe {
        core::arch::asm!("2: subs {n}, {n}, #1", "b.ne 2b", n = inout(reg) ROUNDS => _, options(nomem, nostack));
    }
    let loop_ns = clock() - began - call_ns;
    Text::of(format_args!("call {call_ns} ns, loop {loop_ns} ns of {} instructions", 2 * ROUNDS))
}

/// `attack on 2` as its parts; core 0 if none is given.
fn split_core(text: &str) -> (&str, usize) {
    let split = text.rsplit_once(" on ").and_then(|(name, core)| Some((name, core.parse().ok()?)));
    split.unwrap_or((text, 0))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    attack::give_up()
}
