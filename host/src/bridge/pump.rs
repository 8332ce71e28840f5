//! Moves bytes between standard input and output, the relay and the wire.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use barellama_mcp::wire::{FRAME_BYTES_MAX, Timing, WINDOW_FRAMES};
use thiserror::Error;

use super::input::{self, Credits};
use super::nonces::Nonces;
use super::relay::Relay;
use super::wire::Wire;
use crate::line::Line;

/// How soon a line that is away is looked for again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon the rest of a write is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(1);
/// How long a board is told that its work is not needed.
const GOODBYE: Duration = Duration::from_millis(300);
/// Text of the board without a line end, such as its prompt, is shown after so long.
const TEXT_PATIENCE: Duration = Duration::from_millis(200);
/// What is written to the wire at once: little, so that what is sent again does not queue up behind old bytes.
const WRITE_BYTES: usize = 1024;
/// Bits on the wire for a byte.
const BITS_PER_BYTE: u64 = 10;

/// Why the bridge ended before its input did.
#[derive(Debug, Error)]
pub enum BridgeError {
    /// The client does not take messages.
    #[error("standard output cannot be written: {0}")]
    Output(#[source] io::Error),
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    ClientLine { line: Vec<u8>, is_cut: bool },
    InputEnded,
    WireBytes { number: u64, bytes: Vec<u8> },
    WireClosed { number: u64, reason: String },
}

/// Runs until the input ends, and then for at most `drain` while requests wait for their answers.
///
/// # Errors
/// [`BridgeError`] if the output cannot be written. An output that nobody reads any more is an ordinary end. Errors of the line are
/// told on `notes`, and it is opened again.
pub fn run(
    line: &Line,
    drain: Duration,
    input: impl Read + Send + 'static,
    output: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), BridgeError> {
    let (events_in, events) = mpsc::channel();
    let credits = input::spawn(input, events_in.clone());
    let start = Instant::now();
    let pump = Pump {
        line,
        drain,
        output,
        notes,
        relay: Relay::new(timing_of(line), Nonces::from_system(), line.silence_advice(), 0),
        start,
        wire: None,
        wires: 0,
        attempt_at: start,
        credits,
        events,
        events_in,
        ended_at: None,
        text_at: start,
    };
    match pump.run() {
        Err(BridgeError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// What is sent and not acknowledged waits for a whole window to pass in both directions, whatever the bit rate.
fn timing_of(line: &Line) -> Timing {
    let timing = Timing::default();
    let Line::Serial { baud, .. } = line else { return timing };
    let window_bits = (WINDOW_FRAMES * FRAME_BYTES_MAX) as u64 * BITS_PER_BYTE;
    let window_ns = window_bits * 1_000_000_000 / u64::from(*baud).max(1);
    Timing { resend_ns: timing.resend_ns.max(2 * window_ns + 100_000_000), ..timing }
}

struct Pump<'a> {
    line: &'a Line,
    drain: Duration,
    output: &'a mut dyn Write,
    notes: &'a mut dyn Write,
    relay: Relay,
    start: Instant,
    wire: Option<Wire>,
    /// Number of the newest connection.
    wires: u64,
    attempt_at: Instant,
    credits: Credits,
    events: Receiver<Event>,
    events_in: Sender<Event>,
    ended_at: Option<Instant>,
    /// When text last came from the board.
    text_at: Instant,
}

impl Pump<'_> {
    fn run(mut self) -> Result<(), BridgeError> {
        while !self.is_over() {
            self.step()?;
        }
        if self.relay.say_goodbye(self.now_ns()) {
            let until = Instant::now() + GOODBYE;
            while !self.relay.is_open() && Instant::now() < until {
                self.step()?;
            }
        }
        self.give_line_back();
        self.tell_counts();
        self.show()
    }

    /// People may use the line now: outside frames the board listens to this word.
    fn give_line_back(&mut self) {
        let Some(wire) = self.wire.as_mut().filter(|_| self.relay.is_open()) else { return };
        wire.add(b"\n/console\n");
        let until = Instant::now() + GOODBYE;
        while !wire.is_clear() && wire.write().is_ok() && Instant::now() < until {}
    }

    fn is_over(&self) -> bool {
        self.ended_at.is_some_and(|ended_at| self.relay.is_done() || ended_at.elapsed() >= self.drain)
    }

    fn step(&mut self) -> Result<(), BridgeError> {
        self.keep_open();
        // This end holds a sender, so the channel is never closed: no event means that the time is up.
        let mut event = self.events.recv_timeout(self.wait()).ok();
        while let Some(happened) = event {
            self.take(happened);
            event = self.events.try_recv().ok();
        }
        self.relay.tick(self.now_ns());
        self.credits.give(self.relay.take_finished_lines());
        self.write_wire();
        if self.text_at.elapsed() >= TEXT_PATIENCE {
            self.relay.notes().show_rest();
        }
        self.show()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::ClientLine { line, is_cut } => self.relay.client_line(&line, is_cut),
            Event::InputEnded => self.ended_at = Some(Instant::now()),
            Event::WireBytes { number, bytes } if number == self.wires => {
                self.text_at = Instant::now();
                self.relay.receive(&bytes, self.now_ns());
            }
            Event::WireClosed { number, reason } if number == self.wires && self.wire.is_some() => {
                self.lose_wire(&reason);
            }
            Event::WireBytes { .. } | Event::WireClosed { .. } => {}
        }
    }

    fn keep_open(&mut self) {
        if self.wire.is_some() || Instant::now() < self.attempt_at {
            return;
        }
        self.wires += 1;
        match Wire::open(self.line, self.wires, &self.events_in) {
            Ok(wire) => {
                self.wire = Some(wire);
                self.relay.notes().say(&format!("connected to {}", self.line));
                self.relay.wire_opened(self.now_ns());
            }
            Err(error) => {
                self.attempt_at = Instant::now() + RETRY;
                self.relay.wire_closed(&format!("{}: {error}", self.line), self.now_ns());
            }
        }
    }

    fn lose_wire(&mut self, reason: &str) {
        let reason = format!("{}: {reason}", self.line);
        self.wire = None;
        self.attempt_at = Instant::now();
        self.relay.wire_closed(&reason, self.now_ns());
    }

    fn write_wire(&mut self) {
        let now_ns = self.now_ns();
        let Some(wire) = &mut self.wire else { return };
        loop {
            if wire.is_clear() {
                let mut buffer = [0; WRITE_BYTES];
                let count = self.relay.poll_output(now_ns, &mut buffer);
                wire.add(buffer.get(..count).unwrap_or(&[]));
            }
            if wire.is_clear() {
                return;
            }
            match wire.write() {
                Ok(()) if wire.is_clear() => {}
                Ok(()) => return,
                Err(error) => return self.lose_wire(&error.to_string()),
            }
        }
    }

    /// Until when nothing has to be done.
    fn wait(&self) -> Duration {
        if self.wire.as_ref().is_some_and(|wire| !wire.is_clear()) {
            return WRITE_AGAIN;
        }
        let timer = self.relay.next_timer_ns().map(|at_ns| at_ns.saturating_sub(self.now_ns()));
        let attempt = self.wire.is_none().then(|| self.attempt_at.saturating_duration_since(Instant::now()));
        let drain = self.ended_at.map(|ended_at| self.drain.saturating_sub(ended_at.elapsed()));
        let known = [timer.map(Duration::from_nanos), attempt, drain].into_iter().flatten().min();
        known.map_or(TEXT_PATIENCE, |wait| wait.min(TEXT_PATIENCE))
    }

    fn show(&mut self) -> Result<(), BridgeError> {
        let text = self.relay.notes().take();
        if !text.is_empty() {
            // If nobody reads it, it is lost; the messages matter more.
            let _ = self.notes.write_all(&text).and_then(|()| self.notes.flush());
        }
        let lines = self.relay.take_output();
        if lines.is_empty() {
            return Ok(());
        }
        self.output.write_all(&lines).and_then(|()| self.output.flush()).map_err(BridgeError::Output)
    }

    fn tell_counts(&mut self) {
        let counts = self.relay.counts();
        self.relay.notes().show_rest();
        if counts.damaged_frames + counts.unexpected_frames > 0 {
            let (damaged, unexpected) = (counts.damaged_frames, counts.unexpected_frames);
            let sentence =
                format!("the line: {damaged} damaged frames, {unexpected} out of order; all were sent again");
            self.relay.notes().say(&sentence);
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
