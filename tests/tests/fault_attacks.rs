//! An engine that misbehaves can do nothing to the kernel: each attack ends in its exact fault, and the next request is
//! answered by a restarted engine with the model still in memory.

use std::fs;

use barellama::image::PAYLOAD_MAGIC;
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};

/// An attack, the kind of fault and a text of its report.
type Attack = (&'static str, &'static str, &'static str);

/// Boots the attacker and makes it attack. At most seven attacks: the kernel leaves an engine down that faults eight times.
#[track_caller]
fn attack(attacks: &[Attack]) {
    let mut machine = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&artifacts::tiny("q4_0")).boot();
    machine.expect_ready();
    machine.ask("/set step_deadline_ms 3000");
    for (attack, kind, detail) in attacks {
        // A deadline is missed by the whole team; it is reported for core 0.
        let core = attack.rsplit_once(" on ").filter(|_| !kind.ends_with("deadline")).map_or("0", |(_, core)| core);
        machine.send(format!("{attack}\r"));
        machine.expect(&format!("*** engine fault: {kind} on core {core}, "), SHORT);
        let report = machine.expect_ready();
        assert!(report.contains(detail), "{attack}: {detail:?} is not in the report:\n{report}");
        assert!(report.contains("the model stays in memory"), "{attack}:\n{report}");
        let answer = machine.chat("are you well?");
        assert_eq!(answer.text, "fine: are you well?", "after {attack}");
    }
    assert!(!machine.transcript().contains("unnoticed"));
}

#[test]
fn the_kernel_is_byte_for_byte_the_one_that_is_shipped() {
    let [shipped, attacked] = [artifacts::kernel_image(), artifacts::attack_image()].map(|path| {
        let image = fs::read(path).unwrap();
        let payload = image.windows(PAYLOAD_MAGIC.len()).rposition(|window| window == PAYLOAD_MAGIC).unwrap();
        (image[..payload].to_vec(), image[payload..].to_vec())
    });
    assert!(shipped.0 == attacked.0, "the kernels differ");
    assert!(shipped.1 != attacked.1, "the attacker is not in its image");
}

#[test]
fn kernel_memory() {
    attack(&[
        ("read kernel", "read", "(kernel)"),
        ("write kernel", "write", "(kernel)"),
        ("execute kernel", "execute", "(kernel)"),
        ("read kernel on 1", "read", "(kernel)"),
        ("write kernel on 2", "write", "(kernel)"),
        ("execute kernel on 3", "execute", "(kernel)"),
    ]);
}

#[test]
fn memory_that_is_not_there_or_not_writable() {
    attack(&[
        ("read unmapped", "read", "0x8 (unmapped)"),
        ("read device on 1", "read", "(unmapped)"),
        ("write code", "write", "0x400000 (engine)"),
        ("write model", "write", "0x1000000000 (model)"),
        ("write model on 3", "write", "0x1000000000 (model)"),
        ("overflow stack", "write", "(stacks)"),
    ]);
}

#[test]
fn data_is_not_executed() {
    attack(&[
        ("execute arena", "execute", "0x2000000000 (arena)"),
        ("execute arena on 2", "execute", "0x2000000000 (arena)"),
        ("execute rings", "execute", "(rings)"),
        ("execute stack", "execute", "(stacks)"),
    ]);
}

#[test]
fn instructions_and_calls() {
    attack(&[
        ("privileged", "instruction", "(engine)"),
        ("undefined on 1", "instruction", "(engine)"),
        ("unknown call", "unknown-call", "(engine)"),
        ("unknown call on 3", "unknown-call", "(engine)"),
        ("panic on 2", "panic", "gave up"),
    ]);
}

#[test]
fn loops_are_stopped_on_every_core() {
    attack(&[
        ("loop", "step-deadline", "longer than its budget"),
        ("loop on 1", "step-deadline", "longer than its budget"),
        ("loop on 2", "step-deadline", "longer than its budget"),
        ("loop on 3", "step-deadline", "longer than its budget"),
    ]);
}

#[test]
fn a_pointer_into_the_kernel_is_refused() {
    let mut machine = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&artifacts::tiny("q4_0")).boot();
    machine.expect_ready();
    assert_eq!(machine.chat("emit kernel").text, "refused");
}

#[test]
fn an_engine_that_faults_again_and_again_stays_down_until_it_is_restarted() {
    let mut machine = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&artifacts::tiny("q4_0")).boot();
    machine.expect_ready();
    for _ in 0..7 {
        machine.send("panic\r");
        machine.expect("*** engine fault: panic", SHORT);
        machine.expect_ready();
    }
    machine.send("panic\r");
    machine.expect("the engine stays stopped", SHORT);
    machine.expect_prompt(SHORT);
    machine.send("/restart\r");
    machine.expect_ready();
    assert_eq!(machine.chat("hello").text, "fine: hello");
}
