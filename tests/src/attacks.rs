//! The attacks on the kernel and what has to come of each: the table behind `tests/fault_attacks.rs` and behind the security table of
//! the README, which that test writes to `.work/security.md`.

use Expected::{Answer, Fault, Harmless};

/// What has to come of an attack.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// A fault of this kind, with this text in its report.
    Fault(&'static str, &'static str),
    /// The kernel refuses, and this is what the engine says that it got.
    Answer(&'static str),
    /// The kernel goes on, and the answer holds this text: what it means, for people.
    Harmless(&'static str, &'static str),
}

/// An attack.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// For people.
    pub what: &'static str,
    /// The attacker's order, without `attack `. `{name}` is the address of that row of `/mem`.
    pub line: &'static str,
    /// What has to come of it.
    pub expected: Expected,
}

const fn attack(what: &'static str, line: &'static str, expected: Expected) -> Attack {
    Attack { what, line, expected }
}

/// Addresses that EL0 may not reach, and memory that it may reach in another way.
pub const MEMORY: &[Attack] = &[
    attack("read kernel code", "read {code}", Fault("read", "(kernel)")),
    attack("write kernel code", "write {code} on 1", Fault("write", "(kernel)")),
    attack("execute kernel code", "execute {code} on 2", Fault("execute", "(kernel)")),
    attack("read kernel constants", "read {constants} on 3", Fault("read", "(kernel)")),
    attack("write kernel constants", "write {constants}", Fault("write", "(kernel)")),
    attack("read kernel data", "read {data} on 1", Fault("read", "(kernel)")),
    attack("write kernel data", "write {data} on 2", Fault("write", "(kernel)")),
    attack("execute kernel constants", "execute {constants} on 1", Fault("execute", "(kernel)")),
    attack("execute kernel data", "execute {data} on 3", Fault("execute", "(kernel)")),
    attack("read the engine's image in the kernel", "read {payload}", Fault("read", "(kernel)")),
    attack("write the engine's image in the kernel", "write {payload} on 1", Fault("write", "(kernel)")),
    attack("read zeroed data and tables", "read {zeroed data, tables}", Fault("read", "(kernel)")),
    attack("write zeroed data and tables", "write {zeroed data, tables} on 2", Fault("write", "(kernel)")),
    attack("write the last translation table", "write {tables end} on 3", Fault("write", "(kernel)")),
    attack("execute a translation table", "execute {tables last page} on 1", Fault("execute", "(kernel)")),
    attack("execute a kernel stack", "execute {stacks} on 2", Fault("execute", "(kernel)")),
    attack("read a kernel stack", "read {stacks} on 1", Fault("read", "(kernel)")),
    attack("write a kernel stack", "write {stacks}", Fault("write", "(kernel)")),
    attack("write an emergency stack", "write {emergency stacks} on 2", Fault("write", "(kernel)")),
    attack("read the kernel's window", "read ffffff8020000000", Fault("read", "(kernel)")),
    attack("read a device at the kernel's address", "read ffffffc0fe201000", Fault("read", "(kernel)")),
    attack("write a device at the kernel's address", "write ffffffc0fe100020 on 3", Fault("write", "(kernel)")),
    attack("execute a device at the kernel's address", "execute ffffffc0fe201000 on 1", Fault("execute", "(kernel)")),
    attack("read a device at its physical address", "read fe201000 on 1", Fault("read", "(unmapped)")),
    attack("read address 0", "read 0 on 2", Fault("read", "0x0 (unmapped)")),
    attack("execute address 0", "execute 0 on 3", Fault("execute", "0x0 (unmapped)")),
    attack("read behind the lower half", "read 8000000000", Fault("read", "(unmapped)")),
    attack("read a non-canonical address", "read 100000000000000 on 1", Fault("read", "(unmapped)")),
    attack("write a non-canonical address", "write 7fffffffffffff8 on 2", Fault("write", "(unmapped)")),
    attack("execute a non-canonical address", "execute 8000000000000000 on 3", Fault("execute", "(unmapped)")),
    attack("read the last address", "read fffffffffffffff8", Fault("read", "(kernel)")),
    attack("execute a misaligned address", "execute 400002 on 1", Fault("alignment", "(engine)")),
    attack("write own code", "write 400000 on 2", Fault("write", "0x400000 (engine)")),
    attack("write own constants", "write {engine constants} on 3", Fault("write", "(engine)")),
    attack("execute own constants", "execute {engine constants}", Fault("execute", "(engine)")),
    attack("write the model", "write 1000000000", Fault("write", "0x1000000000 (model)")),
    attack("write the model from another core", "write 1000000000 on 3", Fault("write", "0x1000000000 (model)")),
    attack("write the sealed descriptor", "write {descriptor} on 1", Fault("write", "(model)")),
    attack("execute the model", "execute 1000000000 on 2", Fault("execute", "(model)")),
    attack("write an instruction to the arena, execute it", "plant 2000000000", Fault("execute", "(arena)")),
    attack("the same on another core", "plant 2000000000 on 2", Fault("execute", "(arena)")),
    attack("the same in the rings", "plant 80010000 on 3", Fault("execute", "(rings)")),
    attack("the same on the stack", "plant-stack on 1", Fault("execute", "(stacks)")),
    attack("use up the stack", "overflow", Fault("write", "(stacks)")),
    attack("use up the stack of another core", "overflow on 3", Fault("write", "(stacks)")),
    attack("write far below the stack", "overflow-far 8000 on 2", Fault("write", "(stacks)")),
    attack("read behind the rings", "read 80110000 on 1", Fault("read", "(unmapped)")),
    attack("fault with a frame pointer into the kernel", "frames {stacks} 0", Fault("instruction", "(engine)")),
    attack(
        "fault with a frame record that points to itself",
        "frames 400d0000 400d0000",
        Fault("instruction", "(engine)"),
    ),
    attack("fault with a frame record in the arena", "frames 2000000000 400d0000", Fault("instruction", "(engine)")),
    attack("fault with a misaligned frame pointer", "frames 400d0003 0", Fault("instruction", "(engine)")),
];

