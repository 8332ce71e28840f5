//! Calls that take time: tickets, streaming, results, cancel, queue, batches, room.

mod support;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::syscall::Phase;
use barellama_mcp::outbox::REFUSAL_ROOM_BYTES;
use barellama_mcp::resources::{MemoryRegion, Resource};
use barellama_mcp::server::{ModelEntry, SystemStatus, TEXT_BYTES_MAX, Ticket, Work};
use serde_json::{Value, json};
use support::{Host, modern, request, ticket};

const DONE: Outcome = Outcome {
    stop_reason: StopReason::EndOfGeneration,
    prompt_tokens: 10,
    reused_tokens: 2,
    generated_tokens: 5,
    context_used_tokens: 15,
    context_tokens: 2048,
    prompt_ns: 80_000_000,
    decode_ns: 40_000_000,
    decode_passes: 4,
    drafted_tokens: 0,
    accepted_tokens: 0,
    decode_bytes: 400_000_000,
    decode_instructions: 0,
};

fn generate(id: impl Into<Value>, token: Option<Value>) -> Value {
    let mut params = json!({"name": "generate", "arguments": {"prompt": "x", "max_tokens": 5}});
    if let Some(token) = token {
        params["_meta"] = json!({"progressToken": token});
    }
    request(id, "tools/call", params)
}

fn begin(host: &mut Host, message: &Value) -> Ticket {
    host.send(message);
    host.ticket()
}

fn call(tool: &str, arguments: Value) -> Value {
    request(1, "tools/call", json!({"name": tool, "arguments": arguments}))
}

/// Carries out a call with a text from the engine; its result.
fn result_of(host: &mut Host, message: &Value, text: &str) -> Value {
    let ticket = begin(host, message);
    host.server.text(ticket, text, host.now_ns);
    host.server.finish(ticket, &DONE, host.now_ns);
    let messages = host.flush();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages[0]["result"].clone()
}

#[test]
fn a_generation_carries_all_of_it() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, None));
    host.now_ns += 7_000_000;
    host.server.started(ticket, host.now_ns);
    for part in ["Hel", "lo \"", "é\n"] {
        host.server.text(ticket, part, host.now_ns);
        assert!(host.flush().is_empty(), "no token, no progress");
    }
    host.server.finish(ticket, &DONE, host.now_ns);
    let result = host.flush()[0]["result"].clone();
    let expected = json!({"text": "Hello \"é\n", "stop_reason": "end", "truncated": false, "prompt_tokens": 10,
        "reused_tokens": 2, "generated_tokens": 5, "context_used_tokens": 15, "context_tokens": 2048, "queue_ms": 7,
        "prompt_ms": 80, "decode_ms": 40, "tokens_per_second": 100.0});
    assert_eq!(result["structuredContent"], expected);
    assert_eq!(result["content"][0], json!({"type": "text", "text": "Hello \"é\n"}));
    let figures: Value = serde_json::from_str(result["content"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(figures["stop_reason"], "end");
    assert_eq!((result["isError"].clone(), host.server.open_calls()), (json!(false), 0));
}

#[test]
fn older_revisions_have_no_structured_content() {
    for (revision, is_structured) in [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", true)] {
        let result = result_of(&mut Host::legacy(revision), &generate(1, None), "abc");
        assert_eq!(result.get("structuredContent").is_some(), is_structured, "{revision}");
        assert_eq!(result["content"][0]["text"], "abc");
    }
}

#[test]
fn progress_increases_keeps_its_token_and_carries_the_text_once() {
    for token in [json!(7), json!("seven")] {
        let mut host = Host::legacy("2025-11-25");
        let ticket = begin(&mut host, &generate(1, Some(token.clone())));
        let mut seen = Vec::new();
        for done in [4, 8] {
            host.server.progress(ticket, Phase::Prefill, done, 8, host.now_ns);
            host.now_ns += 60_000_000;
            seen.extend(host.flush());
        }
        for done in 1..=5 {
            host.server.text(ticket, &format!("t{done} "), host.now_ns);
            host.server.progress(ticket, Phase::Decode, done, 5, host.now_ns);
            host.now_ns += 60_000_000;
            seen.extend(host.flush());
        }
        host.server.text(ticket, "end", host.now_ns);
        host.server.finish(ticket, &DONE, host.now_ns);
        seen.extend(host.flush());
        let result = seen.pop().unwrap();
        assert!(
            seen.iter().all(|one| one["method"] == "notifications/progress" && one["params"]["progressToken"] == token)
        );
        let numbers: Vec<u64> = seen.iter().map(|one| one["params"]["progress"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted_by(|left, right| left < right), "{numbers:?}");
        assert!(seen.len() < 8, "grouped by time");
        let text: String = seen.iter().filter_map(|one| one["params"]["message"].as_str()).collect();
        assert_eq!(text, "t1 t2 t3 t4 t5 end");
        assert_eq!(result["result"]["structuredContent"]["text"], text);
        assert!(seen.iter().any(|one| one["params"]["total"] == 13));
        host.server.text(ticket, "late", host.now_ns);
        host.server.finish(ticket, &DONE, host.now_ns);
        assert!(host.flush().is_empty());
    }
}

#[test]
fn text_before_any_step_does_not_look_like_the_queue() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, Some(json!(1))));
    host.server.text(ticket, "abc", host.now_ns);
    let message = host.flush().remove(0);
    assert_eq!(message["params"], json!({"progressToken": 1, "progress": 1, "message": "abc"}));
}

