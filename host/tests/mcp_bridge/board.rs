//! The board: its end of the wire, the server and an engine that counts words at 200 tokens a second.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{Request, RequestKind};
use barellama_abi::syscall::Phase;
use barellama_mcp::LINE_BYTES_MAX;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::server::{Buffers, Server, SystemStatus, Ticket, Work};
use barellama_mcp::wire::{Line, LineAssembler, Link, Received, Role, Timing};
use serialport::{SerialPort, TTYPort};

use crate::noise::{Cable, Noise};

const STEP: Duration = Duration::from_millis(5);

/// What the test does to the board.
pub enum Order {
    /// Power off and on: session, server and work are gone; it says its boot log.
    Reset,
    /// Text on the console, outside frames.
    Say(&'static [u8]),
    /// A message that no server would send.
    Send(&'static [u8]),
    /// Closes the connection; the next one is taken. The board goes on.
    Disconnect,
    /// Takes no connection and no byte any more.
    End,
}

/// What the board saw, for the test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub hellos: usize,
    pub cancels: usize,
    pub accidents: u64,
    /// Requests in the hands of the engine now.
    pub jobs: usize,
}

/// A running board.
pub struct Board {
    pub address: String,
    orders: Sender<Order>,
    seen: Receiver<Seen>,
    last: Seen,
    _directory: Option<tempfile::TempDir>,
}

impl Board {
    /// Behind a Unix-domain socket.
    pub fn start(noise: Noise) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("board.sock");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let accept = move || {
            let stream = listener.accept().ok()?.0;
            stream.set_nonblocking(true).unwrap();
            Some(Box::new(stream) as Box<dyn Stream>)
        };
        let address = format!("unix:{}", path.display());
        Self { _directory: Some(directory), ..Self::run(address, noise, accept) }
    }

    /// Behind a TCP port.
    pub fn start_tcp() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self::run(address, Noise::default(), move || {
            let stream = listener.accept().ok()?.0;
            stream.set_nonblocking(true).unwrap();
            Some(Box::new(stream) as Box<dyn Stream>)
        })
    }

    /// Behind a pseudo terminal, which is a serial device to its user; the address is its path.
    pub fn start_serial() -> Self {
        let (mut board_end, mut host_end) = TTYPort::pair().unwrap();
        board_end.set_timeout(Duration::from_millis(1)).unwrap();
        host_end.set_exclusive(false).unwrap();
        let address = host_end.name().unwrap();
        // While it is held open, without a lock, the terminal outlives its users.
        let held_open = File::open(&address).unwrap();
        drop(host_end);
        let mut board_end = Some(board_end);
        Self::run(address, Noise::default(), move || {
            let _ = &held_open;
            Some(Box::new(board_end.take()?) as Box<dyn Stream>)
        })
    }

    fn run(address: String, noise: Noise, accept: impl FnMut() -> Option<Box<dyn Stream>> + Send + 'static) -> Self {
        let (orders, taken) = mpsc::channel();
        let (told, seen) = mpsc::channel();
        thread::spawn(move || serve(accept, noise, &taken, &told));
        Self { address, orders, seen, last: Seen::default(), _directory: None }
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    /// Waits until that holds.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(Seen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds(self.seen()) {
            assert!(Instant::now() < deadline, "{what} did not happen: {:?}", self.last);
            thread::sleep(STEP);
        }
    }

    pub fn seen(&mut self) -> Seen {
        while let Ok(seen) = self.seen.try_recv() {
            self.last = seen;
        }
        self.last
    }
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// What lasts until the next reset.
struct Life<'b> {
    link: Link,
    server: Server<'b>,
    outbox: Outbox<'b>,
    lines: LineAssembler<'b>,
    jobs: VecDeque<Job>,
}

struct Job {
    ticket: Ticket,
    slot: Vec<u8>,
    generated: u32,
}

