//! Good and bad arguments of every tool.

use super::*;
use crate::server::{Submission, Ticket};
use barellama_abi::request::{RecordKind, Request, RequestKind};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

fn submit(tool: Tool, arguments: &str) -> Vec<u8> {
    let Ok(Order::Engine { header, deadline_ms, records }) = read(tool, arguments, 7) else { panic!("{arguments}") };
    let submission = Submission { ticket: Ticket::default(), header, deadline_ms, records };
    let mut slot = vec![0; 64 << 10];
    let length = submission.write(&mut slot, 9, 2).unwrap();
    slot.truncate(length);
    slot
}

fn reason(tool: Tool, arguments: &str) -> String {
    read(tool, arguments, 7).err().map_or_else(|| panic!("{arguments} was accepted"), |bad| bad.0.to_string())
}

#[test]
fn generate_takes_every_option() {
    let slot = submit(
        Tool::Generate,
        r#"{"prompt":"a\nb","max_tokens":5.0,"temperature":1,"top_k":7,"top_p":0.5,"min_p":0,"repeat_penalty":1.5,
            "seed":9007199254740991,"stop":["x","é"],"deadline_ms":0}"#,
    );
    let request = Request::parse(&slot).unwrap();
    let header = request.header();
    assert_eq!((header.id, header.session, header.kind, header.max_tokens), (9, 2, RequestKind::Generate, 5));
    assert_eq!((header.sampling.top_k, header.sampling.seed), (7, 9_007_199_254_740_991));
    assert_eq!((header.sampling.temperature, header.sampling.top_p, header.sampling.min_p), (1.0, 0.5, 0.0));
    let records: Vec<_> = request.records().map(|record| (record.kind, record.bytes)).collect();
    assert_eq!(
        records,
        [(RecordKind::Prompt, b"a\nb".as_slice()), (RecordKind::Stop, b"x"), (RecordKind::Stop, "é".as_bytes())]
    );
}