#[test]
fn progress_without_text_where_the_revision_has_none() {
    let mut host = Host::legacy("2024-11-05");
    let ticket = begin(&mut host, &generate(1, Some(json!(1))));
    host.server.text(ticket, "abc", host.now_ns);
    host.server.progress(ticket, Phase::Decode, 1, 5, host.now_ns);
    let message = host.flush().remove(0);
    assert_eq!(message["params"], json!({"progressToken": 1, "progress": 1, "total": 5}));
}

#[test]
fn bad_progress_tokens_are_refused() {
    for token in [json!(1.5), json!(null), json!({}), json!("x".repeat(200))] {
        let answer = Host::legacy("2025-11-25").ask(&generate(1, Some(token)));
        assert_eq!(answer["error"]["code"], -32602);
    }
}

#[test]
fn while_the_line_is_behind_groups_grow() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, Some(json!(1))));
    for _ in 0..200 {
        host.server.text(ticket, "0123456789", host.now_ns);
        host.now_ns += 200_000_000;
        host.server.flush(host.now_ns, &mut host.outbox);
    }
    assert!(host.outbox.used_bytes() < 2_500, "{}", host.outbox.used_bytes());
    host.messages();
    let rest = host.flush().remove(0);
    assert!(rest["params"]["message"].as_str().unwrap().len() > 500);
    assert_eq!(host.server.next_flush_ns(), None);
    host.server.text(ticket, "x", host.now_ns);
    assert_eq!(host.server.next_flush_ns(), Some(host.now_ns + 100_000_000));
}

#[test]
fn too_much_text_is_cut_and_said_to_be() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, None));
    for _ in 0..TEXT_BYTES_MAX / 8 {
        host.server.text(ticket, "\u{1}é\u{1}", host.now_ns);
    }
    host.server.finish(ticket, &DONE, host.now_ns);
    let result = host.flush()[0]["result"].clone();
    assert_eq!(result["structuredContent"]["truncated"], true);
    let text = result["structuredContent"]["text"].as_str().unwrap();
    assert_eq!(text.len(), TEXT_BYTES_MAX / 14 * 4 + 3, "as JSON it fills the room");
}

