//! The board as an MCP server: bytes per token on the wire, how soon a ping is answered, what the frames cost.

mod simulation;

use std::path::Path;

use barellama_tests::client::Client;
use barellama_tests::noise::Noise;
use barellama_tests::proxy::Proxy;
use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

use crate::Outcome;
use crate::row::row;

const BAUDS: [u64; 2] = [115_200, 921_600];
/// Bits on the wire for a byte.
const BITS_PER_BYTE: u64 = 10;
const TOKENS: u32 = 64;
const PINGS: usize = 9;
/// A ping and its answer as frames: 40 and 36 bytes of JSON, 16 around each.
const PING_BYTES: u64 = 40 + 36 + 2 * 16;

/// Prints the figures.
pub fn measure() -> Outcome {
    wire_bytes()?;
    pings()?;
    framing();
    Ok(())
}

/// What a streamed answer takes on the wire, counted between bridge and QEMU.
fn wire_bytes() -> Outcome {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("serial.sock");
    let mut machine = Machine::raspi4b().placed_model(&artifacts::smollm2()).serial_socket(&socket).boot();
    machine.expect_ready();
    let proxy = Proxy::start(&socket, Noise::default(), 0);
    let mut client = Client::start(&proxy.address());
    client.initialize();
    client.call("ping", &json!({}));
    let before = proxy.bytes();
    let call = client.generate(TOKENS);
    let answer = client.answer(call);
    let after = proxy.bytes();
    let figures = &answer["result"]["structuredContent"];
    let tokens = figures["generated_tokens"].as_u64().filter(|tokens| *tokens > 0).ok_or("no tokens")?;
    let rate = figures["tokens_per_second"].as_f64().unwrap_or_default();
    let messages = client.notifications.len();
    row("bytes per token from the board, streamed", ((after.1 - before.1) / tokens).to_string());
    row("bytes per token to the board (acknowledgements)", ((after.0 - before.0) / tokens).to_string());
    row("  with so many tokens in so many notifications", format!("{tokens} in {messages}, {rate:.1}/s"));
    Ok(())
}

/// From the arrival of a ping's last byte to its answer waiting for the wire, in guest time.
fn pings() -> Outcome {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("serial.sock");
    let setup = Machine::raspi4b().placed_model(&artifacts::smollm2()).serial_socket(&socket);
    let mut machine = setup.counting_instructions().boot();
    machine.expect_ready();
    let mut client = client_of(&socket);
    let idle_us = turnaround_us(&mut client)?;
    let call = client.generate(60_000);
    client.expect_notification();
    let busy_us = turnaround_us(&mut client)?;
    client.send(
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call}}).to_string(),
    );
    for (state, guest_us) in [("idle", idle_us), ("while SmolLM2 generates", busy_us)] {
        row(&format!("ping {state}: in the board"), format!("{guest_us} us"));
        for baud in BAUDS {
            let wire_us = PING_BYTES * BITS_PER_BYTE * 1_000_000 / baud;
            let trip_ms = (guest_us + wire_us) as f64 / 1000.0;
            row(&format!("ping {state}: round trip with the wire at {baud}"), format!("{trip_ms:.1} ms"));
        }
    }
    Ok(())
}

fn client_of(socket: &Path) -> Client {
    let mut client = Client::start(&format!("unix:{}", socket.display()));
    client.initialize();
    client
}

/// The median over some pings.
fn turnaround_us(client: &mut Client) -> Result<u64, Box<dyn std::error::Error>> {
    let mut turnarounds = Vec::new();
    for _ in 0..PINGS {
        client.call("ping", &json!({}));
        let metrics = client.call("resources/read", &json!({"uri": "pi://metrics"}));
        let text = metrics["result"]["contents"][0]["text"].as_str().ok_or("no metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix("mcp_turnaround_ns ")).ok_or("no turnaround")?;
        turnarounds.push(line.parse::<u64>()? / 1000);
    }
    turnarounds.sort_unstable();
    let is_generating = client.notifications.iter().all(|message| message.get("result").is_none_or(Value::is_null));
    if !is_generating {
        return Err("the generation ended too soon".into());
    }
    Ok(turnarounds[PINGS / 2])
}

/// Both ends of the line and the server in simulated time, with an engine of a Raspberry Pi's speed.
fn framing() {
    for baud in BAUDS {
        for rate in [5, 20] {
            let run = |is_checked| simulation::run(&simulation::Line { baud, is_checked, tokens_per_second: rate });
            let (checked, bare) = (run(true), run(false));
            let lost = bare.tokens_per_second - checked.tokens_per_second;
            let figure = format!("lost to framing at {baud} bit/s, engine at {rate} tokens/s");
            row(&figure, format!("{lost:.3} tokens/s"));
            row(&format!("  bytes per token from the board at {rate} tokens/s"), checked.bytes_per_token.to_string());
        }
    }
}
