//! Every revision: how a session starts, what is known, and the exact errors.

mod support;

use serde_json::{Value, json};
use support::{Host, modern, request};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}"))
}

#[test]
fn initialize_agrees_on_what_is_asked_or_on_the_latest() {
    for revision in LEGACY {
        Host::legacy(revision);
    }
    for asked in ["2026-07-28", "1999-01-01", ""] {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = Host::default().ask(&request(1, "initialize", params));
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(answer["id"], 1);
    }
}

#[test]
fn initialize_wants_all_of_its_parameters() {
    let info = json!({"name": "t", "version": "1"});
    for params in [
        json!({}),
        json!({"protocolVersion": "2025-11-25", "capabilities": {}}),
        json!({"protocolVersion": "2025-11-25", "clientInfo": info}),
        json!({"capabilities": {}, "clientInfo": info}),
        json!({"protocolVersion": 5, "capabilities": {}, "clientInfo": info}),
        json!({"protocolVersion": "2025-11-25", "capabilities": [], "clientInfo": info}),
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t"}}),
    ] {
        assert_eq!(code(&Host::default().ask(&request(1, "initialize", params.clone()))), -32602, "{params}");
    }
}

#[test]
fn capabilities_are_those_of_the_revision() {
    let capabilities = |revision: &str| {
        let params =
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        Host::default().ask(&request(1, "initialize", params))["result"].clone()
    };
    let oldest = capabilities("2024-11-05");
    assert!(oldest["capabilities"].get("completions").is_none() && oldest["serverInfo"].get("title").is_none());
    let latest = capabilities("2025-11-25");
    for name in ["tools", "resources", "prompts", "logging", "completions"] {
        assert!(latest["capabilities"][name].is_object(), "{name}");
    }
    assert!(latest["serverInfo"]["title"].is_string() && latest.get("resultType").is_none());
    let modern = Host::default().ask(&modern(1, "server/discover", json!({})))["result"].clone();
    assert!(modern["capabilities"]["completions"].is_object() && modern["capabilities"].get("logging").is_none());
}

#[test]
fn discover_says_what_is_supported() {
    let answer = Host::default().ask(&modern("d", "server/discover", json!({})));
    let result = &answer["result"];
    assert_eq!(answer["id"], "d");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["supportedVersions"].as_array().unwrap().len(), 5);
    assert!(result["ttlMs"].as_u64().is_some() && result["cacheScope"] == "public");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "barellama");
}

#[test]
fn modern_requests_say_who_they_are() {
    let ask = |meta: Value| Host::default().ask(&request(1, "tools/list", json!({"_meta": meta})));
    let (version, capabilities) =
        ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities");
    assert_eq!(code(&ask(json!({}))), -32602);
    assert_eq!(code(&ask(json!({version: "2026-07-28"}))), -32602);
    assert_eq!(code(&ask(json!({version: "2026-07-28", capabilities: []}))), -32602);
    assert_eq!(code(&ask(json!({version: 2026, capabilities: {}}))), -32602);
    let level = "io.modelcontextprotocol/logLevel";
    assert_eq!(code(&ask(json!({version: "2026-07-28", capabilities: {}, level: "loud"}))), -32602);
    for unsupported in ["2026-07-29", "2025-11-25", "x"] {
        let answer = ask(json!({version: unsupported, capabilities: {}}));
        assert_eq!(code(&answer), -32022);
        assert_eq!(answer["error"]["data"]["requested"], unsupported);
        assert!(answer["error"]["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
    }
    assert!(ask(json!({version: "2026-07-28", capabilities: {}, level: "info"}))["result"]["tools"].is_array());
    assert_eq!(code(&Host::default().ask(&request(1, "tools/list", json!({"_meta": 1})))), -32602);
}

#[test]
fn methods_belong_to_their_eras() {
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "nope"] {
        assert_eq!(code(&Host::default().ask(&modern(1, method, json!({})))), -32601, "{method}");
    }
    for method in
        ["server/discover", "subscriptions/listen", "resources/subscribe", "tasks/get", "notifications/initialized"]
    {
        assert_eq!(code(&Host::legacy("2025-11-25").ask(&request(1, method, json!({})))), -32601, "{method}");
    }
    // Before a session: an unknown method is unknown in every era, a known one needs a revision.
    assert_eq!(code(&Host::default().ask(&request(1, "nope", json!({})))), -32601);
    assert_eq!(code(&Host::default().ask(&request(1, "tools/list", json!({})))), -32602);
    assert_eq!(code(&Host::default().ask(&request(1, "server/discover", json!({})))), -32602);
    assert_eq!(Host::default().ask(&request(1, "ping", json!({})))["result"], json!({}));
}

#[test]
fn both_eras_live_side_by_side() {
    let mut host = Host::legacy("2025-06-18");
    assert!(host.ask(&modern(1, "tools/list", json!({})))["result"]["resultType"] == "complete");
    assert!(host.ask(&request(2, "tools/list", json!({})))["result"].get("resultType").is_none());
}

#[test]
fn every_modern_result_is_marked_and_the_right_ones_are_cacheable() {
    let mut host = Host::default();
    for (method, params, is_cacheable) in [
        ("tools/list", json!({}), true),
        ("resources/list", json!({}), true),
        ("resources/templates/list", json!({}), true),
        ("prompts/list", json!({}), true),
        ("prompts/get", json!({"name": "rewrite", "arguments": {"text": "x"}}), false),
        ("tools/call", json!({"name": "generate", "arguments": {}}), false),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "rewrite"}, "argument": {"name": "tone", "value": ""}}),
            false,
        ),
    ] {
        let result = host.ask(&modern(1, method, params))["result"].clone();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["version"].is_string(), "{method}");
        assert_eq!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), is_cacheable, "{method}");
    }
}