#[test]
fn a_cancel_is_the_last_word() {
    let mut host = Host::legacy("2025-11-25");
    for id in [json!(1), json!("a\"b")] {
        let ticket = begin(&mut host, &generate(id.clone(), Some(json!("t"))));
        host.server.text(ticket, "abc", host.now_ns);
        host.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "reason": "x"}}),
        );
        assert!(matches!(host.works().as_slice(), [Work::Cancel { ticket: cancelled }] if *cancelled == ticket));
        host.server.text(ticket, "more", host.now_ns);
        host.server.progress(ticket, Phase::Decode, 2, 5, host.now_ns);
        assert!(host.flush().is_empty());
        assert_eq!(host.server.open_calls(), 1, "the engine still has it");
        host.server.finish(ticket, &DONE, host.now_ns);
        assert!(host.flush().is_empty());
        assert_eq!(host.server.open_calls(), 0);
    }
    let ticket = begin(&mut host, &generate(5, None));
    host.server.finish(ticket, &DONE, host.now_ns);
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}));
    assert!(host.flush().is_empty() && host.works().is_empty() && host.server.open_calls() == 0);
    let ticket = begin(&mut host, &generate("1", None));
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
    host.server.finish(ticket, &DONE, host.now_ns);
    assert_eq!(host.flush()[0]["id"], "1", "another type is another id");
}

#[test]
fn a_call_that_waits_says_so() {
    let mut host = Host::legacy("2025-11-25");
    let first = begin(&mut host, &generate(1, None));
    host.server.started(first, host.now_ns);
    let second = begin(&mut host, &generate(2, Some(json!("t"))));
    assert!(host.flush().is_empty(), "it may be taken at once");
    assert_eq!(host.server.next_flush_ns(), Some(host.now_ns + 100_000_000));
    host.now_ns += 100_000_000;
    let said = host.flush();
    let expected = json!({"progressToken": "t", "progress": 0, "message": "queued: 1 before this one"});
    assert_eq!((said.len(), &said[0]["params"]), (1, &expected));
    assert_eq!(host.server.next_flush_ns(), None);
    host.now_ns += 1_900_000_000;
    host.server.finish(first, &DONE, host.now_ns);
    host.server.started(second, host.now_ns);
    assert_eq!(host.flush().len(), 1, "the answer to the first");
    host.server.progress(second, Phase::Decode, 1, 5, host.now_ns);
    assert_eq!(host.flush()[0]["params"]["progress"], 1);
    host.server.finish(second, &DONE, host.now_ns);
    assert_eq!(host.flush()[0]["result"]["structuredContent"]["queue_ms"], 2000);
}

#[test]
fn a_call_that_runs_together_with_others_says_so() {
    let mut host = Host::legacy("2025-11-25");
    let first = begin(&mut host, &generate(1, Some(json!("a"))));
    host.server.started(first, host.now_ns);
    host.now_ns += 5_000_000_000;
    assert!(host.flush().is_empty() && host.server.next_flush_ns().is_none(), "alone there is nothing to say");
    host.server.progress(first, Phase::Prefill, 1, 1, host.now_ns);
    host.flush();
    for (id, token, is_waiting) in [(2, "b", false), (3, "c", true)] {
        let ticket = begin(&mut host, &generate(id, Some(json!(token))));
        host.server.started(ticket, host.now_ns);
        assert!(host.flush().is_empty());
        if is_waiting {
            assert_eq!(host.server.next_flush_ns(), Some(host.now_ns + 1_000_000_000));
            host.now_ns += 1_000_000_000;
            let expected = json!({"progressToken": token, "progress": 0, "message": "queued: 2 before this one"});
            assert_eq!(host.flush()[0]["params"], expected);
        }
        host.server.text(ticket, "x", host.now_ns);
        let mut said = host.flush();
        host.now_ns += 200_000_000;
        said.extend(host.flush());
        if !is_waiting {
            let expected =
                json!({"progressToken": token, "progress": 0, "message": "joined: runs together with 1 other"});
            assert_eq!(said.remove(0)["params"], expected);
        }
        let said: Vec<&Value> = said.iter().map(|message| &message["params"]).collect();
        assert_eq!(said, [&json!({"progressToken": token, "progress": 1, "message": "x"})]);
    }
}

