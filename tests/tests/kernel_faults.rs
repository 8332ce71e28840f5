//! A fault of the kernel itself: it is reported, the log survives the reset, and the next run tells how the last one ended.
//!
//! Nothing in the kernel faults on request; a debugger changes its registers or its memory from outside.

use std::fs;
use std::time::{Duration, Instant};

use barellama_tests::debugger::Debugger;
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};
use tempfile::TempDir;

/// Where the kernel's image, and its code in front, is linked to.
const KERNEL_BASE: u64 = 0xFFFF_FF80_0020_0000;
/// Code that runs only when the kernel starts, and what a test puts there.
const SPIN: u64 = KERNEL_BASE + 0x40;
const BRANCH_TO_ITSELF: u32 = 0x1400_0000;
const WAIT_FOR_INTERRUPT: u32 = 0xD503_207F;
const ALL: [usize; 4] = [0, 1, 2, 3];
/// First address of the model.
const MODEL_BASE: u64 = 0x10_0000_0000;

/// Where a core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the engine.
    Engine,
    /// In the kernel, asleep: with nothing in its hands that another core waits for.
    Sleep,
    /// Elsewhere in the kernel.
    Kernel,
}

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
        let setup = setup.monitor_socket(&directory.path().join("monitor"));
        let mut machine = setup.debugger_socket(&directory.path().join("gdb")).boot();
        machine.expect_ready();
        Self { machine, directory }
    }

    fn debugger(&self) -> Debugger {
        Debugger::attach(&self.directory.path().join("gdb"))
    }

    /// Stops the machine at a moment at which the cores are where they are wanted.
    #[track_caller]
    fn stop_when(&self, is_wanted: impl Fn([At; 4]) -> bool) -> Debugger {
        let deadline = Instant::now() + SHORT;
        loop {
            let mut debugger = self.debugger();
            let cores = ALL.map(|core| debugger.choose(core).whereabouts());
            if is_wanted(cores) {
                return debugger;
            }
            debugger.detach();
            assert!(Instant::now() < deadline, "the cores stay at {cores:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The debugger's hand on a core that sleeps in the kernel.
    #[track_caller]
    fn on_sleeping_core(&self, core: usize) -> Debugger {
        self.stop_when(|cores| cores[core] == At::Sleep).on_core(core)
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

    /// First address of a row of `/mem`.
    #[track_caller]
    fn address_of(&mut self, name: &str) -> u64 {
        let map = self.machine.ask("/mem");
        let row = map.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        let address = row.split_whitespace().find_map(|word| word.strip_prefix("0x")).unwrap();
        u64::from_str_radix(&address.replace('_', ""), 16).unwrap()
    }
}

trait Whereabouts {
    /// Where the chosen core is.
    fn whereabouts(&mut self) -> At;
}

impl Whereabouts for Debugger {
    fn whereabouts(&mut self) -> At {
        let place = self.program_counter();
        if place < KERNEL_BASE {
            At::Engine
        } else if self.read_word(place - 4) == WAIT_FOR_INTERRUPT {
            At::Sleep
        } else {
            At::Kernel
        }
    }
}

/// Lets a core spin where it stands; what puts that right again.
fn spin(debugger: Debugger) -> impl FnOnce(Debugger) {
    let mut debugger = debugger;
    let (place, instruction) = (debugger.program_counter(), debugger.read_word(SPIN));
    debugger.write_word(SPIN, BRANCH_TO_ITSELF).set_program_counter(SPIN).detach();
    move |debugger| debugger.write_word(SPIN, instruction).set_program_counter(place).detach()
}

#[test]
fn a_wild_jump_is_reported_and_told_after_the_reset() {
    let mut patient = Patient::boot();
    patient.machine.chat("remember this line of the log");
    patient.on_sleeping_core(0).set_program_counter(8).detach();
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

/// Every core meets a fault at the same time: one tells, whole, and what is kept is its report alone.
#[test]
fn faults_of_several_cores_at_once_are_one_report() {
    let mut patient = Patient::boot();
    let debugger = patient.stop_when(|cores| cores == [At::Sleep; 4]);
    ALL.into_iter().fold(debugger, |debugger, core| debugger.on_core(core).set_program_counter(8)).detach();
    let report = patient.machine.expect("the board is reset", SHORT);
    assert_eq!(report.matches("kernel fault on core").count(), 1, "{report}");
    let told = patient.machine.expect_ready();
    assert!(told.contains("The last run ended with a kernel fault on core"), "{told}");
    let log = patient.machine.ask("/log");
    assert_eq!(log.matches("last run: ESR ").count(), 1, "{log}");
}

#[test]
fn a_kernel_stack_that_overflows_is_reported_on_the_emergency_stack() {
    let mut patient = Patient::boot();
    let guard = patient.address_of("stacks") + 0x800;
    patient.on_sleeping_core(0).set_stack_pointer(guard).detach();
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

/// The timers of the other cores end a late step although core 0 does nothing, and notice that it does nothing.
#[test]
fn a_kernel_loop_that_hangs_hides_no_deadline_and_does_not_hang_for_long() {
    let mut patient = Patient::boot();
    patient.machine.ask("/set step_deadline_ms 1000");
    patient.machine.send("attack loop on 2\r");
    let is_looping = |cores| cores == [At::Sleep, At::Sleep, At::Engine, At::Sleep];
    let mend = spin(patient.stop_when(is_looping).on_core(0));
    // The engine was stopped: core 2 sleeps as the others do.
    mend(patient.stop_when(|cores| cores[1..] == [At::Sleep; 3]).on_core(0));
    patient.machine.expect("*** engine fault: step-deadline on core 2", SHORT);
    let report = patient.machine.expect("The kernel's memory is unchanged.", SHORT);
    assert!(report.contains("noticed by the timer of core") && report.contains("core 2 running"), "{report}");
    patient.machine.expect_ready();

    drop(spin(patient.on_sleeping_core(0)));
    // Either that the loop does not come round or that no timer interrupt is taken: both are noticed at the same time.
    patient.machine.expect(" for 10 s", SHORT);
    let told = patient.expect_reset();
    assert!(told.contains("The last run ended with a kernel panic on core"), "{told}");
}

#[test]
fn a_reset_that_nobody_asked_for_leaves_the_log_and_one_that_was_asked_for_tells_nothing() {
    let mut patient = Patient::boot();
    patient.machine.reset(&patient.directory.path().join("monitor"));
    let told = patient.machine.expect_ready();
    assert!(told.contains("The last run was cut off (last reset: "), "{told}");
    let log = patient.machine.ask("/log");
    assert!(log.lines().any(|line| line.contains("last run:") && line.contains("kernel entry to prompt")), "{log}");
    patient.machine.send("/reboot\r");
    patient.machine.expect("Rebooting.", SHORT);
    let told = patient.machine.expect_ready();
    assert!(!told.contains("The last run"), "{told}");
}

/// What is read-only is so for the kernel, too, on any core: its own store into each ends in a fault. The third in a row stops the board.
#[test]
fn the_kernel_cannot_write_its_code_its_constants_or_the_sealed_model() {
    let mut patient = Patient::boot();
    let Store { at: store, base, value } = store_instruction();
    let targets = [(0, KERNEL_BASE + 0x1000), (2, patient.address_of("constants")), (0, MODEL_BASE)];
    for (index, (core, target)) in targets.into_iter().enumerate() {
        if core != 0 {
            // Nothing that the kernel prints meanwhile falls into the report.
            patient.machine.send("attack flood-emit\r");
            patient.machine.expect("spam spam", SHORT);
        }
        let mut debugger = patient.on_sleeping_core(core);
        let before = debugger.read(target);
        // What is stored would change what is there.
        debugger.set_program_counter(store).set_general(base, target).set_general(value, u64::from(!before)).detach();
        let fault = format!("kernel fault on core {core}: data abort of the kernel, permission fault");
        patient.machine.expect(&fault, SHORT);
        patient.machine.expect("(write)", SHORT);
        patient.machine.expect(&format!("FAR {target:016x}  ELR {store:016x}"), SHORT);
        if index < 2 {
            let told = patient.expect_reset();
            assert!(told.contains("permission fault"), "{told}");
        }
    }
    patient.machine.expect("third fault in a row: the board stops", SHORT);
    assert_eq!(patient.machine.expect_exit(SHORT).code(), Some(101));
}

/// An instruction `str x[value], [x[base]]`.
struct Store {
    at: u64,
    base: u32,
    value: u32,
}

/// One of the kernel's own.
fn store_instruction() -> Store {
    // STR (immediate, unsigned offset) of 64 bits with offset 0: Arm ARM C6.2.
    const BITS: u32 = 0xF900_0000;
    const NO_REGISTER: u32 = 31;
    let image = fs::read(artifacts::attack_image()).unwrap();
    let words = image.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
    let mut stores = words.enumerate().filter(|(_, word)| word & 0xFFFF_FC00 == BITS).map(|(index, word)| Store {
        at: KERNEL_BASE + 4 * index as u64,
        base: word >> 5 & 31,
        value: word & 31,
    });
    stores.find(|store| store.base != store.value && store.base.max(store.value) < NO_REGISTER).unwrap()
}
