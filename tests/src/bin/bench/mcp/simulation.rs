//! A serial line between the board's server and a bridge, byte by byte in simulated time, with the code of both ends.

use std::collections::VecDeque;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::syscall::Phase;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::server::{Buffers, Server, Ticket, Work};
use barellama_mcp::wire::{Link, Received, Role, Timing};
use serde_json::json;

/// Tokens of the answer.
const TOKENS: u32 = 256;
/// The mean of English text in SmolLM2's tokens.
const TOKEN_TEXT: &str = " word";
/// The kernel hands out frames only while so few bytes wait for the wire.
const BACKLOG_BYTES: usize = 2048;

/// What the line and the engine are like.
pub struct Line {
    /// Bit rate.
    pub baud: u64,
    /// Frames as the bridge uses them, or lines as they are.
    pub is_checked: bool,
    /// Speed of the engine.
    pub tokens_per_second: u64,
}

/// What the client sees.
pub struct Seen {
    /// From the call to the whole result.
    pub tokens_per_second: f64,
    /// From the board, frames and acknowledgements included.
    pub bytes_per_token: u64,
}

/// The board's end.
struct Board<'b> {
    server: Server<'b>,
    outbox: Outbox<'b>,
    link: Link,
    wire: VecDeque<u8>,
    ticket: Option<Ticket>,
    generated: u32,
}

/// Lets a call run to its end.
pub fn run(line: &Line) -> Seen {
    let mut buffers = Box::new(Buffers::new());
    let mut ring = vec![0; OUTBOX_BYTES];
    let mut board = Board {
        server: Server::new(&mut buffers),
        outbox: Outbox::new(&mut ring),
        link: Link::new(Role::Board, Timing::default()),
        wire: VecDeque::new(),
        ticket: None,
        generated: 0,
    };
    let mut host = Link::new(Role::Host, Timing::default());
    let (mut to_board, mut message, mut sent) = (VecDeque::new(), Vec::new(), 0_u64);
    let byte_ns = 10_000_000_000 / line.baud;
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1});
    let params = json!({"name": "generate", "arguments": {"prompt": "x", "max_tokens": TOKENS}, "_meta": meta});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    host.hello(1, 0);
    board.server.receive_line(call.to_string().as_bytes(), 0, &mut board.outbox);
    let mut now_ns = 0;
    loop {
        now_ns += byte_ns;
        board.work(line, now_ns);
        let mut part = [0; 256];
        if to_board.is_empty() {
            let count = host.poll_output(now_ns, &mut part);
            to_board.extend(&part[..count]);
        }
        if let Some(byte) = to_board.pop_front() {
            board.link.receive(byte, now_ns);
        }
        let Some(byte) = board.wire.pop_front() else { continue };
        sent += 1;
        let is_end = if line.is_checked {
            match host.receive(byte, now_ns) {
                Some(Received::Message { bytes, is_end }) => {
                    message.extend_from_slice(bytes);
                    is_end
                }
                _ => false,
            }
        } else {
            message.push(byte);
            byte == b'\n'
        };
        if is_end && String::from_utf8_lossy(&message).contains("\"result\"") {
            let tokens = u64::from(TOKENS);
            return Seen { tokens_per_second: tokens as f64 * 1e9 / now_ns as f64, bytes_per_token: sent / tokens };
        }
        if is_end {
            message.clear();
        }
    }
}

impl Board<'_> {
    fn work(&mut self, line: &Line, now_ns: u64) {
        while let Some(work) = self.server.next_work() {
            if let Work::Submit(submission) = work {
                self.ticket = Some(submission.ticket);
                self.server.started(submission.ticket, now_ns);
            }
        }
        let due = u64::from(self.generated + 1) * 1_000_000_000 / line.tokens_per_second;
        if let Some(ticket) = self.ticket.filter(|_| due <= now_ns) {
            self.generated += 1;
            self.server.text(ticket, TOKEN_TEXT, now_ns);
            self.server.progress(ticket, Phase::Decode, self.generated.into(), TOKENS.into(), now_ns);
            if self.generated == TOKENS {
                let outcome =
                    Outcome { stop_reason: StopReason::MaxTokens, generated_tokens: TOKENS, ..Outcome::default() };
                self.server.finish(ticket, &outcome, now_ns);
                self.ticket = None;
            }
            self.server.flush(now_ns, &mut self.outbox);
        } else if self.server.next_flush_ns().is_some_and(|at_ns| at_ns <= now_ns) {
            self.server.flush(now_ns, &mut self.outbox);
        }
        self.pump(line, now_ns);
    }

    fn pump(&mut self, line: &Line, now_ns: u64) {
        if !line.is_checked {
            let waiting = self.outbox.peek().to_vec();
            self.outbox.consume(waiting.len());
            self.wire.extend(waiting);
            return;
        }
        let queued = self.link.queue(self.outbox.peek());
        self.outbox.consume(queued);
        let mut part = [0; 256];
        while self.wire.len() <= BACKLOG_BYTES {
            let count = self.link.poll_output(now_ns, &mut part);
            if count == 0 {
                return;
            }
            self.wire.extend(&part[..count]);
        }
    }
}