#[test]
fn the_prompt_is_told_with_what_is_to_come() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, Some(json!(1))));
    host.server.progress(ticket, Phase::Prefill, 4, 8, host.now_ns);
    assert_eq!(host.flush()[0]["params"], json!({"progressToken": 1, "progress": 4, "total": 13}));
}

#[test]
fn other_requests_are_answered_while_a_generation_runs_and_too_many_are_refused() {
    let mut host = Host::legacy("2025-11-25");
    let tickets: Vec<Ticket> = (0..6).map(|id| begin(&mut host, &generate(id, None))).collect();
    assert_eq!(host.ask(&request("p", "ping", json!({})))["result"], json!({}));
    let busy = host.ask(&generate(6, None));
    assert_eq!(busy["result"]["isError"], true);
    assert!(busy["result"]["content"][0]["text"].as_str().unwrap().starts_with("Busy"));
    assert_eq!(host.ask(&request(7, "resources/read", json!({"uri": "pi://log"})))["error"]["code"], -32603);
    let double = host.ask(&request(3, "ping", json!({})));
    assert_eq!((&double["id"], &double["error"]["code"]), (&Value::Null, &json!(-32600)));
    for ticket in tickets {
        host.server.finish(ticket, &DONE, host.now_ns);
    }
    let ids: Vec<Value> = host.flush().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, (0..6).map(|id| json!(id)).collect::<Vec<_>>());
}

#[test]
fn failures_are_results_that_a_model_can_read() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, None));
    host.server.error_text(ticket, "the prompt has 9 tokens, the context holds 8\n");
    host.server.finish(ticket, &Outcome { stop_reason: StopReason::Error, ..DONE }, host.now_ns);
    let result = host.flush()[0]["result"].clone();
    let expected = json!([{"type": "text", "text": "the prompt has 9 tokens, the context holds 8"}]);
    assert_eq!((&result["isError"], &result["content"]), (&json!(true), &expected));
    let ticket = begin(&mut host, &generate(2, None));
    host.server.finish(ticket, &Outcome { stop_reason: StopReason::Fault, ..DONE }, host.now_ns);
    assert!(host.flush()[0]["result"]["content"][0]["text"].as_str().unwrap().contains("faulted"));
    let ticket = begin(&mut host, &generate(3, None));
    host.server.fail(ticket, "no model is loaded");
    assert_eq!(host.flush()[0]["result"]["content"][0]["text"], "no model is loaded");
    let message = request(4, "prompts/get", json!({"name": "chat_template", "arguments": {"message": "x"}}));
    let ticket = begin(&mut host, &message);
    host.server.fail(ticket, "no template");
    assert_eq!(host.flush()[0]["error"], json!({"code": -32603, "message": "no template"}));
}

#[test]
fn texts_and_ids_go_both_ways() {
    let mut host = Host::legacy("2025-11-25");
    let tokenize = call("tokenize", json!({"text": "x"}));
    let result = result_of(&mut host, &tokenize, "[1,2,49151]\n");
    assert_eq!(result["structuredContent"], json!({"tokens": [1, 2, 49151], "count": 3, "truncated": false}));
    assert_eq!(result_of(&mut host, &tokenize, "[]\n")["structuredContent"]["tokens"], json!([]));
    for bad in ["", "[1,", "[1,x]", "[-1]", "nonsense", "[1]],\"evil\":[1"] {
        assert_eq!(result_of(&mut host, &tokenize, bad)["isError"], true, "{bad}");
    }
    let long = format!("[{}", "12345,".repeat(10_000));
    let result = result_of(&mut host, &tokenize, &long)["structuredContent"].clone();
    assert_eq!(result["truncated"], true);
    assert!(result["count"].as_u64().unwrap() > 6_000);
    let result = result_of(&mut host, &call("detokenize", json!({"tokens": [1]})), "é\u{1}");
    assert_eq!(result["structuredContent"], json!({"text": "é\u{1}", "truncated": false}));
}

