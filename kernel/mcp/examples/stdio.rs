//! The server on standard input and output, with an engine that only pretends: for trying clients without a board.
//!
//! `cargo run -p barellama-mcp --example stdio` speaks plain mode. The engine repeats words at about 100 tokens a second.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request, RequestKind};
use barellama_abi::syscall::Phase;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::resources::Resource;
use barellama_mcp::server::{Buffers, ModelEntry, Server, SystemStatus, Ticket, Work};

const STEP: Duration = Duration::from_millis(10);
const WORDS: [&str; 4] = [" tick", " tock", " \"é\"", "\n"];

fn main() {
    let mut buffers = Box::new(Buffers::new());
    let mut ring = vec![0; OUTBOX_BYTES];
    Board {
        server: Server::new(&mut buffers),
        outbox: Outbox::new(&mut ring),
        jobs: VecDeque::new(),
        start: Instant::now(),
        tokens: 0,
    }
    .run(&read_lines());
}

fn read_lines() -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A request in the hands of the pretended engine.
struct Job {
    ticket: Ticket,
    slot: Vec<u8>,
    deadline: Option<Instant>,
    prompt_tokens: u32,
    generated: u32,
}

struct Board<'b> {
    server: Server<'b>,
    outbox: Outbox<'b>,
    jobs: VecDeque<Job>,
    start: Instant,
    tokens: u64,
}

