//! The one loop of the kernel, on core 0, with interrupts enabled: serial line, card, engine, deadlines, light.
//!
//! It never waits for anything; what takes long is cut into slices. When nothing is to be done it enters the engine, and when the
//! engine has nothing to do either, it sleeps.

use barellama_arch::{interrupts, timer};

use crate::autorun::Autorun;
use crate::bench::Bench;
use crate::console::Console;
use crate::engine::calls;
use crate::engine::main_thread::{Left, State};
use crate::engine::team::TEAM;
use crate::facts::MachineFacts;
use crate::interrupt;
use crate::led::Light;
use crate::lifecycle::Lifecycle;
use crate::loading::Loading;
use crate::mcp::Mcp;
use crate::requests::RequestTable;
use crate::serial::Serial;
use crate::turns::Turns;
use crate::verification::Verification;

/// Everything that the loop works on. It lives on core 0 alone, so nothing in it is locked.
pub struct Kernel {
    /// What the machine is.
    pub facts: MachineFacts,
    /// The serial line.
    pub serial: &'static Serial,
    /// Editor, settings, conversation.
    pub console: Console,
    /// The card and the model on its way into memory.
    pub loading: Loading,
    /// The engine's life.
    pub engine: Lifecycle,
    /// Requests on their way to the engine or in its hands.
    pub requests: RequestTable,
    /// The prompts of the autorun file.
    pub autorun: Autorun,
    /// The runs of `/bench`.
    pub bench: Bench,
    /// Sums over the sealed model.
    pub verification: Verification,
    /// The line as an MCP server.
    pub mcp: Mcp,
    /// The activity LED.
    pub light: Light,
    /// When deadlines are looked at next, in nanoseconds since start.
    pub next_check_ns: u64,
    /// Whether the line is read or it is the engine's turn.
    pub turns: Turns,
}

/// Shortest sleep for the sake of the MCP server's timers.
const SLEEP_MIN_NS: u64 = 100_000;

/// How long core 0 may stay in the engine before it looks after the card again while a model is read: a hundredth of what a slice of
/// the file takes. The other cores do the work meanwhile.
const READING_TURN_NS: u64 = 200_000;

/// How often deadlines and the light are looked at.
const CHECK_NS: u64 = 20_000_000;

impl Kernel {
    /// Never returns.
    pub fn run(&mut self) -> ! {
        loop {
            interrupt::LIVENESS.beat();
            let mut has_worked = self.read_serial();
            has_worked |= self.step_loading();
            has_worked |= self.follow_engine();
            has_worked |= self.step_mcp();
            has_worked |= self.mcp.tell_console_log(self.serial);
            has_worked |= self.step_verification();
            self.check_time();
            self.serial.end_round();
            has_worked |= self.run_engine();
            if !has_worked && !self.step_first_sum() {
                self.sleep();
            }
        }
    }

    /// Gives received bytes to the console or the MCP server, until there are none or the engine has its turn. Returns whether there were any.
    fn read_serial(&mut self) -> bool {
        let mut now_ns = timer::now_ns();
        if !self.turns.may_read(now_ns) {
            return false;
        }
        let mut has_worked = false;
        while self.mcp.can_receive()
            && let Some(input) = self.serial.read()
        {
            has_worked = true;
            self.route(input, now_ns);
            now_ns = timer::now_ns();
            if self.turns.note_byte(now_ns) {
                break;
            }
        }
        if self.serial.take_break() {
            self.receive_break();
        }
        has_worked
    }

    /// Deadlines and the light: what is looked at now and then.
    fn check_time(&mut self) {
        let now_ns = timer::now_ns();
        if now_ns < self.next_check_ns {
            return;
        }
        self.next_check_ns = now_ns + CHECK_NS;
        self.check_deadlines(now_ns);
        self.light.show(self.light_signal(), now_ns);
    }

    /// Lets core 0's engine thread go on if it can. Returns whether it did.
    fn run_engine(&mut self) -> bool {
        if !self.may_enter() {
            // Without work it needs no turn; a thread that waits for other cores does.
            if !matches!(self.engine.main.state(), State::Parked(_)) {
                self.turns.return_turn();
            } else if !self.serial.has_received() {
                self.turns.note_pause();
            }
            return false;
        }
        if self.loading.is_arriving() {
            timer::arm_within_ns(READING_TURN_NS);
        }
        let left = {
            // Masked from the look until the engine runs: what comes behind the look takes the core out of the engine. Without it a byte
            // that came since this round read the line would wait for the engine's next call.
            let _masked = interrupts::mask();
            if self.mcp.can_receive() && self.serial.has_received() {
                let turn_ns = self.turns.engine_ns(timer::now_ns());
                if turn_ns == 0 {
                    return true;
                }
                timer::arm_within_ns(turn_ns);
            }
            self.engine.main.run()
        };
        self.turns.note_pause();
        match left {
            Left::Interrupted => {}
            Left::Call(arguments) => self.serve(&arguments),
            Left::BadCall(kind) => {
                let request_id = self.request_in_flight();
                TEAM.raise_kind(0, kind, self.engine.main.context(), request_id);
            }
            Left::Fault(syndrome) => {
                let request_id = self.request_in_flight();
                TEAM.raise(0, &syndrome, self.engine.main.context(), request_id);
            }
        }
        true
    }

    /// Whether the thread can go on; ends the call that it waits in when its time has come.
    fn may_enter(&mut self) -> bool {
        if TEAM.is_stopping() {
            return false;
        }
        match self.engine.main.state() {
            State::Stopped => false,
            State::Runnable => true,
            State::Parked(arguments) => match calls::may_leave_park(0, &arguments) {
                Ok(false) => false,
                Ok(true) => {
                    self.engine.main.answer(Ok((0, 0)));
                    true
                }
                Err(error) => {
                    self.engine.main.answer(Err(error));
                    true
                }
            },
            State::WaitsForWork => self.hand_over_request(),
            State::WaitsForRoom(arguments) => {
                self.emit(&arguments);
                matches!(self.engine.main.state(), State::Runnable)
            }
        }
    }

    /// Sleeps until an interrupt, unless there is something to do. Looked at with interrupts masked, and a pending interrupt ends
    /// the sleep even so: nothing is missed.
    fn sleep(&mut self) {
        let _masked = interrupts::mask();
        if let Some(at_ns) = self.mcp.next_timer_ns() {
            timer::arm_within_ns(at_ns.saturating_sub(timer::now_ns()).max(SLEEP_MIN_NS));
        }
        if !self.serial.has_input() && !self.may_enter() && !TEAM.is_stopping() {
            interrupts::wait_for_interrupt();
        }
    }
}