#[test]
fn scores_are_read_before_they_are_passed_on() {
    let mut host = Host::legacy("2025-11-25");
    let score = call("score", json!({"prompt": "x"}));
    let line = "{\"step\":0,\"id\":5,\"top\":[[5,1.5],[7,null]],\"crc\":\"00ff00ff\"}\n";
    let result = result_of(&mut host, &score, &line.repeat(2))["structuredContent"].clone();
    assert_eq!(result["steps"][1], serde_json::from_str::<Value>(line).unwrap());
    assert_eq!((&result["stop_reason"], &result["prompt_tokens"]), (&json!("end"), &json!(10)));
    assert_eq!((&result["generated_tokens"], &result["prompt_ms"]), (&json!(5), &json!(80)));
    for bad in ["x\n", "{\"step\":0}\n", "{\"step\":0,\"id\":5,\"top\":[],\"crc\":\"\",\"x\":1}\n"] {
        assert_eq!(result_of(&mut host, &score, bad)["isError"], true, "{bad}");
    }
    let result = result_of(&mut host, &score, &line.repeat(2_000))["structuredContent"].clone();
    assert_eq!(result["truncated"], true);
    assert!(result["steps"].as_array().unwrap().len() > 300);
}

#[test]
fn a_benchmark_counts_what_was_really_read() {
    let result = result_of(&mut Host::legacy("2025-11-25"), &call("benchmark", json!({})), " the the");
    let content = &result["structuredContent"];
    assert_eq!((&content["prompt_tokens_per_second"], &content["tokens_per_second"]), (&json!(100.0), &json!(100.0)));
    assert!(content.get("text").is_none());
}

#[test]
fn status_and_models_are_the_kernels_to_say() {
    let mut host = Host::default();
    host.send(&modern(1, "tools/call", json!({"name": "system_status"})));
    let ticket = host.ticket();
    let status = SystemStatus {
        board: "Pi 4",
        engine: "ready",
        temperature_millidegrees: Some(51_000),
        ..SystemStatus::default()
    };
    host.server.status(ticket, &status, &mut host.outbox).unwrap();
    let content = host.only()["result"]["structuredContent"].clone();
    assert_eq!((&content["temperature_millidegrees"], &content["throttled_bits"]), (&json!(51_000), &Value::Null));
    assert_eq!((&content["model"], &content["open_calls"]), (&Value::Null, &json!(1)));

    host.send(&modern(2, "tools/call", json!({"name": "models", "arguments": {"action": "list"}})));
    let ticket = host.ticket();
    let models = [ModelEntry { name: "a.gguf", bytes: 5, is_loaded: true }];
    host.server.models(ticket, &models, &mut host.outbox).unwrap();
    let content = host.only()["result"]["structuredContent"].clone();
    assert_eq!(content, json!({"models": [{"name": "a.gguf", "bytes": 5, "is_loaded": true}], "truncated": false}));

    host.send(&modern(3, "tools/call", json!({"name": "models", "arguments": {"action": "load", "name": "b.gguf"}})));
    let works = host.works();
    assert!(matches!(&works[0], Work::LoadModel { name, .. } if name == "b.gguf"));
    host.server.text(ticket_of(&works), "b.gguf", host.now_ns);
    host.server.finish(ticket_of(&works), &Outcome::default(), host.now_ns);
    assert_eq!(
        host.flush()[0]["result"]["structuredContent"]["models"][0],
        json!({"name": "b.gguf", "is_loaded": true})
    );
}

fn ticket_of(works: &[Work]) -> Ticket {
    ticket(&works[0])
}

