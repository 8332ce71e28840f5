//! The entry point: every core comes here with its number in `x0` and its stack set up.

use core::arch::global_asm;

use crate::state::State;
use crate::team;

global_asm!(
    ".pushsection .text._start, \"ax\"",
    ".global _start",
    ".type _start, %function",
    "_start:",
    "    b   {enter}",
    ".size _start, . - _start",
    ".popsection",
    enter = sym enter,
);

extern "C" fn enter(core: usize) -> ! {
    team::note_state(core, State::read());
    if core == 0 { crate::serve() } else { team::follow(core) }
}
