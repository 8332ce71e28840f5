//! The bridge as a process, and a client that is as strict as can be about its standard output.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client with its bridge, which ends with it.
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    next_id: u64,
    /// Notifications that came while something else was awaited.
    pub notifications: Vec<Value>,
}

impl Client {
    /// With a bridge to an address, as `--connect` takes it.
    #[must_use]
    pub fn start(address: &str) -> Self {
        Self::start_with(&["--connect", address])
    }

    /// With a bridge that has those arguments.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut command = Command::new(crate::bridge_path());
        command.arg("mcp").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // A line that is not UTF-8 shows as one that is no JSON.
                let line = line.unwrap_or_else(|error| error.to_string());
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let input = child.stdin.take();
        Self { child, input, lines, errors: Some(errors), next_id: 0, notifications: Vec::new() }
    }

    /// Sends a line.
    pub fn send(&mut self, line: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_ref()).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    /// Sends a request; returns its id.
    pub fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// The next message, which must be JSON.
    pub fn receive(&mut self, patience: Duration) -> Option<Value> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                let value = serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
                assert!(value.is_object() || value.is_array(), "{line}");
                Some(value)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The answer to a request; notifications before it are kept. Each of them shows that the board works, however slowly.
    pub fn answer(&mut self, id: u64) -> Value {
        loop {
            let Some(message) = self.receive(PATIENCE) else {
                let _ = self.child.kill();
                panic!("no answer to {id}; standard error:\n{}", self.errors.take().unwrap().join().unwrap())
            };
            if message["id"] == id {
                return message;
            }
            assert!(message["method"].is_string(), "an answer nobody asked for: {message}");
            self.notifications.push(message);
        }
    }

    /// Sends a request and waits for its answer.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    /// Begins a session of the last revision with a handshake.
    pub fn initialize(&mut self) {
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let answer = self.call("initialize", &params);
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// Starts a generation with progress; returns its id.
    pub fn generate(&mut self, tokens: u32) -> u64 {
        let arguments = json!({"prompt": "go", "max_tokens": tokens, "deadline_ms": 0});
        let token = self.next_id + 1;
        self.request(
            "tools/call",
            &json!({"name": "generate", "arguments": arguments, "_meta": {"progressToken": token}}),
        )
    }

    /// The text in the progress notifications that came so far.
    #[must_use]
    pub fn streamed(&self) -> String {
        let messages = self.notifications.iter().filter(|message| message["params"]["progress"] != 0);
        messages.filter_map(|message| message["params"]["message"].as_str()).collect()
    }

    /// Waits for the first notification.
    pub fn expect_notification(&mut self) {
        let message = self.receive(PATIENCE).expect("a notification");
        assert!(message["method"].is_string(), "{message}");
        self.notifications.push(message);
    }

    /// Ends the bridge's standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Ends the input and waits for the end; returns standard error.
    pub fn expect_end(mut self, patience: Duration) -> String {
        self.close_input();
        let deadline = Instant::now() + patience;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the bridge does not end");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(self.child.wait().unwrap().success());
        self.errors.take().unwrap().join().unwrap()
    }

    /// Kills the bridge.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