impl Board<'_> {
    fn run(mut self, lines: &Receiver<Vec<u8>>) {
        loop {
            match lines.recv_timeout(STEP) {
                Ok(line) => {
                    let now_ns = self.now_ns();
                    self.server.receive_line(&line, now_ns, &mut self.outbox);
                }
                Err(RecvTimeoutError::Timeout) => self.step(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(work) = self.server.next_work() {
                self.work(work);
            }
            let now_ns = self.now_ns();
            self.server.flush(now_ns, &mut self.outbox);
            self.write();
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn write(&mut self) {
        let mut out = std::io::stdout().lock();
        while !self.outbox.peek().is_empty() {
            let part = self.outbox.peek();
            if out.write_all(part).is_err() {
                std::process::exit(0);
            }
            let length = part.len();
            self.outbox.consume(length);
        }
        let _ = out.flush();
    }

    fn work(&mut self, work: Work) {
        let now_ns = self.now_ns();
        match work {
            Work::Submit(submission) => {
                let mut slot = vec![0; 256 << 10];
                match submission.write(&mut slot, 1, 0) {
                    Ok(length) => {
                        slot.truncate(length);
                        let wait = submission.deadline_ms.map(|wait_ms| Duration::from_millis(wait_ms.into()));
                        let deadline = wait.map(|wait| Instant::now() + wait);
                        let ticket = submission.ticket;
                        self.jobs.push_back(Job { ticket, slot, deadline, prompt_tokens: 0, generated: 0 });
                    }
                    Err(_) => self.server.fail(submission.ticket, "the request does not fit its slot"),
                }
            }
            Work::Cancel { ticket } => {
                self.jobs.retain(|job| job.ticket != ticket);
                self.server.finish(ticket, &Outcome::default(), now_ns);
            }
            Work::Status { ticket } => {
                let status = SystemStatus {
                    board: "a board that pretends",
                    uptime_ns: now_ns,
                    engine: "ready",
                    temperature_millidegrees: Some(48_700),
                    tokens_served: self.tokens,
                    ..SystemStatus::default()
                };
                let _ = self.server.status(ticket, &status, &mut self.outbox);
            }
            Work::ListModels { ticket } => {
                let models = [ModelEntry { name: "pretended.gguf", bytes: 1 << 20, is_loaded: true }];
                let _ = self.server.models(ticket, &models, &mut self.outbox);
            }
            Work::LoadModel { ticket, name } if name == "pretended.gguf" => {
                self.server.progress(ticket, Phase::Prepare, 1, 1, now_ns);
                self.server.text(ticket, &name, now_ns);
                self.server.finish(ticket, &Outcome::default(), now_ns);
            }
            Work::LoadModel { ticket, name } => {
                self.server.fail(ticket, &format!("there is no file {name} on the card"))
            }
            Work::ReadResource { ticket, resource: Resource::DeviceTree } => {
                let _ = self.server.resource_blob(ticket, &[0xD0, 0x0D, 0xFE, 0xED], &mut self.outbox);
            }
            Work::ReadResource { ticket, resource } => {
                let _ = self.server.resource_text(
                    ticket,
                    &|out| writeln!(out, "the contents of {resource}\n\"quoted\""),
                    &mut self.outbox,
                );
            }
        }
    }

    /// One token of the oldest request.
    fn step(&mut self) {
        let now_ns = self.now_ns();
        let Some(mut job) = self.jobs.pop_front() else { return };
        let slot = std::mem::take(&mut job.slot);
        let Some(request) = Request::parse(&slot) else { return };
        self.server.started(job.ticket, now_ns);
        match answer(&mut self.server, &mut job, &request, now_ns) {
            Some(outcome) => {
                self.tokens += u64::from(outcome.generated_tokens);
                self.server.finish(job.ticket, &outcome, now_ns);
            }
            None => self.jobs.push_front(Job { slot, ..job }),
        }
    }
}

fn answer(server: &mut Server<'_>, job: &mut Job, request: &Request<'_>, now_ns: u64) -> Option<Outcome> {
    let ticket = job.ticket;
    let text = |kind| request.first(kind).map(String::from_utf8_lossy).unwrap_or_default();
    match request.header().kind {
        RequestKind::Generate => return generate(server, job, request, now_ns),
        RequestKind::Tokenize => {
            let ids: Vec<String> = text(RecordKind::Prompt).bytes().map(|byte| byte.to_string()).collect();
            server.text(ticket, &format!("[{}]\n", ids.join(",")), now_ns);
        }
        RequestKind::Detokenize => {
            let bytes: Vec<u8> = request.records().next()?.ids().map(|id| u8::try_from(id).unwrap_or(b'?')).collect();
            server.text(ticket, &String::from_utf8_lossy(&bytes), now_ns);
        }
        RequestKind::Score => {
            for step in 0..request.header().max_tokens {
                let line = format!("{{\"step\":{step},\"id\":5,\"top\":[[5,1.5],[6,null]],\"crc\":\"00000000\"}}\n");
                server.text(ticket, &line, now_ns);
            }
        }
        _ => server.text(ticket, &format!("<|user|>{}<|assistant|>", text(RecordKind::User)), now_ns),
    }
    Some(Outcome::default())
}

fn generate(server: &mut Server<'_>, job: &mut Job, request: &Request<'_>, now_ns: u64) -> Option<Outcome> {
    const PROMPT_TOKENS: u32 = 8;
    let most = request.header().max_tokens;
    let outcome = |stop_reason, job: &Job| Outcome {
        stop_reason,
        prompt_tokens: PROMPT_TOKENS,
        generated_tokens: job.generated,
        context_used_tokens: PROMPT_TOKENS + job.generated,
        context_tokens: 2048,
        prompt_ns: 40_000_000,
        decode_ns: u64::from(job.generated.saturating_sub(1)) * 10_000_000,
        ..Outcome::default()
    };
    if job.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Some(outcome(StopReason::Deadline, job));
    }
    if job.prompt_tokens < PROMPT_TOKENS {
        job.prompt_tokens += 2;
        server.progress(job.ticket, Phase::Prefill, job.prompt_tokens.into(), PROMPT_TOKENS.into(), now_ns);
        return None;
    }
    server.text(job.ticket, WORDS[job.generated as usize % WORDS.len()], now_ns);
    job.generated += 1;
    server.progress(job.ticket, Phase::Decode, job.generated.into(), most.into(), now_ns);
    (job.generated == most).then(|| outcome(StopReason::MaxTokens, job))
}
