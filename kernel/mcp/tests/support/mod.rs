//! What the tests share: a server with its buffers, and random numbers that are the same on every machine.
#![allow(dead_code, reason = "each test file uses its part")]

use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::server::{Buffers, Server, Ticket, Work};
use serde_json::{Value, json};

/// Xorshift64* (Vigna 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }

    /// True about once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A server, its outbox and a clock that stands still unless it is moved.
pub struct Host {
    pub server: Server<'static>,
    pub outbox: Outbox<'static>,
    pub now_ns: u64,
}

impl Default for Host {
    fn default() -> Self {
        Self::with_outbox(OUTBOX_BYTES)
    }
}

impl Host {
    pub fn with_outbox(bytes: usize) -> Self {
        let buffers = Box::leak(Box::new(Buffers::new()));
        Self { server: Server::new(buffers), outbox: Outbox::new(vec![0; bytes].leak()), now_ns: 1_000_000_000 }
    }

    /// A server that has agreed on a revision by `initialize`.
    pub fn legacy(revision: &str) -> Self {
        let mut host = Self::default();
        let params =
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let answer = host.ask(&json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params}));
        assert_eq!(answer["result"]["protocolVersion"], revision);
        host.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert!(host.messages().is_empty());
        host
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(message.to_string().as_bytes());
    }

    pub fn send_line(&mut self, line: &[u8]) {
        self.server.receive_line(line, self.now_ns, &mut self.outbox);
    }

    /// What has been written so far, each line of it JSON.
    pub fn messages(&mut self) -> Vec<Value> {
        let mut bytes = Vec::new();
        while !self.outbox.peek().is_empty() {
            let part = self.outbox.peek().to_vec();
            self.outbox.consume(part.len());
            bytes.extend(part);
        }
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Sends a message and takes the one answer to it.
    pub fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.only()
    }

    pub fn ask_line(&mut self, line: &str) -> Value {
        self.send_line(line.as_bytes());
        self.only()
    }

    pub fn only(&mut self) -> Value {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    pub fn flush(&mut self) -> Vec<Value> {
        self.server.flush(self.now_ns, &mut self.outbox);
        self.messages()
    }

    pub fn works(&mut self) -> Vec<Work> {
        std::iter::from_fn(|| self.server.next_work()).collect()
    }

    /// The ticket of the one piece of work that waits.
    pub fn ticket(&mut self) -> Ticket {
        let works = self.works();
        let [work] = works.as_slice() else { panic!("{works:?}") };
        ticket(work)
    }
}

pub fn ticket(work: &Work) -> Ticket {
    match work {
        Work::Submit(submission) => submission.ticket,
        Work::Cancel { ticket }
        | Work::ReadResource { ticket, .. }
        | Work::Status { ticket }
        | Work::ListModels { ticket }
        | Work::LoadModel { ticket, .. } => *ticket,
    }
}

pub fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

/// The same with what 2026-07-28 wants in every request.
pub fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    let meta = params.as_object_mut().unwrap().entry("_meta").or_insert_with(|| json!({}));
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    request(id, method, params)
}
