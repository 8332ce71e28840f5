//! What a generated token costs where several sessions generate in the same passes over the weights, and what preparing a model
//! costs: executed instructions.

use std::error::Error;

use barellama_tests::card::Card;
use barellama_tests::machine::LONG;
use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

use crate::Outcome;
use crate::row::row;
use crate::tinyllama::bytes_read_by_a_token_of;

/// A board, for estimates of the time that a token takes on its four cores.
struct Board {
    name: &'static str,
    /// What a core reads in a second, measured by others (sbc-bench): four cores read no less together.
    bytes_per_second: f64,
    /// Clock times four cores times instructions a cycle in the loop over tokens by llvm-mca (`ONLY=cycles`, Q4_1, gemm).
    instructions_per_second: f64,
}

const BOARDS: [Board; 2] = [
    Board { name: "Pi 4 at 1.5 GHz", bytes_per_second: 4.4e9, instructions_per_second: 1.5e9 * 4.0 * 7.5 / 4.4 },
    Board { name: "Pi 3 at 1.2 GHz", bytes_per_second: 2.3e9, instructions_per_second: 1.2e9 * 4.0 * 7.5 / 11.5 },
];

/// Tokens of the answer that is measured.
const TOKENS: u64 = 12;
/// The answers that began before it go on for so many tokens more: until it has ended.
const AHEAD: u64 = 6;
const NS_PER_MS: u64 = 1_000_000;

/// Prints the figures.
pub fn measure() -> Outcome {
    interleaving()?;
    let mut alone = 0;
    for sessions in [1, 2, 4] {
        let per_token = instructions_per_token(sessions)?;
        if sessions == 1 {
            alone = per_token;
        }
        let share = format!("{} = {:.2} x", millions(per_token), per_token as f64 / alone as f64);
        row(&format!("SmolLM2 Q4_1: per generated token, {sessions} session(s), 1 core"), share);
        let bytes = bytes_per_token(sessions)?;
        row("  bytes of weights, keys and values read", format!("{:.1} MB", bytes / 1e6));
        for board in &BOARDS {
            let memory_ms = bytes / board.bytes_per_second * 1e3;
            let compute_ms = per_token as f64 / board.instructions_per_second * 1e3;
            let shown = format!("memory {memory_ms:.1} ms, computing {compute_ms:.1} ms");
            row(&format!("  estimate for a {}", board.name), shown);
        }
    }
    Ok(())
}

/// What is read for a token in the middle of the answer, if the weights are shared by all sessions.
fn bytes_per_token(sessions: u64) -> Result<f64, Box<dyn Error>> {
    let model = artifacts::smollm2();
    let weights = bytes_read_by_a_token_of(&model, 0)?;
    let with_cache = bytes_read_by_a_token_of(&model, TOKENS as usize)?;
    Ok(weights as f64 / sessions as f64 + (with_cache - weights) as f64)
}

/// What it costs to interleave the rows of a model, by the engine's own report.
fn interleaving() -> Outcome {
    let mut machine = Machine::raspi4b().placed_model(&artifacts::smollm2()).counting_instructions().boot();
    let shown = machine.expect_ready();
    let report = shown.lines().find_map(|line| line.split_once("interleaved: ")).ok_or("no report of interleaving")?.1;
    // `90.3 MB in 101 ms`.
    let words: Vec<&str> = report.split_whitespace().collect();
    let [megabytes, "MB", "in", milliseconds, ..] = words[..] else { return Err(report.into()) };
    let instructions = milliseconds.parse::<f64>()? * 1e6 / megabytes.parse::<f64>()?;
    row("SmolLM2 Q4_1: instructions per MB to interleave, all cores", format!("{:.2} M", instructions / 1e6));
    Ok(())
}

/// Instructions of a pass in which all sessions generate, for each of them.
fn instructions_per_token(sessions: u64) -> Result<u64, Box<dyn Error>> {
    let configuration = format!("sessions = {sessions}\ncontext = 256\ncores = 1\nspeculation = off\n");
    let card = Card::with_texts(&[("barellama.txt", &configuration)]);
    let setup = Machine::raspi4b().placed_model(&artifacts::smollm2()).card(&card.path());
    let mut machine = setup.counting_instructions().boot();
    machine.expect_ready();
    machine.send(calls(sessions));
    machine.expect(&format!("\"id\":{sessions},\"result\""), LONG);
    machine.expect("\n", LONG);
    let transcript = machine.transcript();
    let answers = transcript.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok());
    // If another one ended before, they did not generate together all the time.
    let answer = answers.filter(|answer| answer["id"].is_u64()).find(|answer| answer.get("result").is_some());
    let answer = answer.filter(|answer| answer["id"] == sessions);
    let decode_ms = answer.as_ref().and_then(|answer| answer["result"]["structuredContent"]["decode_ms"].as_u64());
    let decode_ms = decode_ms.ok_or_else(|| format!("call {sessions} did not end first"))?;
    Ok(decode_ms * NS_PER_MS / (TOKENS - 1) / sessions)
}

/// `12.3 M` of 12,345,678.
fn millions(instructions: u64) -> String {
    format!("{:.1} M", instructions as f64 / 1e6)
}

/// An MCP client's lines: as many calls as sessions, of which the last is the first to end.
fn calls(sessions: u64) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}});
    let mut lines = format!("{hello}\r\n{}\r\n", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    for id in 1..=sessions {
        let tokens = TOKENS + AHEAD * (sessions - id);
        let arguments = json!({"prompt": format!("Chapter {id}. It was"), "max_tokens": tokens});
        let params = json!({"name": "generate", "arguments": arguments});
        lines += &format!("{}\r\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }
    lines
}
