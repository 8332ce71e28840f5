//! A fault of the kernel itself: it is reported, the log survives the reset, and the next run tells how the last one ended.
//!
//! Nothing in the kernel faults on request; a debugger changes its registers or its memory from outside.

use barellama_tests::debugger::Debugger;
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};
use tempfile::TempDir;

/// A machine with a debugger's socket.
struct Patient {
    machine: Machine,
    directory: TempDir,
}

impl Patient {
    #[track_caller]
    fn boot() -> Self {
        let directory = TempDir::new().unwrap();
        let setup = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&artifacts::tiny("q4_0"));
        let mut machine = setup.debugger_socket(&directory.path().join("gdb")).boot();
        machine.expect_ready();
        Self { machine, directory }
    }

    fn debugger(&self) -> Debugger {
        Debugger::attach(&self.directory.path().join("gdb"))
    }

    /// The board is reset and comes up again; what the new run says of the old one.
    #[track_caller]
    fn expect_reset(&mut self) -> String {
        self.machine.expect("the board is reset", SHORT);
        self.machine.expect("Type a message", SHORT);
        let told = self.machine.expect_ready();
        assert_eq!(self.machine.chat("are you well?").text, "fine: are you well?");
        told
    }

    /// First address of the kernel's stacks.
    #[track_caller]
    fn stacks(&mut self) -> u64 {
        let map = self.machine.ask("/mem");
        let row = map.lines().find(|line| line.starts_with("stacks ")).unwrap();
        let address = row.split_whitespace().find_map(|word| word.strip_prefix("0x")).unwrap();
        u64::from_str_radix(&address.replace('_', ""), 16).unwrap()
    }
}

#[test]
fn a_wild_jump_is_reported_and_told_after_the_reset() {
    let mut patient = Patient::boot();
    patient.machine.chat("remember this line of the log");
    patient.debugger().on_core(0).set_program_counter(8).detach();
    patient.machine.expect("kernel fault on core 0: instruction abort of the kernel, translation fault", SHORT);
    patient.machine.expect("FAR 0000000000000008", SHORT);
    let told = patient.expect_reset();
    assert!(told.contains("The last run ended with a kernel fault on core 0: instruction abort"), "{told}");
    let log = patient.machine.ask("/log");
    assert!(log.contains("last run:") && log.contains("FAR 0000000000000008"), "{log}");
    assert!(
        log.lines().filter(|line| line.contains("kernel entry to prompt")).count() >= 2,
        "the old log is kept:\n{log}"
    );
}

#[test]
fn another_core_is_named() {
    let mut patient = Patient::boot();
    patient.debugger().on_core(2).set_program_counter(8).detach();
    patient.machine.expect("kernel fault on core 2: instruction abort of the kernel", SHORT);
    patient.expect_reset();
}

#[test]
fn a_kernel_stack_that_overflows_is_reported_on_the_emergency_stack() {
    let mut patient = Patient::boot();
    let guard = patient.stacks() + 0x800;
    patient.debugger().on_core(0).set_stack_pointer(guard).detach();
    patient.machine.expect("kernel fault on core 0: data abort of the kernel, translation fault", SHORT);
    patient.machine.expect("the kernel's stack of this core is used up", SHORT);
    patient.expect_reset();
}

#[test]
fn a_changed_byte_of_the_kernel_is_noticed_at_the_next_fault_of_the_engine() {
    let mut patient = Patient::boot();
    // In the padding behind the boot code's strings or the code itself: one bit, then back to where it was by the reset.
    let address = 0xFFFF_FF80_0020_0FF8;
    let mut debugger = patient.debugger().on_core(0);
    let value = debugger.read(address);
    debugger.write(address, value ^ 1).detach();
    assert!(patient.machine.ask("/status").contains("CHANGED: code"));
    patient.machine.send("attack read 0\r");
    patient.machine.expect("kernel panic on core 0: the kernel's code changed while the engine ran", SHORT);
    patient.machine.expect("the board is reset", SHORT);
    let told = patient.machine.expect_ready();
    assert!(told.contains("The last run ended with a kernel panic on core 0"), "{told}");
}

#[test]
fn the_third_fault_in_a_row_stops_the_board() {
    let mut patient = Patient::boot();
    for _ in 0..2 {
        patient.debugger().on_core(0).set_program_counter(8).detach();
        patient.expect_reset();
    }
    patient.debugger().on_core(0).set_program_counter(8).detach();
    patient.machine.expect("third fault in a row: the board stops", SHORT);
    assert_eq!(patient.machine.expect_exit(SHORT).code(), Some(101));
}
