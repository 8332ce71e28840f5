//! Lines that are no good messages: the answer JSON-RPC asks for, and the server goes on.

mod support;

use barellama_mcp::LINE_BYTES_MAX;
use barellama_mcp::wire::{Line, LineAssembler};
use serde_json::{Value, json};
use support::{Host, request};

fn answer_to(line: &[u8]) -> (i64, Value) {
    let mut host = Host::legacy("2025-11-25");
    host.send_line(line);
    let answer = host.only();
    assert_eq!(host.ask(&request("after", "ping", json!({})))["id"], "after");
    (answer["error"]["code"].as_i64().unwrap(), answer["id"].clone())
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for line in [
        b"x".as_slice(),
        b"{",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}",
        b"{'a':1}",
        b"\xEF\xBB\xBF{}",
        b"{\"a\":\"\xFF\"}",
        b"\x00",
        b"[1,",
        b"nul",
        b"01",
        b"\"\x01\"",
    ] {
        assert_eq!(answer_to(line), (-32700, Value::Null), "{line:?}");
    }
}

#[test]
fn what_is_no_request_is_an_invalid_one() {
    for (line, id) in [
        ("1", Value::Null),
        ("\"x\"", Value::Null),
        ("null", Value::Null),
        ("{}", Value::Null),
        ("[]", Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"3.0","id":1,"method":"ping"}"#, json!(1)),
        (r#"{"id":1,"method":"ping"}"#, json!(1)),
        (r#"{"jsonrpc":"2.0","id":"x","method":1}"#, json!("x")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":1}"#, json!(1)),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"\u0061":2}}"#, json!(1)),
    ] {
        assert_eq!(answer_to(line.as_bytes()), (-32600, id), "{line}");
    }
    assert_eq!(answer_to(br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#), (-32602, json!(1)));
}

#[test]
fn what_is_too_large_is_refused_with_its_id() {
    let with = |value: String| format!(r#"{{"jsonrpc":"2.0","id":5,"method":"ping","params":{{"x":{value}}}}}"#);
    let nested = |depth: usize| with(["[".repeat(depth), "]".repeat(depth)].concat());
    assert_eq!(answer_to(nested(31).as_bytes()), (-32600, json!(5)));
    assert_eq!(answer_to(nested(30_000).as_bytes()), (-32600, json!(5)));
    assert_eq!(Host::legacy("2025-11-25").ask_line(&nested(30))["result"], json!({}));
    assert_eq!(answer_to(with(format!("[{}1]", "1,".repeat(20_000))).as_bytes()), (-32600, json!(5)));
    let keys: Vec<String> = (0..300).map(|key| format!("\"{key}\":1")).collect();
    assert_eq!(answer_to(with(format!("{{{}}}", keys.join(","))).as_bytes()), (-32600, json!(5)));
    let id = "x".repeat(200);
    assert_eq!(answer_to(request(id, "ping", json!({})).to_string().as_bytes()), (-32600, Value::Null));
    let mut host = Host::default();
    host.server.receive_too_long(&mut host.outbox);
    assert_eq!(host.only()["error"]["code"], -32600);
}

/// Bytes as the kernel gives them to the server in plain mode; `*` is a loss.
fn receive_bytes(host: &mut Host, bytes: &str) -> Vec<(Value, Value)> {
    let mut buffer = vec![0; LINE_BYTES_MAX];
    let mut lines = LineAssembler::new(&mut buffer);
    for byte in bytes.bytes() {
        if byte == b'*' {
            lines.lose();
            continue;
        }
        match lines.push(byte) {
            Some(Line::Whole(line)) => host.send_line(line),
            Some(Line::TooLong) => host.server.receive_too_long(&mut host.outbox),
            Some(Line::Broken) => host.server.receive_broken(&mut host.outbox),
            None => {}
        }
    }
    host.messages().into_iter().map(|answer| (answer["id"].clone(), answer["error"]["code"].clone())).collect()
}

#[test]
fn what_was_lost_on_the_line_is_told_and_not_carried_out() {
    let good = |id: i32| json!([id, null]);
    let lost = json!([null, -32700]);
    let ping = |id: i32| format!("{}\n", request(id, "ping", json!({})));
    for (bytes, expected) in [
        // Still JSON without the lost digits: it must not be taken for what the client sent.
        (ping(1).replace("1,", "1*,") + &ping(2), vec![lost.clone(), good(2)]),
        // The line end between two requests.
        (ping(1).replace('\n', "*") + &ping(2) + &ping(3), vec![lost.clone(), good(3)]),
        // A whole line: which one nobody knows, so the next one pays for it.
        ("*".to_owned() + &ping(2) + &ping(3), vec![lost.clone(), good(3)]),
        (ping(1) + "*\n" + &ping(2), vec![good(1), lost.clone(), good(2)]),
        (format!("{}*\n{}", "x".repeat(LINE_BYTES_MAX + 9), ping(2)), vec![lost.clone(), good(2)]),
    ] {
        let answers = receive_bytes(&mut Host::legacy("2025-11-25"), &bytes);
        let answers: Vec<Value> = answers.into_iter().map(|(id, code)| json!([id, code])).collect();
        assert_eq!(answers, expected, "{}", &bytes[..bytes.len().min(200)]);
    }
    let mut host = Host::default();
    host.server.receive_broken(&mut host.outbox);
    assert!(host.only()["error"]["message"].as_str().is_some_and(|message| message.contains("overrun")));
}

#[test]
fn ids_come_back_as_they_were() {
    let mut host = Host::legacy("2025-11-25");
    for id in
        ["0", "-7", "9007199254740993", "123456789012345678901234567890", "\"\"", "\"1\"", "\"\\u00e9\\n\"", "\"é\""]
    {
        host.send_line(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#).as_bytes());
        let line = String::from_utf8(host.outbox.peek().to_vec()).unwrap();
        assert!(line.contains(&format!("\"id\":{id},")), "{line}");
        host.messages();
    }
}

#[test]
fn notifications_and_answers_are_never_answered() {
    let mut host = Host::legacy("2025-11-25");
    for line in [
        "",
        "   \t",
        "\r",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/nope","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"generate","arguments":{"prompt":"x"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
    ] {
        host.send_line(line.as_bytes());
        assert!(host.messages().is_empty() && host.works().is_empty(), "{line}");
    }
}

#[test]
fn batches_are_answered_together_where_the_revision_has_them() {
    for revision in ["2024-11-05", "2025-03-26"] {
        let mut host = Host::legacy(revision);
        let answers = host.ask_line(
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},5,{"jsonrpc":"2.0","method":"notifications/x"},
                ["2.0",2,"ping"],{"jsonrpc":"2.0","id":"3","method":"nope"},
                {"jsonrpc":"2.0","id":4,"method":"initialize","params":{}}]"#,
        );
        let summary: Vec<(Value, Value)> =
            answers.as_array().unwrap().iter().map(|one| (one["id"].clone(), one["error"]["code"].clone())).collect();
        assert_eq!(
            summary,
            [
                (json!(1), Value::Null),
                (Value::Null, json!(-32600)),
                (Value::Null, json!(-32600)),
                (json!("3"), json!(-32601)),
                (json!(4), json!(-32600)),
            ]
        );
        host.send_line(br#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#);
        assert!(host.messages().is_empty());
        assert_eq!(host.ask_line("[]")["error"]["code"], -32600);
        let many = format!("[{}1]", "1,".repeat(40));
        assert_eq!(host.ask_line(&many)["error"]["code"], -32600);
    }
    for revision in ["2025-06-18", "2025-11-25"] {
        assert_eq!(Host::legacy(revision).ask_line("[1]")["error"]["code"], -32600);
    }
    assert_eq!(Host::default().ask_line("[1]")["error"]["code"], -32600);
}

#[test]
fn a_batch_too_long_to_answer_gets_an_error_for_each_request() {
    let mut host = Host::legacy("2025-03-26");
    let requests: Vec<Value> = (0..20).map(|id| request(id, "tools/list", json!({}))).collect();
    let answers = host.ask(&Value::Array(requests));
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 20);
    assert!(answers[0]["result"].is_object());
    assert_eq!(answers[19]["error"]["code"], -32603);
    assert!((0..20).all(|id| answers[id]["id"] == json!(id)));
}
