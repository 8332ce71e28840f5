//! Core 0 in the engine: entered between rounds of the kernel loop, left at every call and interrupt.

use barellama_abi::fault::FaultKind;
use barellama_arch::syndrome::Syndrome;
use barellama_arch::user::{self, Exit, UserContext};

use super::calls::{self, Arguments};
use super::team::TEAM;
use super::worker;

/// What core 0's engine thread waits for.
#[derive(Clone, Copy, Debug)]
pub enum State {
    /// The engine does not run.
    Stopped,
    /// It can go on.
    Runnable,
    /// In `park`.
    Parked(Arguments),
    /// In `wait_for_work`.
    WaitsForWork,
    /// In `emit`, until the serial line has room.
    WaitsForRoom(Arguments),
}

/// Why the thread came back to the kernel loop.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    /// An interrupt: there may be work for the kernel loop.
    Interrupted,
    /// A call on the list.
    Call(Arguments),
    /// A call that is a fault: not on the list, or not paid for.
    BadCall(FaultKind),
    /// A fault that the processor raised.
    Fault(Syndrome),
}

/// Core 0's engine thread.
pub struct MainThread {
    context: UserContext,
    state: State,
}

impl MainThread {
    /// A thread that does not run.
    pub fn stopped() -> Self {
        Self { context: UserContext::default(), state: State::Stopped }
    }

    /// Lets the thread begin at the engine's entry. [`TEAM`] was started.
    pub fn start(&mut self) {
        user::reset_vector_state();
        self.context = worker::first_context(0);
        self.state = State::Runnable;
        TEAM.note_parked(0, false);
    }

    /// Takes the thread out of the engine.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// What it waits for.
    pub fn state(&self) -> State {
        self.state
    }

    /// Lets it wait.
    pub fn wait(&mut self, state: State) {
        self.state = state;
        TEAM.note_parked(0, true);
    }

    /// Its registers.
    pub fn context(&self) -> &UserContext {
        &self.context
    }

    /// Ends the call that it is in: the result, and a second value for `x1`.
    pub fn answer(&mut self, result: Result<(u64, u64), barellama_abi::syscall::CallError>) {
        if let Ok((_, second)) = result {
            self.context.x[1] = second;
        }
        calls::answer(0, &mut self.context, result.map(|(first, _)| first));
        self.state = State::Runnable;
        TEAM.note_parked(0, false);
    }

    /// Runs it until it leaves EL0.
    pub fn run(&mut self) -> Left {
        match user::run(&mut self.context) {
            Exit::Interrupt => {
                TEAM.note_pc(0, self.context.pc);
                Left::Interrupted
            }
            Exit::Call => calls::read(&self.context).map_or_else(Left::BadCall, Left::Call),
            Exit::Fault(syndrome) => Left::Fault(syndrome),
        }
    }
}
