//! The loop of cores 1 to 3: sleep until the engine starts, run it, leave when it stops.

use barellama_abi::layout::stack_top;
use barellama_abi::syscall::{Call, CallError};
use barellama_arch::user::{self, Exit, UserContext};
use barellama_arch::{cores, interrupts, probe};

use super::calls::{self, Arguments};
use super::starts::Start;
use super::team::TEAM;
use crate::{interrupt, protection, self_test};

/// Never returns; entered once by each core, with interrupts masked.
pub fn run(core: usize) -> ! {
    probe::write_guard_words(core);
    interrupt::start_core(core);
    protection::note(core);
    let mut seen = Start::NONE;
    loop {
        seen = wait_for_start(seen);
        if core < seen.cores() {
            run_engine(core);
            TEAM.note_idle(core);
        }
    }
}

/// First registers of a core in the engine.
pub fn first_context(core: usize) -> UserContext {
    let mut context = UserContext { sp: stack_top(core), pc: TEAM.entry(), ..UserContext::default() };
    context.x[0] = core as u64;
    context
}

/// Returns at a start that is stopped already, too: core 0 counts on this core's word that it is out again.
fn wait_for_start(seen: Start) -> Start {
    loop {
        sleep_unless(|| TEAM.latest_start() != seen);
        let latest = TEAM.latest_start();
        if latest != seen {
            return latest;
        }
    }
}

fn run_engine(core: usize) {
    user::reset_vector_state();
    let mut context = first_context(core);
    while !TEAM.is_stopping() {
        match user::run(&mut context) {
            Exit::Interrupt => serve_interrupts(core, &context),
            Exit::Fault(syndrome) => TEAM.raise(core, &syndrome, &context, 0),
            Exit::Call => match calls::read(&context) {
                Ok(arguments) => {
                    TEAM.note_pc(core, context.pc);
                    let result = serve(core, &arguments);
                    calls::answer(core, &mut context, result);
                }
                Err(kind) => TEAM.raise_kind(core, kind, &context, 0),
            },
        }
    }
    TEAM.note_left(core, &context);
}

/// Lets the pending interrupt that ended the stay in EL0 be handled.
fn serve_interrupts(core: usize, context: &UserContext) {
    TEAM.note_pc(core, context.pc);
    interrupts::serve_pending();
    self_test::take_part(core);
}

fn serve(core: usize, arguments: &Arguments) -> Result<u64, CallError> {
    match arguments.call {
        Call::Log => calls::log(core, arguments),
        Call::Clock => calls::clock(),
        Call::Wake => calls::wake(core, arguments),
        Call::Park => park(core, arguments),
        Call::WaitForWork | Call::Emit | Call::Progress | Call::Finish | Call::Seal => Err(CallError::NotAllowed),
    }
}

fn park(core: usize, arguments: &Arguments) -> Result<u64, CallError> {
    TEAM.note_parked(core, true);
    let result = sleep_in_park(core, arguments);
    if !TEAM.is_stopping() {
        // Else it stays noted, for the report.
        TEAM.note_parked(core, false);
    }
    result
}

fn sleep_in_park(core: usize, arguments: &Arguments) -> Result<u64, CallError> {
    loop {
        if TEAM.is_stopping() || calls::may_leave_park(core, arguments)? {
            return Ok(0);
        }
        sleep_once();
    }
}

/// Sleeps until an interrupt, unless the condition holds. The condition is looked at with interrupts masked, and a pending
/// interrupt ends the sleep even so: no wake-up between look and sleep is lost.
fn sleep_unless(condition: impl Fn() -> bool) {
    if !condition() {
        sleep_once();
    }
}

/// Sleeps with interrupts masked, then lets them be handled.
fn sleep_once() {
    interrupts::wait_for_interrupt();
    interrupts::serve_pending();
    self_test::take_part(cores::current());
}
