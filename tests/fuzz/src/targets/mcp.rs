//! Lines for the MCP server: each request is answered once, in JSON, with little memory, and the server goes on.

use barellama_abi::outcome::Outcome;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::server::{Buffers, Server, Ticket, Work};
use barellama_mcp::{HEAP_BYTES_MAX, LINE_BYTES_MAX};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::cell::RefCell;

use crate::heap;

/// Every error code that JSON-RPC or MCP gives a server.
const CODES: [i64; 7] = [-32700, -32600, -32601, -32602, -32603, -32002, -32022];
const LINES_MAX: usize = 24;

/// A server with its buffers, made once.
struct Bench {
    server: Server<'static>,
    outbox: Outbox<'static>,
    now_ns: u64,
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench {
        server: Server::new(Box::leak(Box::new(Buffers::new()))),
        outbox: Outbox::new(vec![0; OUTBOX_BYTES].leak()),
        now_ns: 0,
    });
}

/// Lines of any bytes; the first byte chooses how the work ends.
pub fn run(data: &[u8]) {
    let (choice, lines) = data.split_first().map_or((0, data), |(choice, lines)| (*choice, lines));
    BENCH.with_borrow_mut(|bench| {
        for line in lines.split(|&byte| byte == b'\n').take(LINES_MAX).filter(|line| line.len() <= LINE_BYTES_MAX) {
            bench.line(line, choice);
        }
        bench.server.close(&mut bench.outbox);
        bench.server.reset();
        bench.messages();
        assert!(bench.server.next_work().is_none() && bench.server.open_calls() == 0);
        let ping = json!({"jsonrpc": "2.0", "id": "alive", "method": "ping"});
        bench.server.receive_line(ping.to_string().as_bytes(), bench.now_ns, &mut bench.outbox);
        let answers = bench.messages();
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["id"], "alive");
        bench.server.reset();
    });
}

impl Bench {
    fn line(&mut self, line: &[u8], choice: u8) {
        let Self { server, outbox, now_ns } = self;
        let ((), peak) = heap::peak_of(|| server.receive_line(line, *now_ns, outbox));
        assert!(peak <= HEAP_BYTES_MAX, "{peak} bytes of heap for {}", line.len());
        let mut messages = self.messages();
        messages.extend(self.carry_out(choice));
        let answers = messages.iter().filter(|message| is_answer(message)).count();
        if let Some(expected) = expected_answers(line) {
            assert_eq!(answers, expected, "{}\n{messages:?}", String::from_utf8_lossy(line));
        }
        for code in messages.iter().filter_map(|message| message["error"]["code"].as_i64()) {
            assert!(CODES.contains(&code), "{code}");
        }
        assert_eq!(self.server.open_calls(), 0);
        assert_eq!(self.outbox.lost_messages(), 0);
    }

    /// Ends all work, some of it with text.
    fn carry_out(&mut self, choice: u8) -> Vec<Value> {
        while let Some(work) = self.server.next_work() {
            let is_cancel = matches!(work, Work::Cancel { .. });
            let ticket = ticket(&work);
            if !is_cancel && choice & 1 != 0 {
                self.server.text(ticket, "[1,2]", self.now_ns);
            }
            if choice & 2 != 0 {
                self.server.fail(ticket, "no\n\"");
            } else {
                self.server.finish(ticket, &Outcome::default(), self.now_ns);
            }
        }
        self.now_ns += 200_000_000;
        self.server.flush(self.now_ns, &mut self.outbox);
        self.messages()
    }

    /// What has been written, each line of it JSON.
    fn messages(&mut self) -> Vec<Value> {
        let mut bytes = Vec::new();
        while !self.outbox.peek().is_empty() {
            let part = self.outbox.peek().to_vec();
            self.outbox.consume(part.len());
            bytes.extend(part);
        }
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        let text = String::from_utf8(bytes).expect("messages are text");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

fn ticket(work: &Work) -> Ticket {
    match work {
        Work::Submit(submission) => submission.ticket,
        Work::Cancel { ticket }
        | Work::ReadResource { ticket, .. }
        | Work::Status { ticket }
        | Work::ListModels { ticket }
        | Work::LoadModel { ticket, .. } => *ticket,
    }
}

/// How many answers a line must get; `None` where that depends on more than the line (batches, ambiguous keys).
fn expected_answers(line: &[u8]) -> Option<usize> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(1) };
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Some(0);
    }
    if barellama_mcp::json::check(text).is_err() {
        return None;
    }
    match serde_json::from_str::<Value>(text) {
        // Half a surrogate pair is JSON, but no text.
        Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => None,
        Ok(Value::Array(_)) => None,
        Ok(Value::Object(message)) => {
            let is_message = message.get("jsonrpc") == Some(&json!("2.0"));
            let is_notification = message.get("method").is_some_and(Value::is_string) && !message.contains_key("id");
            let is_response =
                !message.contains_key("method") && ["result", "error"].iter().any(|key| message.contains_key(*key));
            Some(usize::from(!(is_message && (is_notification || is_response))))
        }
        Ok(_) | Err(_) => Some(1),
    }
}

fn is_answer(message: &Value) -> bool {
    message.get("method").is_none() || message["method"] == "notifications/subscriptions/acknowledged"
}