fn serve(
    mut accept: impl FnMut() -> Option<Box<dyn Stream>>,
    noise: Noise,
    orders: &Receiver<Order>,
    told: &Sender<Seen>,
) {
    let start = Instant::now();
    let (mut inward, mut outward) = (Cable::new(noise, 1), Cable::new(noise, 2));
    let mut stream: Option<Box<dyn Stream>> = None;
    let mut seen = Seen::default();
    loop {
        let mut buffers = Box::new(Buffers::new());
        let (mut ring, mut line) = (vec![0; OUTBOX_BYTES], vec![0; LINE_BYTES_MAX]);
        let mut life = Life {
            link: Link::new(Role::Board, Timing::default()),
            server: Server::new(&mut buffers),
            outbox: Outbox::new(&mut ring),
            lines: LineAssembler::new(&mut line),
            jobs: VecDeque::new(),
        };
        let mut step_at = Instant::now();
        loop {
            if stream.is_none() {
                stream = accept();
            }
            let now_ns = u64::try_from(start.elapsed().as_nanos()).unwrap();
            let mut out = Vec::new();
            match orders.try_recv() {
                Ok(Order::Reset) => {
                    write(&mut stream, &outward.pass(b"\r\nbooting again\r\nno session\r\n> "));
                    break;
                }
                Ok(Order::Say(text)) => out.extend_from_slice(text),
                Ok(Order::Send(message)) => {
                    life.link.queue(message);
                }
                Ok(Order::Disconnect) => stream = None,
                Ok(Order::End) | Err(mpsc::TryRecvError::Disconnected) => return,
                Err(mpsc::TryRecvError::Empty) => {}
            }
            for byte in inward.pass(&read(&mut stream)) {
                life.receive(byte, now_ns, &mut seen);
            }
            if step_at <= Instant::now() {
                step_at = Instant::now() + STEP;
                life.step(now_ns);
            }
            life.work(now_ns, &mut seen);
            life.server.flush(now_ns, &mut life.outbox);
            let taken = life.link.queue(life.outbox.peek());
            life.outbox.consume(taken);
            let mut buffer = [0; 4096];
            let count = life.link.poll_output(now_ns, &mut buffer);
            out.extend_from_slice(&buffer[..count]);
            write(&mut stream, &outward.pass(&out));
            seen.accidents = inward.accidents + outward.accidents;
            seen.jobs = life.jobs.len();
            if told.send(seen).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn read(stream: &mut Option<Box<dyn Stream>>) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let Some(open) = stream else { return Vec::new() };
    match open.read(&mut buffer) {
        Ok(count) if count > 0 => return buffer[..count].to_vec(),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        Ok(_) | Err(_) => *stream = None,
    }
    Vec::new()
}

fn write(stream: &mut Option<Box<dyn Stream>>, bytes: &[u8]) {
    if stream.as_mut().is_some_and(|open| open.write_all(bytes).is_err()) {
        *stream = None;
    }
}

impl Life<'_> {
    fn receive(&mut self, byte: u8, now_ns: u64, seen: &mut Seen) {
        match self.link.receive(byte, now_ns) {
            Some(Received::Message { bytes, is_end }) => {
                for &byte in bytes.iter().chain(is_end.then_some(&b'\n')) {
                    match self.lines.push(byte) {
                        Some(Line::Whole(line)) => self.server.receive_line(line, now_ns, &mut self.outbox),
                        Some(Line::TooLong) => self.server.receive_too_long(&mut self.outbox),
                        Some(Line::Broken) => self.server.receive_broken(&mut self.outbox),
                        None => {}
                    }
                }
            }
            Some(Received::Hello) => {
                seen.hellos += 1;
                self.server.reset();
                self.outbox.clear();
                self.lines.clear();
            }
            _ => {}
        }
    }

    fn work(&mut self, now_ns: u64, seen: &mut Seen) {
        while let Some(work) = self.server.next_work() {
            match work {
                Work::Submit(submission) => {
                    let mut slot = vec![0; 256 << 10];
                    submission.write(&mut slot, 1, 0).unwrap();
                    self.jobs.push_back(Job { ticket: submission.ticket, slot, generated: 0 });
                }
                Work::Cancel { ticket } => {
                    seen.cancels += 1;
                    self.jobs.retain(|job| job.ticket != ticket);
                    self.server.finish(ticket, &Outcome::default(), now_ns);
                }
                Work::Status { ticket } => {
                    let status = SystemStatus { board: "simulated", ..SystemStatus::default() };
                    self.server.status(ticket, &status, &mut self.outbox).unwrap();
                }
                Work::ListModels { ticket } | Work::LoadModel { ticket, .. } | Work::ReadResource { ticket, .. } => {
                    self.server.fail(ticket, "not simulated");
                }
            }
        }
    }

    fn step(&mut self, now_ns: u64) {
        let Some(mut job) = self.jobs.pop_front() else { return };
        let request = Request::parse(&job.slot).unwrap();
        assert_eq!(request.header().kind, RequestKind::Generate);
        let most = request.header().max_tokens;
        self.server.started(job.ticket, now_ns);
        self.server.text(job.ticket, &format!(" w{}", job.generated), now_ns);
        job.generated += 1;
        self.server.progress(job.ticket, Phase::Decode, job.generated.into(), most.into(), now_ns);
        if job.generated < most {
            return self.jobs.push_front(job);
        }
        let outcome =
            Outcome { stop_reason: StopReason::MaxTokens, generated_tokens: job.generated, ..Outcome::default() };
        self.server.finish(job.ticket, &outcome, now_ns);
    }
}

/// What the engine generates.
pub fn expected_text(tokens: u32) -> String {
    (0..tokens).map(|token| format!(" w{token}")).collect()
}
