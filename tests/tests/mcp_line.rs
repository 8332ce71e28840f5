//! The bridge and the board on a line that is bad, or slower than the client: every message arrives, every request is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use barellama_tests::client::Client;
use barellama_tests::noise::Noise;
use barellama_tests::proxy::Proxy;
use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const NOISE: Noise = Noise { flip: 2000, drop: 2000, double: 4000, burst: 20_000 };
/// Bytes of the board between two lines of a log that are thrown in.
const LOG_LINE_EVERY: usize = 3000;

/// A machine with its sockets.
struct Board {
    machine: Machine,
    serial: PathBuf,
    monitor: PathBuf,
    _directory: tempfile::TempDir,
}

fn board() -> Board {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let (serial, monitor) = (directory.path().join("serial.sock"), directory.path().join("monitor.sock"));
    let setup = Machine::raspi4b().placed_model(&artifacts::tiny("q4_0")).serial_socket(&serial);
    let mut machine = setup.monitor_socket(&monitor).boot();
    machine.expect_ready();
    Board { machine, serial, monitor, _directory: directory }
}

fn client(socket: &Path) -> Client {
    let mut client = Client::start(&format!("unix:{}", socket.display()));
    client.initialize();
    client
}

fn tool(client: &mut Client, name: &str, arguments: &Value) -> Value {
    let answer = client.call("tools/call", &json!({"name": name, "arguments": arguments}));
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    answer["result"]["structuredContent"].clone()
}

/// What depends on the board and the client alone, not on the line.
fn conversation(client: &mut Client) -> Vec<Value> {
    let tools = client.call("tools/list", &json!({}))["result"].clone();
    let ids = tool(client, "tokenize", &json!({"text": "Once \"upon\" a time\n".repeat(150)}));
    let text = tool(client, "detokenize", &json!({"tokens": ids["tokens"]}));
    let call = client.generate(24);
    let generated = client.answer(call)["result"]["structuredContent"]["text"].clone();
    let streamed = client.streamed();
    assert!(!streamed.is_empty() && generated.as_str().is_some_and(|text| text.starts_with(&streamed)), "{streamed}");
    client.notifications.clear();
    vec![tools, ids, text, generated]
}

#[test]
fn a_noisy_line_changes_nothing() {
    let board = board();
    let mut clean = client(&board.serial);
    let expected = conversation(&mut clean);
    clean.expect_end(SOON);
    let proxy = Proxy::start(&board.serial, NOISE, LOG_LINE_EVERY);
    let mut noisy = Client::start(&proxy.address());
    noisy.initialize();
    for _ in 0..3 {
        assert!(conversation(&mut noisy) == expected);
    }
    assert!(proxy.accidents() > 50, "{}", proxy.accidents());
    let status = tool(&mut noisy, "system_status", &json!({}));
    assert!(status["damaged_frames"].as_u64() > Some(0), "{status}");
    let notes = noisy.expect_end(SOON);
    assert!(notes.contains("damaged frames"), "{notes}");
    // A line of the log that falls into a frame is lost with it; that many fell somewhere.
    assert!(proxy.bytes().1 > 20 * LOG_LINE_EVERY as u64, "{:?}", proxy.bytes());
}

#[test]
fn a_reset_in_mid_call_is_told_and_the_session_goes_on() {
    let mut board = board();
    let mut client = client(&board.serial);
    let expected = conversation(&mut client).pop();
    let call = client.generate(60_000);
    client.expect_notification();
    board.machine.reset(&board.monitor);
    let answer = client.answer(call);
    assert_eq!(answer["error"]["data"]["reason"], "board_reset", "{answer}");
    board.machine.expect_ready();
    client.notifications.clear();
    assert_eq!(conversation(&mut client).pop(), expected);
}

#[test]
fn a_client_that_writes_faster_than_the_line_gets_every_answer() {
    let board = board();
    let proxy = Proxy::start(&board.serial, Noise::default(), 0);
    let mut client = Client::start(&proxy.address());
    client.initialize();
    // A busy PC needs longer until the board has written what it may write before the client takes it.
    let hold_times = [1, 2, 4, 8, 16].map(Duration::from_secs);
    let was_full = hold_times.into_iter().any(|time| flood(&mut client, &proxy, time) > 150 << 10);
    let metrics = metrics(&mut client);
    assert!(was_full, "the board's memory was never full:\n{metrics}");
    assert!(metrics.contains("mcp_lost_messages_total 0\n"), "{metrics}");
}

/// Asks for much and takes the answers only after a while; returns the most bytes of answers that waited on the board so far.
fn flood(client: &mut Client, proxy: &Proxy, time: Duration) -> u64 {
    proxy.hold(true);
    let ids: Vec<u64> = (0..120).map(|_| client.request("tools/list", &json!({}))).collect();
    std::thread::sleep(time);
    proxy.hold(false);
    for id in ids {
        assert!(client.answer(id)["result"]["tools"].is_array());
    }
    let metrics = metrics(client);
    let peak = metrics.lines().find_map(|line| line.strip_prefix("mcp_waiting_bytes_peak ")).expect("a peak");
    peak.parse().expect("a number")
}

fn metrics(client: &mut Client) -> String {
    let metrics = client.call("resources/read", &json!({"uri": "pi://metrics"}));
    metrics["result"]["contents"][0]["text"].as_str().expect("a text").to_owned()
}
