//! Machines whose clock counts instructions.

use std::path::Path;

use barellama_tests::Machine;

/// A `raspi4b` with a placed model, ready.
pub fn counting_machine(model: &Path) -> Machine {
    let mut machine = Machine::raspi4b().placed_model(model).counting_instructions().boot();
    machine.expect_ready();
    machine
}