#[test]
fn lists_have_one_page_and_no_cursors() {
    let mut host = Host::legacy("2025-11-25");
    for method in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
        let answer = host.ask(&request(1, method, json!({})));
        assert!(answer["result"].get("nextCursor").is_none());
        for cursor in [json!("x"), json!(5)] {
            assert_eq!(code(&host.ask(&request(1, method, json!({"cursor": cursor})))), -32602);
        }
    }
    let without_params = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    assert_eq!(host.ask(&without_params)["result"]["tools"].as_array().unwrap().len(), 8);
}

#[test]
fn missing_resources_have_the_code_of_their_era() {
    for revision in LEGACY {
        let answer = Host::legacy(revision).ask(&request(1, "resources/read", json!({"uri": "pi://nothing"})));
        assert_eq!((code(&answer), &answer["error"]["data"]["uri"]), (-32002, &json!("pi://nothing")));
    }
    let answer = Host::default().ask(&modern(1, "resources/read", json!({"uri": "pi://nothing"})));
    assert_eq!(code(&answer), -32602);
    assert_eq!(code(&Host::legacy("2025-11-25").ask(&request(1, "resources/read", json!({})))), -32602);
}

#[test]
fn wrong_calls_are_protocol_errors_and_wrong_arguments_are_results() {
    for mut host in LEGACY.map(Host::legacy) {
        for params in [
            json!({}),
            json!({"name": 5}),
            json!({"name": "nope"}),
            json!({"name": "generate", "arguments": []}),
            json!({"name": "generate", "arguments": "x"}),
        ] {
            assert_eq!(code(&host.ask(&request(1, "tools/call", params.clone()))), -32602, "{params}");
        }
        let answer = host.ask(&request(1, "tools/call", json!({"name": "generate", "arguments": {"prompt": 5}})));
        assert_eq!(answer["result"]["isError"], true);
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Invalid arguments"));
        assert!(host.works().is_empty());
    }
}

#[test]
fn prompts_check_their_arguments() {
    let mut host = Host::legacy("2025-11-25");
    for params in [
        json!({}),
        json!({"name": "nope"}),
        json!({"name": "rewrite"}),
        json!({"name": "rewrite", "arguments": {"tone": "x"}}),
        json!({"name": "rewrite", "arguments": {"text": 5}}),
        json!({"name": "rewrite", "arguments": {"text": "x", "volume": "loud"}}),
        json!({"name": "rewrite", "arguments": []}),
    ] {
        assert_eq!(code(&host.ask(&request(1, "prompts/get", params.clone()))), -32602, "{params}");
    }
    let params = json!({"name": "extract", "arguments": {"text": "a \"b\"\n", "fields": "names", "format": "json"}});
    let answer = host.ask(&request(1, "prompts/get", params));
    let text = answer["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("names") && text.contains("json") && text.ends_with("a \"b\"\n"), "{text}");
}

