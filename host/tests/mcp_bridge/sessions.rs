//! The bridge between a client and a simulated board: ordinary sessions, and everything that a client can do wrong.

use std::time::{Duration, Instant};

use crate::board::{Board, Order, expected_text};
use crate::client::Client;
use crate::noise::Noise;
use serde_json::json;

const MOMENT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_session_with_list_and_streaming_call() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    let tools = client.call("tools/list", &json!({}));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 8);
    let call = client.generate(40);
    let answer = client.answer(call);
    let text = answer["result"]["structuredContent"]["text"].as_str().unwrap();
    assert_eq!(text, expected_text(40));
    assert!(client.notifications.len() > 1);
    assert!(text.starts_with(&client.streamed()) && !client.streamed().is_empty());
    let notes = client.expect_end(SOON);
    assert!(notes.contains("connected to ") && notes.contains("the board answers"), "{notes}");
}

#[test]
fn a_modern_client_over_tcp() {
    let board = Board::start_tcp();
    let mut client = Client::start(&board.address);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}});
    let answer = client.call("server/discover", &json!({"_meta": meta}));
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
}

#[test]
fn a_serial_device_has_one_owner() {
    let board = Board::start_serial();
    let arguments = ["--port", &board.address, "--baud", "115200"];
    let mut client = Client::start_with(&arguments);
    client.initialize();
    let call = client.generate(20);
    assert_eq!(client.answer(call)["result"]["structuredContent"]["text"], expected_text(20));
    let tools = client.call("tools/list", &json!({}));
    assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 8);
    let mut second = Client::start_with(&arguments);
    let answer = second.call("ping", &json!({}));
    assert_eq!(answer["error"]["data"]["reason"], "line_closed", "{answer}");
    client.expect_end(SOON);
    let takes_over = (0..20).any(|_| {
        std::thread::sleep(MOMENT);
        second.call("ping", &json!({}))["result"].is_object()
    });
    assert!(takes_over);
}

#[test]
fn what_the_client_writes_wrongly_is_answered() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    for (line, code) in [
        (&b"hello"[..], -32700),
        (b"/console", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\x1bng\"}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xFF\"}", -32700),
        (b"17", -32600),
        (b"{}", -32600),
    ] {
        client.send(line);
        let answer = client.receive(SOON).unwrap();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &json!(null)), "{answer}");
    }
    assert!(client.call("ping", &json!({}))["result"].is_object());
}

#[test]
fn a_line_over_the_limit_is_refused_with_its_id() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    for length in [64 << 10, 900 << 10] {
        let answer = client.call("ping", &json!({"filling": "x".repeat(length)}));
        assert_eq!(answer["error"]["code"], -32600);
    }
    client.send(vec![b'x'; 3 << 20]);
    let answer = client.receive(SOON).unwrap();
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &json!(null)));
    let long = client.call("ping", &json!({"filling": "x".repeat(60 << 10)}));
    assert!(long["result"].is_object(), "{long}");
}

#[test]
fn text_of_the_board_goes_to_standard_error_only() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    board.order(Order::Say(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"typed, not sent\"}\r\n"));
    board.order(Order::Say(b"log: \x1b[31mred\x1b[0m\r\nprompt> "));
    board.order(Order::Send(b"{\"cut\":\n"));
    board.order(Order::Send(b"not JSON\n"));
    board.order(Order::Send(b"17\n"));
    board.order(Order::Send(b"{\"method\":\"\xFF\"}\n"));
    board.order(Order::Send(b"\n"));
    assert!(client.call("ping", &json!({}))["result"].is_object());
    assert_eq!(client.receive(MOMENT), None);
    assert!(client.notifications.is_empty());
    let text = client.expect_end(SOON);
    assert!(text.contains("typed, not sent") && text.contains("prompt> "), "{text}");
    assert_eq!(text.matches("dropped a message of the board").count(), 4, "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn the_end_of_the_input_waits_for_answers_that_come_soon() {
    let board = Board::start(Noise::default());
    let mut client = Client::start_with(&["--connect", &board.address, "--drain-s", "20"]);
    client.initialize();
    let call = client.generate(60);
    client.close_input();
    assert!(client.answer(call)["result"].is_object());
    client.expect_end(SOON);
}

#[test]
fn the_end_of_the_input_stops_what_takes_longer() {
    let mut board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    client.generate(20_000);
    client.expect_notification();
    let start = Instant::now();
    client.expect_end(SOON);
    assert!(start.elapsed() < Duration::from_secs(5));
    board.wait_until("the cancel of the call", |seen| seen.cancels == 1 && seen.jobs == 0);
}

#[test]
fn a_cancelled_call_gets_no_answer() {
    let mut board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    let call = client.generate(20_000);
    client.expect_notification();
    client.send(
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}}).to_string(),
    );
    board.wait_until("the cancel", |seen| seen.cancels == 1 && seen.jobs == 0);
    assert!(client.call("ping", &json!({}))["result"].is_object());
    board.order(Order::Reset);
    assert!(client.call("ping", &json!({}))["result"].is_object());
    client.expect_end(SOON);
}
