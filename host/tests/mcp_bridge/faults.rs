//! The bridge when the line is bad, the board restarts, or a host goes away.

use std::time::Duration;

use crate::board::{Board, Order, expected_text};
use crate::client::Client;
use crate::noise::Noise;
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_noisy_line_changes_nothing() {
    let mut board = Board::start(Noise { flip: 1500, drop: 1500, double: 3000, burst: 20_000 });
    let mut client = Client::start(&board.address);
    client.initialize();
    for round in 0..6_u32 {
        board.order(Order::Say(b"[  1.234] the kernel logs in between\r\n"));
        let tools = client.call("tools/list", &json!({}));
        assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 8);
        let filling = "\u{e9}\"\\x".repeat(400 + round as usize);
        let answer = client.call("tools/call", &json!({"name": filling, "arguments": {}}));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let call = client.generate(30);
        board.order(Order::Say(b"[  1.234] and in the middle\r\n"));
        let answer = client.answer(call);
        assert_eq!(answer["result"]["structuredContent"]["text"], expected_text(30));
        let text = client.streamed();
        assert!(expected_text(30).starts_with(&text) && !text.is_empty(), "{text}");
        client.notifications.clear();
    }
    assert!(board.seen().accidents > 30, "{:?}", board.seen());
    let notes = client.expect_end(SOON);
    assert!(notes.contains("damaged frames"), "{notes}");
}

#[test]
fn a_reset_in_mid_call_is_answered_and_the_session_goes_on() {
    let mut board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    let level = client.call("logging/setLevel", &json!({"level": "info"}));
    assert!(level["result"].is_object(), "{level}");
    let call = client.generate(20_000);
    let text_id = client.request("tools/call", &json!({"name": "generate", "arguments": {"prompt": "second"}}));
    client.expect_notification();
    board.wait_until("both calls", |seen| seen.jobs == 2);
    board.order(Order::Reset);
    for id in [call, text_id] {
        let answer = client.answer(id);
        assert_eq!(answer["error"]["data"]["reason"], "board_reset", "{answer}");
        assert_eq!(answer["error"]["code"], -32603);
    }
    client.notifications.clear();
    let call = client.generate(10);
    assert_eq!(client.answer(call)["result"]["structuredContent"]["text"], expected_text(10));
    let notes = client.expect_end(SOON);
    assert!(notes.contains("booting again") && notes.contains("the board was reset"), "{notes}");
}

#[test]
fn what_the_board_did_not_have_is_sent_again() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    for _ in 0..3 {
        board.order(Order::Reset);
        std::thread::sleep(Duration::from_millis(100));
        let call = client.generate(5);
        assert_eq!(client.answer(call)["result"]["structuredContent"]["text"], expected_text(5));
    }
}

#[test]
fn a_second_host_takes_over_from_a_killed_one() {
    let mut board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    client.generate(20_000);
    client.expect_notification();
    client.kill();
    let mut second = Client::start(&board.address);
    second.initialize();
    board.wait_until("the end of the first host's work", |seen| seen.hellos == 2 && seen.jobs == 0);
    let call = second.generate(10);
    assert_eq!(second.answer(call)["result"]["structuredContent"]["text"], expected_text(10));
}

#[test]
fn a_line_that_comes_back_goes_on_where_it_was() {
    let mut board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    let call = client.generate(300);
    client.expect_notification();
    for _ in 0..3 {
        board.order(Order::Disconnect);
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(client.answer(call)["result"]["structuredContent"]["text"], expected_text(300));
    assert_eq!(board.seen().hellos, 1);
}

#[test]
fn a_board_that_starts_late_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("late.sock");
    let mut client = Client::start_with(&["--connect", &format!("unix:{}", path.display())]);
    let id = client.request("ping", &json!({}));
    std::thread::sleep(Duration::from_millis(300));
    let board = Board::start(Noise::default());
    std::os::unix::fs::symlink(board.address.trim_start_matches("unix:"), &path).unwrap();
    assert!(client.answer(id)["result"].is_object());
}

#[test]
fn a_line_that_is_not_there_is_told_to_the_client() {
    let mut client = Client::start_with(&["--port", "/nonexistent/tty"]);
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]"#;
    client.send(batch);
    let answers = client.receive(SOON).unwrap();
    assert_eq!(answers[1]["id"], "b");
    for _ in 0..2 {
        let answer = client.call("ping", &json!({}));
        assert_eq!(answer["error"]["data"]["reason"], "line_closed");
        assert!(answer["error"]["message"].as_str().unwrap().contains("/nonexistent/tty"), "{answer}");
    }
    let notes = client.expect_end(SOON);
    assert!(notes.contains("the serial line is not open: /nonexistent/tty"), "{notes}");
}

#[test]
fn an_ended_board_does_not_hold_up_the_end() {
    let board = Board::start(Noise::default());
    let mut client = Client::start(&board.address);
    client.initialize();
    client.generate(20_000);
    board.order(Order::End);
    client.expect_end(SOON);
}
