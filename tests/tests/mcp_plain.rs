//! Plain mode: newline-delimited JSON on the bare line, as any program can speak it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use barellama_mcp::wire::{Link, Received, Role, Timing, log_request};
use barellama_tests::client::Client;
use barellama_tests::machine::SHORT;
use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

const LINE_BYTES_MAX: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// A program on the line.
struct Program {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Program {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the line is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time can be set");
        let lines = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, lines }
    }

    fn send(&mut self, line: impl AsRef<[u8]>) {
        self.stream.write_all(&[line.as_ref(), b"\n"].concat()).expect("the line takes it");
    }

    fn request(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let id: Value = id.into();
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
    }

    /// The next message; echoes of the console before the first one are passed over.
    fn receive(&mut self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut line = String::new();
        while Instant::now() < deadline {
            line.clear();
            match self.lines.read_line(&mut line) {
                Ok(0) => panic!("the line was closed"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::InvalidData => continue,
                Err(error) => panic!("{error}"),
            }
            if let Ok(value) = serde_json::from_str::<Value>(line.trim())
                && (value.get("result").is_some() || value.get("error").is_some())
            {
                return value;
            }
        }
        panic!("no message")
    }

    fn ask(&mut self, id: &str, method: &str, params: Value) -> Value {
        self.request(id, method, params);
        let answer = self.receive();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn tool(&mut self, name: &str) -> Value {
        let answer = self.ask("tool", "tools/call", json!({"name": name, "arguments": {}}));
        answer["result"]["structuredContent"].clone()
    }
}

#[test]
fn bad_lines_floods_and_the_worst_lines_are_answered_until_the_console_comes_back() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("serial.sock");
    let mut machine = Machine::raspi4b().placed_model(&artifacts::tiny("q4_0")).serial_socket(&socket).boot();
    machine.expect_ready();
    let mut program = Program::connect(&socket);
    program.send(b"/mcp\r");
    let answer = program.ask("init", "initialize", client());
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");

    answers_bad_lines(&mut program);
    answers_a_flood(&mut program);
    survives_the_worst_lines(&mut program);

    // A person who comes to the line and types Ctrl-C first.
    program.send(b"{half a line\x03/console");
    machine.expect_prompt(SHORT);

    // A program that went away in the middle of a line: the bridge gets in even so.
    program.send(b"/mcp\r");
    assert_eq!(program.ask("again", "ping", json!({}))["result"], json!({}));
    program.stream.write_all(b"{\"jsonrpc\":\"2.0\",").expect("the line takes it");
    drop(program);
    let mut bridge = Client::start(&format!("unix:{}", socket.display()));
    bridge.initialize();
    assert!(bridge.call("tools/list", &json!({}))["result"]["tools"].is_array());
    bridge.expect_end(SHORT);
    machine.expect_prompt(SHORT);

    // One that is killed leaves the line to it; `barellama console` gives it back to people.
    let mut bridge = Client::start(&format!("unix:{}", socket.display()));
    bridge.initialize();
    bridge.kill();
    let mut console = UnixStream::connect(&socket).expect("the line is there");
    console.write_all(&log_request()).expect("the line takes it");
    machine.expect_prompt(SHORT);

    the_timer_goes_on_whatever_waits(&mut console);
}

/// A bridge that acknowledges nothing, so that the board has something to send again, and keeps the board awake: the timer of core 0, which
/// the watchdog is fed by, is not put off.
fn the_timer_goes_on_whatever_waits(line: &mut UnixStream) {
    const TICKS_PER_SECOND: u64 = 20;
    let mut bridge = Bridge::open(line);
    let [ticks, uptime_ns] = bridge.metrics();
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        bridge.line.write_all(b".").expect("the line takes it");
        // What comes again because it was not acknowledged.
        bridge.hear();
    }
    let [ticks_later, uptime_later_ns] = bridge.metrics();
    let due = (uptime_later_ns - uptime_ns) * TICKS_PER_SECOND / 1_000_000_000;
    assert!(4 * (ticks_later - ticks) > due, "{} timer interrupts of {due}", ticks_later - ticks);
}

/// The host's end of the checked line, byte by byte.
struct Bridge<'l> {
    line: &'l mut UnixStream,
    link: Link,
    began: Instant,
}

impl<'l> Bridge<'l> {
    fn open(line: &'l mut UnixStream) -> Self {
        line.set_read_timeout(Some(Duration::from_millis(5))).expect("a time can be set");
        let mut bridge = Self { line, link: Link::new(Role::Host, Timing::default()), began: Instant::now() };
        bridge.link.hello(4711, 0);
        while !bridge.link.is_open() {
            bridge.say();
            bridge.hear();
        }
        bridge.ask("initialize", client());
        bridge
    }

    fn now_ns(&self) -> u64 {
        assert!(self.began.elapsed() < PATIENCE, "the board does not answer");
        u64::try_from(self.began.elapsed().as_nanos()).expect("a short time")
    }

    /// Sends what is due, acknowledgements too.
    fn say(&mut self) {
        let mut bytes = [0; 4096];
        let count = self.link.poll_output(self.now_ns(), &mut bytes);
        self.line.write_all(&bytes[..count]).expect("the line takes it");
    }

