//! An engine that misbehaves on request: the kernel, byte for byte the same, has to hold.
//!
//! A message such as `read kernel` makes core 0 do it; `read kernel on 2` makes core 2 do it, while core 0 waits as an
//! engine does. Any other message is answered with `fine: ` and the message.
#![no_std]
#![no_main]

mod attack;
mod calls;
mod start;
mod team;

use barellama_abi::outcome::Outcome;
use barellama_abi::request::{RecordKind, Request};
use barellama_abi::syscall::EmitKind;

use crate::attack::Attack;

/// Core 0: seals the model, then serves requests for ever.
fn serve() -> ! {
    if !calls::boot_info().model_is_sealed {
        calls::seal(16);
    }
    loop {
        let bytes = calls::wait_for_work();
        let Some(request) = Request::parse(bytes) else { continue };
        let id = request.header().id;
        let message = request.records().filter(|record| record.kind == RecordKind::User).last();
        let text = message.and_then(|record| core::str::from_utf8(record.bytes).ok()).unwrap_or("");
        answer(id, text);
        calls::finish(id, &Outcome { generated_tokens: 1, ..Outcome::default() });
    }
}

fn answer(id: u32, text: &str) {
    let (name, core) = split_core(text);
    match Attack::from_name(name) {
        Some(attack) => {
            team::run_on(core, attack);
            calls::emit(id, EmitKind::Text, b"the attack went unnoticed");
        }
        None if name == "emit kernel" => {
            let is_refused = calls::emit_address(id, attack::KERNEL_ADDRESS, 16);
            let result: &[u8] = if is_refused { b"refused" } else { b"accepted" };
            calls::emit(id, EmitKind::Text, result);
        }
        None => {
            calls::emit(id, EmitKind::Text, b"fine: ");
            calls::emit(id, EmitKind::Text, text.as_bytes());
        }
    }
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