#[test]
fn calls_end_before_clients_give_up() {
    let deadline = |arguments| match read(Tool::Generate, arguments, 0) {
        Ok(Order::Engine { header, deadline_ms, .. }) => (header.max_tokens, deadline_ms),
        _ => panic!("{arguments}"),
    };
    assert_eq!(deadline(r#"{"prompt":"x"}"#), (256, Some(55_000)));
    assert_eq!(deadline(r#"{"prompt":"x","deadline_ms":0,"max_tokens":0}"#), (0, None));
    assert_eq!(deadline(r#"{"prompt":"x","deadline_ms":null}"#).1, Some(55_000));
}

#[test]
fn chat_keeps_the_order_of_messages() {
    let slot = submit(
        Tool::Chat,
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
    );
    let kinds: Vec<_> = Request::parse(&slot).unwrap().records().map(|record| record.kind).collect();
    assert_eq!(kinds, [RecordKind::System, RecordKind::User, RecordKind::Assistant]);
}

#[test]
fn ids_are_little_endian_records() {
    let slot = submit(Tool::Detokenize, r#"{"tokens":[1,2,4294967295]}"#);
    let request = Request::parse(&slot).unwrap();
    assert_eq!(request.header().kind, RequestKind::Detokenize);
    assert!(request.records().next().unwrap().ids().eq([1, 2, u32::MAX]));
    let slot = submit(Tool::Score, r#"{"tokens":[1],"forced":[5,6],"top":3}"#);
    let request = Request::parse(&slot).unwrap();
    assert_eq!((request.header().max_tokens, request.header().top, request.header().ignore_end), (2, 3, true));
    assert!(request.records().nth(1).unwrap().ids().eq([5, 6]));
    let slot = submit(Tool::Tokenize, r#"{"text":"\u00e9"}"#);
    assert_eq!(Request::parse(&slot).unwrap().first(RecordKind::Prompt), Some("é".as_bytes()));
}

#[test]
fn benchmarks_never_share_a_prompt() {
    let prompt = |nonce| match read(Tool::Benchmark, r#"{"prompt_tokens":2}"#, nonce) {
        Ok(Order::Engine { records, header, .. }) => {
            assert!(header.ignore_end);
            let mut slot = vec![0; 256];
            let submission = Submission { ticket: Ticket::default(), header, deadline_ms: None, records };
            let length = submission.write(&mut slot, 1, 0).unwrap();
            Request::parse(&slot[..length]).unwrap().first(RecordKind::Prompt).unwrap().to_vec()
        }
        _ => panic!(),
    };
    assert_eq!(prompt(7), b"7 the the");
    assert_eq!(prompt(8), b"8 the the");
}

#[test]
fn the_other_tools_become_orders() {
    assert!(matches!(read(Tool::SystemStatus, "{}", 0), Ok(Order::Status)));
    assert!(matches!(read(Tool::Models, r#"{"action":"list"}"#, 0), Ok(Order::ListModels)));
    let load = read(Tool::Models, r#"{"action":"load","name":"a.gguf"}"#, 0);
    assert!(matches!(load, Ok(Order::LoadModel(name)) if name == "a.gguf"));
}

#[test]
fn bad_arguments_are_named() {
    for (tool, arguments, part) in [
        (Tool::Generate, "{}", "\"prompt\""),
        (Tool::Generate, r#"{"prompt":5}"#, "expected a string"),
        (Tool::Generate, r#"{"prompt":"x","max_token":1}"#, "max_token"),
        (Tool::Generate, r#"{"prompt":"x","max_tokens":65537}"#, "\"max_tokens\""),
        (Tool::Generate, r#"{"prompt":"x","max_tokens":-1}"#, "-1"),
        (Tool::Generate, r#"{"prompt":"x","max_tokens":1.5}"#, "1.5"),
        (Tool::Generate, r#"{"prompt":"x","max_tokens":1e400}"#, "out of range"),
        (Tool::Generate, r#"{"prompt":"x","temperature":-0.1}"#, "\"temperature\""),
        (Tool::Generate, r#"{"prompt":"x","temperature":1e39}"#, "\"temperature\""),
        (Tool::Generate, r#"{"prompt":"x","top_p":1.01}"#, "\"top_p\""),
        (Tool::Generate, r#"{"prompt":"x","repeat_penalty":0}"#, "\"repeat_penalty\""),
        (Tool::Generate, r#"{"prompt":"x","seed":9007199254740992}"#, "\"seed\""),
        (Tool::Generate, r#"{"prompt":"x","stop":[""]}"#, "\"stop\""),
        (Tool::Generate, r#"{"prompt":"x","stop":["1","2","3","4","5","6","7","8","9"]}"#, "at most 8"),
        (Tool::Generate, r#"{"prompt":"x","messages":[]}"#, "chat"),
        (Tool::Chat, r#"{"messages":[]}"#, "\"messages\""),
        (Tool::Chat, r#"{"messages":[{"role":"robot","content":"x"}]}"#, "robot"),
        (Tool::Chat, r#"{"messages":[{"role":"user"}]}"#, "content"),
        (Tool::Chat, r#"{"messages":"x"}"#, "at most 256"),
        (Tool::Tokenize, "{}", "text"),
        (Tool::Detokenize, r#"{"tokens":[4294967296]}"#, "4294967296"),
        (Tool::Score, "{}", "exactly one"),
        (Tool::Score, r#"{"prompt":"x","tokens":[1]}"#, "exactly one"),
        (Tool::Score, r#"{"prompt":"x","top":65}"#, "\"top\""),
        (Tool::Benchmark, r#"{"generate_tokens":1}"#, "\"generate_tokens\""),
        (Tool::SystemStatus, r#"{"x":1}"#, "x"),
        (Tool::Models, "{}", "action"),
        (Tool::Models, r#"{"action":"load"}"#, "\"name\""),
        (Tool::Models, r#"{"action":"load","name":"a\nb"}"#, "\"name\""),
        (Tool::Models, r#"{"action":"drop"}"#, "drop"),
    ] {
        let reason = reason(tool, arguments);
        assert!(reason.contains(part) && !reason.contains("at line"), "{arguments}: {reason}");
    }
}
