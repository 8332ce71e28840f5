//! Random and mutated lines: nothing panics, every request is answered once, and the server goes on.

mod support;

use barellama_abi::outcome::Outcome;
use barellama_mcp::server::Work;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::{Host, Random, modern, request, ticket};

/// One good message of each kind.
fn seeds() -> Vec<String> {
    let generate = json!({"name": "generate", "arguments": {"prompt": "a \"b\"\n", "max_tokens": 5, "stop": ["x"]},
        "_meta": {"progressToken": "t"}});
    let chat =
        json!({"name": "chat", "arguments": {"messages": [{"role": "user", "content": "é"}], "temperature": 0.5}});
    let initialize = json!({"protocolVersion": "2025-03-26", "capabilities": {"roots": {"listChanged": true}},
        "clientInfo": {"name": "t", "version": "1"}});
    let rewrite = json!({"name": "rewrite", "arguments": {"text": "x", "tone": "plain"}});
    let complete =
        json!({"ref": {"type": "ref/prompt", "name": "rewrite"}, "argument": {"name": "tone", "value": "f"}});
    let messages = [
        request(1, "initialize", initialize),
        request(2, "tools/call", generate.clone()),
        modern("three", "tools/call", generate),
        request(4, "tools/call", chat),
        request(5, "tools/call", json!({"name": "score", "arguments": {"tokens": [1, 2, 3], "forced": [4]}})),
        request(6, "tools/call", json!({"name": "models", "arguments": {"action": "list"}})),
        request(7, "prompts/get", rewrite),
        request(8, "completion/complete", complete),
        request(9, "resources/read", json!({"uri": "pi://memory/arena"})),
        modern(10, "subscriptions/listen", json!({"notifications": {}})),
        modern(11, "server/discover", json!({})),
        request(12, "logging/setLevel", json!({"level": "debug"})),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}),
        json!([request(13, "ping", json!({})), request(14, "tools/list", json!({}))]),
    ];
    messages.iter().map(Value::to_string).collect()
}

fn mutate(seed: &str, others: &[String], random: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 16] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "1e999",
        "-1",
        "\\u0000",
        "\\ud800",
        "true",
        "\u{0}",
        "2025-06-18",
    ];
    let mut line = seed.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(line.len().max(1));
        let end = (at + 1 + random.below(12)).min(line.len());
        match random.below(6) {
            0 => drop(line.drain(at.min(end)..end)),
            1 => line.splice(at..at, PIECES[random.below(PIECES.len())].bytes()).for_each(drop),
            2 if at < line.len() => line[at] = u8::try_from(random.below(256)).unwrap(),
            3 => {
                let part = line[at.min(end)..end].to_vec();
                line.splice(at..at, part).for_each(drop);
            }
            4 => line.truncate(at),
            _ => {
                let other = others[random.below(others.len())].as_bytes();
                let from = random.below(other.len());
                line.truncate(at);
                line.extend_from_slice(&other[from..]);
            }
        }
    }
    line.retain(|&byte| byte != b'\n');
    line
}

/// Ends all work, some of it with text; the answers.
fn carry_out(host: &mut Host, random: &mut Random) -> Vec<Value> {
    for work in host.works() {
        let ticket = ticket(&work);
        if !matches!(work, Work::Cancel { .. }) && random.once_in(2) {
            host.server.text(ticket, "[1,2]", host.now_ns);
        }
        match random.below(3) {
            0 => host.server.fail(ticket, "no"),
            _ => host.server.finish(ticket, &Outcome::default(), host.now_ns),
        }
    }
    host.now_ns += 200_000_000;
    host.flush()
}

/// How many answers a good line must get: by id, and without one.
fn expected_answers(line: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(line) else { return 1 };
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return 0;
    }
    match serde_json::from_str::<Value>(text) {
        // Half a surrogate pair is JSON, but no text.
        Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => usize::MAX,
        Err(_) => 1,
        Ok(Value::Array(_)) => usize::MAX,
        Ok(Value::Object(message)) => {
            let is_message = message.get("jsonrpc") == Some(&json!("2.0"));
            let is_notification = message.get("method").is_some_and(Value::is_string) && !message.contains_key("id");
            let is_response =
                !message.contains_key("method") && ["result", "error"].iter().any(|key| message.contains_key(*key));
            usize::from(!(is_message && (is_notification || is_response)))
        }
        Ok(_) => 1,
    }
}

fn is_answer(message: &Value) -> bool {
    message.get("method").is_none() || message["method"] == "notifications/subscriptions/acknowledged"
}

#[test]
fn mutated_messages_are_answered_once_or_ignored_and_never_stop_the_server() {
    let seeds = seeds();
    let mut random = Random::new(11);
    let mut host = Host::legacy("2025-11-25");
    let mut opened = 0;
    for round in 0..60_000 {
        let line = mutate(&seeds[random.below(seeds.len())], &seeds, &mut random);
        let expected = expected_answers(&line);
        host.send_line(&line);
        let mut messages = host.messages();
        messages.extend(carry_out(&mut host, &mut random));
        let answers = messages.iter().filter(|message| is_answer(message)).count();
        let text = String::from_utf8_lossy(&line);
        if expected != usize::MAX && !has_duplicates(&text) {
            assert_eq!(answers, expected, "round {round}: {text}\n{messages:?}");
        }
        for message in &messages {
            assert!(
                message.get("method").is_none() || message.get("id").is_none(),
                "the server asks nothing: {message}"
            );
        }
        for message in messages.iter().filter(|message| message.get("error").is_some()) {
            let code = message["error"]["code"].as_i64().unwrap();
            assert!([-32700, -32600, -32601, -32602, -32603, -32002, -32022].contains(&code), "{message}");
        }
        opened += usize::from(answers > 0);
        assert_eq!(host.server.open_calls(), 0, "{text}");
        if round % 500 == 0 {
            host.server.close(&mut host.outbox);
            host.messages();
            assert_eq!(host.ask(&request("alive", "ping", json!({})))["id"], "alive");
        }
    }
    assert!(opened > 10_000);
}

/// Equal keys: serde_json's `Value` keeps the last one, the server refuses the line.
fn has_duplicates(text: &str) -> bool {
    barellama_mcp::json::check(text).is_err()
}

#[test]
fn random_bytes_are_parse_errors_or_nothing() {
    let mut random = Random::new(3);
    let mut host = Host::default();
    for _ in 0..50_000 {
        let length = random.below(40);
        let line: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).filter(|&byte| byte != b'\n').collect();
        host.send_line(&line);
        let messages = host.messages();
        assert!(messages.len() <= 1 && messages.iter().all(|one| one["error"]["code"].as_i64() < Some(-32000)));
    }
    assert_eq!(host.ask(&request(1, "ping", json!({})))["result"], json!({}));
}