#[test]
fn completion_proposes_values() {
    let mut host = Host::legacy("2025-06-18");
    let mut complete = |reference: Value, name: &str, value: &str| {
        host.ask(&request(
            1,
            "completion/complete",
            json!({"ref": reference, "argument": {"name": name, "value": value}}),
        ))
    };
    let prompt = json!({"type": "ref/prompt", "name": "rewrite"});
    let answer = complete(prompt.clone(), "tone", "f");
    assert_eq!(answer["result"]["completion"], json!({"values": ["friendly", "formal"], "total": 2, "hasMore": false}));
    assert_eq!(complete(prompt.clone(), "text", "")["result"]["completion"]["values"], json!([]));
    let template = json!({"type": "ref/resource", "uri": "pi://memory/{region}"});
    assert_eq!(complete(template.clone(), "region", "ar")["result"]["completion"]["values"], json!(["arena"]));
    assert_eq!(code(&complete(prompt, "volume", "")), -32602);
    assert_eq!(code(&complete(template, "x", "")), -32602);
    assert_eq!(code(&complete(json!({"type": "ref/prompt", "name": "nope"}), "x", "")), -32602);
    assert_eq!(code(&complete(json!({"type": "ref/x"}), "x", "")), -32602);
    assert_eq!(code(&host.ask(&request(1, "completion/complete", json!({})))), -32602);
}

#[test]
fn log_messages_come_only_to_those_who_asked() {
    use barellama_mcp::server::LogLevel;
    let mut host = Host::legacy("2025-11-25");
    let log = |host: &mut Host, level| {
        host.server.log(level, "a \"line\"", &mut host.outbox);
        host.messages()
    };
    assert!(log(&mut host, LogLevel::Emergency).is_empty());
    for bad in [json!({}), json!({"level": "loud"}), json!({"level": 3})] {
        assert_eq!(code(&host.ask(&request(1, "logging/setLevel", bad))), -32602);
    }
    for level in ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"] {
        assert_eq!(host.ask(&request(1, "logging/setLevel", json!({"level": level})))["result"], json!({}));
    }
    host.ask(&request(1, "logging/setLevel", json!({"level": "warning"})));
    assert!(log(&mut host, LogLevel::Notice).is_empty());
    let messages = log(&mut host, LogLevel::Error);
    assert_eq!(messages[0]["params"], json!({"level": "error", "logger": "kernel", "data": "a \"line\""}));
    host.server.reset();
    assert!(log(&mut host, LogLevel::Emergency).is_empty());
    // In 2026-07-28 a line of the log belongs to a request that asks for it; those of the kernel belong to none.
    let mut host = Host::default();
    let mut listing = modern(1, "tools/list", json!({}));
    host.ask(&listing);
    assert!(log(&mut host, LogLevel::Emergency).is_empty());
    listing["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
    assert!(host.ask(&listing)["result"].is_object());
    assert!(log(&mut host, LogLevel::Emergency).is_empty());
}

#[test]
fn subscriptions_are_acknowledged_and_end_as_the_client_or_the_board_says() {
    let mut host = Host::default();
    let listen = |id: Value| modern(id, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    for id in [json!(7), json!("seven")] {
        let answer = host.ask(&listen(id.clone()));
        assert_eq!(answer["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(answer["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(answer["params"]["notifications"], json!({}));
    }
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}));
    assert!(host.messages().is_empty());
    host.server.close(&mut host.outbox);
    let end = host.only();
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("seven"), &json!("complete")));
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "seven");
    for id in 0..4 {
        host.ask(&listen(json!(id)));
    }
    assert_eq!(code(&host.ask(&listen(json!(5)))), -32603);
    assert_eq!(code(&host.ask(&modern(9, "subscriptions/listen", json!({})))), -32602);
}