/// System calls with arguments that must be refused, and call numbers that do not exist.
pub const CALLS: &[Attack] = &[
    attack("call number 9", "call 9", Fault("unknown-call", "(engine)")),
    attack("call number -1", "call ffffffffffffffff on 2", Fault("unknown-call", "(engine)")),
    attack("call number 2^32", "call 100000000 on 3", Fault("unknown-call", "(engine)")),
    attack("give up (brk)", "panic on 2", Fault("panic", "gave up")),
    attack("emit from the kernel", "call 1 id 0 ffffff8000200000 10", Answer("refused BadAddress")),
    attack("emit from unmapped memory", "call 1 id 0 8 10", Answer("refused BadAddress")),
    attack("emit from a device", "call 1 id 0 fe201000 10", Answer("refused BadAddress")),
    attack("emit across the end of the stack", "call 1 id 0 400ffff8 10", Answer("refused BadAddress")),
    attack("emit across the end of the lower half", "call 1 id 0 7ffffffff8 10", Answer("refused BadAddress")),
    attack("emit across the end of the rings", "call 1 id 0 8010fffc 8", Answer("refused BadAddress")),
    attack(
        "emit from the header of the rings",
        "call 1 id 0 80001000 4",
        Harmless("answered 0", "copied once like any text; its control characters reach no terminal"),
    ),
    attack(
        "park on a word in the header of the rings",
        "call 7 80001000 1 on 1",
        Harmless("answered 0", "looked at once, as any word"),
    ),
    attack("emit with a length that wraps", "call 1 id 0 2000000000 fffffffffffffff0", Answer("refused BadAddress")),
    attack("emit more than the limit", "call 1 id 0 2000000000 1001", Answer("refused BadArgument")),
    attack("emit what is no UTF-8", "call 1 id 0 1000000000 1000", Answer("refused BadArgument")),
    attack("emit for another request", "call 1 7777 0 2000100000 4", Answer("refused UnknownRequest")),
    attack("emit for request 2^32 + id", "call 1 100000001 0 2000100000 4", Answer("refused UnknownRequest")),
    attack("emit as the preparation", "call 1 0 2 400000 0", Answer("refused NotAllowed")),
    attack("emit an unknown kind", "call 1 id 4 400000 4", Answer("refused BadArgument")),
    attack("emit from another core", "call 1 id 0 400000 4 on 1", Answer("refused NotAllowed")),
    attack("log from the kernel", "call 2 1 ffffff8000200000 10 on 2", Answer("refused BadAddress")),
    attack("log at level 0", "call 2 0 400000 4", Answer("refused BadArgument")),
    attack("progress of an unknown phase", "call 4 id 9 1 2", Answer("refused BadArgument")),
    attack(
        "progress of numbers that overflow",
        "call 4 id 1 ffffffffffffffff 1",
        Harmless("answered 0", "the numbers are only shown"),
    ),
    attack("finish with an outcome in the kernel", "call 5 id ffffff8000200000", Answer("refused BadAddress")),
    attack("finish as the preparation", "call 5 0 2000200000", Answer("refused NotAllowed")),
    attack("seal again", "call 6 10", Answer("refused NotAllowed")),
    attack("seal from another core", "call 6 10 on 3", Answer("refused NotAllowed")),
    attack("wait for work on another core", "call 0 0 on 1", Answer("refused NotAllowed")),
    attack("wait for work in an unknown mode", "call 0 2", Answer("refused BadArgument")),
    attack("park on a word of the kernel", "call 7 ffffff8000200000 0", Answer("refused BadAddress")),
    attack(
        "park on a word of the kernel, another core",
        "call 7 ffffff8000200000 0 on 3",
        Answer("refused BadAddress"),
    ),
    attack("park on a misaligned word", "call 7 2000000002 0 on 2", Answer("refused BadArgument")),
    attack("park on a word of 64 bits", "call 7 2000000000 100000000", Answer("refused BadArgument")),
    attack("wake cores that do not exist", "call 8 fffffff0", Harmless("answered 0", "nobody is woken")),
    attack("wake a mask of 64 bits", "call 8 100000000", Answer("refused BadArgument")),
    attack(
        "an outcome of absurd numbers",
        "absurd outcome",
        Harmless("stop=complete", "the request ends; no arithmetic overflows"),
    ),
    attack(
        "an outcome that does not exist",
        "unknown outcome",
        Harmless(
            "Some(BadArgument) Some(BadAddress) Some(BadAddress)",
            "refused BadArgument, at addresses of the kernel BadAddress; the request goes on",
        ),
    ),
    attack(
        "finish twice, emit after the end",
        "finish twice",
        Harmless("stop=complete", "the request ends once; nothing is shown behind its end"),
    ),
    attack(
        "overwrite the rings and their headers",
        "scribble-rings",
        Harmless("nothing stopped it", "the kernel keeps its own indices and reads nothing there"),
    ),
    attack(
        "overwrite the boot information",
        "scribble-boot on 2",
        Harmless("nothing stopped it", "the kernel reads nothing there, and writes it anew at a restart"),
    ),
    attack(
        "terminal escapes as every kind of output",
        "escape",
        Harmless("2Jend", "no control character reaches the terminal"),
    ),
    attack(
        "text that another core changes during the copy",
        "race",
        Harmless("other 0, all 400", "each copy is taken or refused as a whole"),
    ),
];