#[test]
fn resources_are_text_or_blob_and_never_empty() {
    let mut host = Host::default();
    let read = |host: &mut Host, uri: &str| {
        host.send(&modern(1, "resources/read", json!({"uri": uri})));
        let works = host.works();
        let Work::ReadResource { ticket, resource } = works[0] else { panic!("{works:?}") };
        (ticket, resource)
    };
    let (ticket, resource) = read(&mut host, "pi://memory/rings");
    assert_eq!(resource, Resource::MemoryRegion(MemoryRegion::Rings));
    host.server.resource_text(ticket, &|out| out.write_str("at \"0x80000000\"\n"), &mut host.outbox).unwrap();
    let result = host.only()["result"].clone();
    let contents = json!([{"uri": "pi://memory/rings", "mimeType": "text/plain", "text": "at \"0x80000000\"\n"}]);
    assert_eq!((&result["contents"], &result["ttlMs"]), (&contents, &json!(0)));

    let (ticket, _) = read(&mut host, "pi://dtb");
    host.server.resource_blob(ticket, &[0xD0, 0x0D, 0xFE, 0xED], &mut host.outbox).unwrap();
    let content = host.only()["result"]["contents"][0].clone();
    assert_eq!(content, json!({"uri": "pi://dtb", "mimeType": "application/octet-stream", "blob": "0A3+7Q=="}));

    let (ticket, _) = read(&mut host, "pi://model/tensors");
    host.server.text(ticket, "a tensor\n", host.now_ns);
    host.server.finish(ticket, &Outcome::default(), host.now_ns);
    assert_eq!(host.flush()[0]["result"]["contents"][0]["text"], "a tensor\n");

    let (ticket, _) = read(&mut host, "pi://log");
    let too_long = |out: &mut dyn std::fmt::Write| (0..40_000).try_for_each(|_| out.write_str("0123456789"));
    host.server.resource_text(ticket, &too_long, &mut host.outbox).unwrap();
    assert_eq!(host.only()["error"]["code"], -32603);
}

#[test]
fn answers_wait_for_room() {
    let mut host = Host::legacy("2025-11-25");
    let ticket = begin(&mut host, &generate(1, None));
    host.server.text(ticket, &"x".repeat(40_000), host.now_ns);
    host.server.finish(ticket, &DONE, host.now_ns);
    host.send(&request(2, "resources/read", json!({"uri": "pi://dtb"})));
    let reading = host.ticket();
    while host.outbox.free_bytes() > 60_000 {
        host.send(&request("fill", "tools/list", json!({})));
    }
    assert!(!host.outbox.has_room_to_receive());
    let blob = vec![0; 60_000];
    assert!(host.server.resource_blob(reading, &blob, &mut host.outbox).is_err());
    host.server.flush(host.now_ns, &mut host.outbox);
    assert_eq!(host.server.next_flush_ns(), Some(0));
    assert!(host.messages().iter().all(|message| message["id"] == "fill"));
    host.server.resource_blob(reading, &blob, &mut host.outbox).unwrap();
    assert_eq!(host.only()["id"], 2);
    assert_eq!(host.flush()[0]["id"], 1);
    assert_eq!(host.outbox.lost_messages(), 0);
}

#[test]
fn a_new_client_finds_nothing_of_the_old_one() {
    let mut host = Host::legacy("2025-11-25");
    let first = begin(&mut host, &generate(1, Some(json!(1))));
    let second = begin(&mut host, &generate(2, None));
    host.messages();
    host.server.finish(second, &DONE, host.now_ns);
    host.server.reset();
    assert!(matches!(host.works().as_slice(), [Work::Cancel { ticket }] if *ticket == first));
    host.server.text(first, "x", host.now_ns);
    host.server.finish(first, &DONE, host.now_ns);
    assert!(host.flush().is_empty() && host.server.open_calls() == 0);
    assert_eq!(host.ask(&request(1, "tools/list", json!({})))["error"]["code"], -32602, "no session");

    let mut host = Host::legacy("2025-11-25");
    let old = begin(&mut host, &generate(0, None));
    let params =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}});
    assert!(host.ask(&request(0, "initialize", params))["result"].is_object());
    assert!(matches!(host.works().as_slice(), [Work::Cancel { ticket }] if *ticket == old));
}

