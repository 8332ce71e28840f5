//! The official Python SDK uses the board through the bridge: three eras, hosts one after the other, a host that is killed.

use std::process::Command;

use barellama_tests::{Machine, artifacts};

#[test]
fn the_python_sdk_uses_the_board() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("serial.sock");
    let mut machine = Machine::raspi4b().placed_model(&artifacts::tiny("q4_0")).serial_socket(&socket).boot();
    machine.expect_ready();
    let mut python = Command::new(artifacts::mcp_python());
    python.arg(artifacts::mcp_client("sessions.py")).arg(artifacts::host_tool());
    python.args(["mcp", "--connect", &format!("unix:{}", socket.display())]);
    let output = python.output().expect("Python starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !shown.contains("all sessions: ok") {
        let errors = String::from_utf8_lossy(&output.stderr);
        machine.fail(&format!("{}\n---- client ----\n{shown}\n---- standard error ----\n{errors}", output.status));
    }
}