/// Floods, loops and registers: what takes time rather than memory.
pub const RESOURCES: &[Attack] = &[
    attack("flood of clock calls", "flood 3", Fault("call-budget", "More system calls")),
    attack("flood of clock calls on another core", "flood 3 on 2", Fault("call-budget", "More system calls")),
    attack("flood of log lines", "flood-log", Fault("call-budget", "More system calls")),
    attack("flood of log lines on another core", "flood-log on 1", Fault("call-budget", "More system calls")),
    attack("flood of log lines on all cores", "everywhere flood-log", Fault("call-budget", "More system calls")),
    attack("flood of refused calls", "flood 7 1 on 3", Fault("call-budget", "More system calls")),
    attack("flood of wake-ups of core 0", "flood 8 1 on 1", Fault("step-deadline", "longer than its budget")),
    attack("flood of progress reports", "flood 4 id 1 1 2", Fault("call-budget", "More system calls")),
    attack("loop", "loop", Fault("step-deadline", "core 0 running")),
    attack("loop on core 1", "loop on 1", Fault("step-deadline", "core 1 running")),
    attack("loop on core 2", "loop on 2", Fault("step-deadline", "core 2 running")),
    attack("loop on core 3", "loop on 3", Fault("step-deadline", "core 3 running")),
    attack("loop on all cores", "everywhere loop", Fault("step-deadline", "core 3 running")),
    attack(
        "progress for ever, whatever the request's deadline",
        "creep",
        Fault("request-deadline", "outran its budget"),
    ),
    attack(
        "a core that never parks again",
        "leave loop on 2",
        Harmless("left", "its timer takes it out each 50 ms; the others go on"),
    ),
    attack("faults on all cores at once", "everywhere panic", Fault("panic", "gave up")),
    attack(
        "spoil FPCR, FPSR, V31 and TPIDR, then fault",
        "registers ffffffffffffffff",
        Fault("instruction", "(engine)"),
    ),
    attack(
        "what the restart left of them",
        "states",
        Harmless(
            "FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0",
            "all of them 0 on each core",
        ),
    ),
    attack("the same on another core", "registers ffffffffffffffff on 2", Fault("instruction", "(engine)")),
    attack(
        "what the restart left of them",
        "states",
        Harmless(
            "FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0 FPCR 0 FPSR 0 TPIDR 0 V31 0",
            "all of them 0 on each core",
        ),
    ),
    attack("fault, and again in the next three starts", "start 3", Fault("panic", "gave up")),
];

/// The attacker's instructions, as the file of its `instructions!` has them.
///
/// # Panics
/// If the file has another form.
#[must_use]
pub fn instructions() -> Vec<&'static str> {
    const FILE: &str = include_str!("../attacker/instructions.in");
    let names = FILE.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let names: Vec<_> = names.collect();
    assert!(names.len() > 100, "the file of instructions has another form");
    names
}

/// The kind of fault that an instruction ends in.
#[must_use]
pub fn instruction_fault(instruction: &str) -> &'static str {
    match instruction {
        "svc #1" | "svc #0xffff" => "unknown-call",
        "brk #0" => "panic",
        _ => "instruction",
    }
}