#[test]
fn a_batch_waits_for_its_calls() {
    let mut host = Host::legacy("2025-03-26");
    let batch = json!([generate(1, Some(json!("t"))), request(2, "ping", json!({})), generate(3, None)]);
    host.send(&batch);
    let tickets: Vec<Ticket> = host.works().iter().map(ticket).collect();
    assert_eq!(tickets.len(), 2);
    assert_eq!(host.messages().len(), 0);
    host.server.text(tickets[0], "abc", host.now_ns);
    assert_eq!(host.flush()[0]["method"], "notifications/progress");
    host.server.finish(tickets[0], &DONE, host.now_ns);
    assert!(host.flush().is_empty());
    host.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}));
    let answers = host.flush().remove(0);
    let ids: Vec<Value> = answers.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!(2), json!(1)]);
    host.server.finish(tickets[1], &DONE, host.now_ns);
    assert!(host.flush().is_empty() && host.server.open_calls() == 0);
}

#[test]
fn two_batches_may_wait_and_a_third_is_refused() {
    let mut host = Host::legacy("2025-03-26");
    host.send(&json!([generate(1, None)]));
    host.send(&json!([generate(2, None)]));
    let tickets: Vec<Ticket> = host.works().iter().map(ticket).collect();
    assert_eq!(host.ask(&json!([request(3, "ping", json!({}))]))["error"]["code"], -32600);
    for ticket in tickets {
        host.server.finish(ticket, &DONE, host.now_ns);
    }
    assert_eq!(host.flush().len(), 2);
    assert_eq!(host.ask(&json!([request(3, "ping", json!({}))]))[0]["id"], 3);
}

#[test]
fn without_room_requests_are_refused_with_their_id_and_cancels_are_heard() {
    let mut host = Host::legacy("2025-11-25");
    let running = begin(&mut host, &generate("running", None));
    while host.outbox.has_room_to_receive() {
        host.send(&request("fill", "tools/list", json!({})));
    }
    let lines = [
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#, Some((-32603, json!(7)))),
        (r#"[{"jsonrpc":"2.0","id":7,"method":"tools/list"}]"#, Some((-32603, Value::Null))),
        (r#"{"jsonrpc":"2.0","id":8,"method":5}"#, Some((-32600, json!(8)))),
        ("nonsense", Some((-32700, Value::Null))),
        (r#"{"jsonrpc":"2.0","id":9,"result":{}}"#, None),
        (r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"running"}}"#, None),
    ];
    for (line, _) in &lines {
        host.server.refuse_line(line.as_bytes(), &mut host.outbox);
    }
    assert!(matches!(host.works().as_slice(), [Work::Cancel { ticket }] if *ticket == running));
    let answers = host.messages().into_iter().filter(|message| message["id"] != "fill");
    let answers: Vec<(i64, Value)> =
        answers.map(|answer| (answer["error"]["code"].as_i64().unwrap(), answer["id"].clone())).collect();
    assert_eq!(answers, lines.into_iter().filter_map(|(_, expected)| expected).collect::<Vec<_>>());
    assert!(host.outbox.peak_bytes() > 100_000 && host.outbox.lost_messages() == 0);
}

#[test]
fn the_longest_refusal_has_its_room() {
    let mut host = Host::legacy("2025-11-25");
    for method in ["\u{1}".repeat(500), "\"".repeat(500)] {
        let id = "\"".repeat(60);
        host.send(&request(id, &method, json!({})));
        let bytes = host.outbox.used_bytes();
        assert!(bytes > 500 && bytes <= REFUSAL_ROOM_BYTES, "{bytes}");
        host.messages();
    }
}