    /// Takes what the board sent, without a word; the bytes of messages, and whether one ended.
    fn hear(&mut self) -> (Vec<u8>, bool) {
        let (mut bytes, mut message, mut is_whole) = ([0; 4096], Vec::new(), false);
        // Nothing came in time: then nothing is heard.
        let count = self.line.read(&mut bytes).unwrap_or(0);
        let now_ns = self.now_ns();
        for byte in &bytes[..count] {
            if let Some(Received::Message { bytes, is_end }) = self.link.receive(*byte, now_ns) {
                message.extend_from_slice(bytes);
                is_whole |= is_end;
            }
        }
        (message, is_whole)
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        self.link.queue(format!("{request}\n").as_bytes());
        let mut message = Vec::new();
        loop {
            self.say();
            let (bytes, is_whole) = self.hear();
            message.extend_from_slice(&bytes);
            if is_whole {
                return serde_json::from_slice(&message).expect("a message");
            }
        }
    }

    /// Core 0's timer interrupts and the time since the start.
    fn metrics(&mut self) -> [u64; 2] {
        let answer = self.ask("resources/read", json!({"uri": "pi://metrics"}));
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        ["timer_interrupts_total ", "uptime_ns "].map(|name| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_else(|| panic!("{name}: {text}")).parse().expect("a number")
        })
    }
}

/// Parameters of `initialize`.
fn client() -> Value {
    let client = json!({"name": "test", "version": "1"});
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
}

fn answers_bad_lines(program: &mut Program) {
    let too_long = vec![b'x'; 2 * LINE_BYTES_MAX];
    let nested = [br#"{"jsonrpc":"2.0","id":5,"method":"ping","params":"#.as_slice(), &[b'['; 60_000]].concat();
    for (line, code) in [
        (b"\xFF\xFE\x00".as_slice(), -32700),
        (b"{\"jsonrpc\":", -32700),
        (b"\x1b_D00notaframe\x1b\\", -32700),
        (&nested, -32700),
        (&too_long, -32600),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
    ] {
        program.send(line);
        let answer = program.receive();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &Value::Null), "{answer}");
    }
    assert_eq!(program.ask("after", "ping", json!({}))["result"], json!({}));
}

/// Nothing is read while so much is asked for that the answers find no room.
fn answers_a_flood(program: &mut Program) {
    const REQUESTS: u64 = 60;
    let flood = (0..REQUESTS).fold(String::new(), |mut flood, id| {
        // Writing to a string cannot fail.
        let _ = writeln!(flood, r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        flood
    });
    program.stream.write_all(flood.as_bytes()).expect("the line takes it");
    std::thread::sleep(Duration::from_secs(1));
    let mut waiting: HashSet<u64> = (0..REQUESTS).collect();
    while !waiting.is_empty() {
        let answer = program.receive();
        assert!(answer["result"]["tools"].is_array() || answer["error"]["code"] == -32603, "{answer}");
        assert!(waiting.remove(&answer["id"].as_u64().expect("a number")), "{answer}");
    }
}

/// As many calls at a time as there can be, each with as much in it as a line may have, by the shapes that take most memory.
fn survives_the_worst_lines(program: &mut Program) {
    let call = |id: usize, tool: &str, arguments: &str, piece: &str, end: &str, count: usize| {
        let start = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{{arguments}"#
        );
        let room = LINE_BYTES_MAX - start.len() - end.len();
        [start.as_str(), &piece.repeat((room / piece.len()).min(count)), end].concat()
    };
    let lines = [
        call(0, "generate", r#""prompt":""#, "\\n", r#""}}}"#, usize::MAX),
        call(1, "generate", r#""prompt":"\n"#, "x", r#""}}}"#, usize::MAX),
        call(2, "detokenize", r#""tokens":[1"#, ",2", "]}}}", 16_000),
        call(3, "score", r#""deadline_ms":2000,"tokens":[1],"forced":[1"#, ",2", "]}}}", 16_000),
        call(
            4,
            "chat",
            r#""messages":[{"role":"user","content":"a"}"#,
            r#",{"role":"user","content":"\n"}"#,
            "]}}}",
            255,
        ),
        call(5, "tokenize", r#""text":""#, "\\n", r#""}}}"#, usize::MAX),
    ];
    for line in &lines {
        program.send(line);
    }
    let mut waiting: HashSet<usize> = (0..lines.len()).collect();
    while !waiting.is_empty() {
        let answer = program.receive();
        assert!(waiting.remove(&usize::try_from(answer["id"].as_u64().expect("a number")).expect("small")), "{answer}");
    }
    let status = program.tool("system_status");
    let bytes = |key: &str| status[key].as_u64().unwrap_or_else(|| panic!("{key}: {status}"));
    assert!(bytes("heap_peak_bytes") > 64 << 10 && bytes("heap_peak_bytes") < bytes("heap_bytes"), "{status}");
    assert!(bytes("heap_used_bytes") < 16 << 10, "{status}");
    assert_eq!((bytes("faults"), bytes("restarts")), (0, 0), "{status}");
}
