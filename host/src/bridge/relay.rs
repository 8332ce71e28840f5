//! The bridge without its threads and files: lines and bytes come in with the time, lines and bytes go out.

use barellama_mcp::LINE_BYTES_MAX;
use barellama_mcp::id::RequestId;
use barellama_mcp::json::Quoted;
use barellama_mcp::wire::{Link, LinkCounts, Received, Role, Timing};

use super::envelope::{self, Message, Messages};
use super::lines::Lines;
use super::nonces::Nonces;
use super::outage::{Outage, Trouble};
use super::outstanding::{Outstanding, Purpose, Waiting, error_lines};
use super::session::Session;
use super::text::Notes;

/// JSON-RPC: the line is not JSON.
const PARSE_ERROR: i32 = -32700;
/// JSON-RPC: the JSON is not a request.
const INVALID_REQUEST: i32 = -32600;
/// A message of the board that is longer is none: its memory for messages is smaller.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long nothing may come from a board before it is asked whether it still has the session. A reset is noticed by the answer.
const PROBE_NS: u64 = 2_000_000_000;
/// An empty message: the wire acknowledges it, the server ignores it.
const PROBE: &[u8] = b"\n";

/// The state of a bridge.
#[derive(Debug)]
pub(super) struct Relay {
    silence_advice: &'static str,
    link: Link,
    nonces: Nonces,
    lines: Lines,
    next_line: u64,
    finished_lines: usize,
    outstanding: Outstanding,
    session: Session,
    inbound: Vec<u8>,
    is_inbound_too_long: bool,
    /// Why messages cannot be exchanged now.
    outage: Option<Outage>,
    is_wire_open: bool,
    /// Why it is not, as far as people were told.
    closed_because: String,
    /// When the board last said something, or was asked to.
    heard_ns: u64,
    output: Vec<u8>,
    notes: Notes,
}

/// What the link made of a byte, without its bytes.
enum Event {
    MessageEnd,
    Ready,
    PeerRestarted,
}

impl Relay {
    /// A bridge whose line is not open yet.
    /// `silence_advice`: what to ask if no board answers.
    pub fn new(timing: Timing, nonces: Nonces, silence_advice: &'static str, now_ns: u64) -> Self {
        Self {
            silence_advice,
            link: Link::new(Role::Host, timing),
            nonces,
            lines: Lines::default(),
            next_line: 0,
            finished_lines: 0,
            outstanding: Outstanding::default(),
            session: Session::default(),
            inbound: Vec::new(),
            is_inbound_too_long: false,
            outage: Some(Outage::new(Trouble::LineClosed, now_ns)),
            is_wire_open: false,
            closed_because: String::new(),
            heard_ns: now_ns,
            output: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// The line was opened, for the first time or again.
    pub fn wire_opened(&mut self, now_ns: u64) {
        self.is_wire_open = true;
        self.closed_because.clear();
        if self.link.is_open() {
            // Perhaps only the cable was out: what was lost is sent again. If the board was reset, its answer tells.
            self.outage = None;
            self.heard_ns = now_ns.saturating_sub(PROBE_NS);
        } else {
            self.greet(now_ns);
        }
    }

    /// The line cannot be opened, or it ended.
    pub fn wire_closed(&mut self, reason: &str, now_ns: u64) {
        self.is_wire_open = false;
        self.notes.show_rest();
        if self.closed_because != reason {
            reason.clone_into(&mut self.closed_because);
            self.notes.say(&format!("{reason}; trying again"));
        }
        match &mut self.outage {
            Some(outage) if outage.trouble() == Trouble::LineClosed => outage.set_detail(reason),
            _ => self.outage = Some(Outage::new(Trouble::LineClosed, now_ns).with_detail(reason)),
        }
    }

    /// Takes a line of the client, without its end. `is_cut`: it was so long that the rest was thrown away.
    pub fn client_line(&mut self, line: &[u8], is_cut: bool) {
        if line.trim_ascii().is_empty() {
            self.finished_lines += 1;
        } else if is_cut || line.len() > LINE_BYTES_MAX {
            self.finished_lines += 1;
            self.refuse_long(line, is_cut);
        } else {
            match envelope::read(line) {
                Ok(messages) => self.forward(line, messages),
                Err(error) => {
                    self.finished_lines += 1;
                    self.reply(None, PARSE_ERROR, &format!("Parse error: {error}"));
                }
            }
        }
    }

    /// Takes bytes from the wire.
    pub fn receive(&mut self, bytes: &[u8], now_ns: u64) {
        for &byte in bytes {
            let event = match self.link.receive(byte, now_ns) {
                None => continue,
                Some(Received::Text(text)) => {
                    self.notes.board_text(text);
                    continue;
                }
                Some(Received::Message { bytes, is_end }) => {
                    self.heard_ns = now_ns;
                    self.is_inbound_too_long |= self.inbound.len() + bytes.len() > MESSAGE_BYTES_MAX;
                    if !self.is_inbound_too_long {
                        self.inbound.extend_from_slice(bytes);
                    }
                    if !is_end {
                        continue;
                    }
                    Event::MessageEnd
                }
                Some(Received::Ready) => Event::Ready,
                Some(Received::PeerRestarted) => Event::PeerRestarted,
                Some(Received::Hello | Received::Log { .. } | Received::LogWanted | Received::FrameRest) => continue,
            };
            self.act(&event, now_ns);
        }
    }

    fn act(&mut self, event: &Event, now_ns: u64) {
        match event {
            Event::MessageEnd => self.board_message(),
            Event::Ready => {
                self.notes.say("the board answers");
                self.outage = None;
                self.heard_ns = now_ns;
                self.drop_inbound();
                self.lines.restart(&self.session.lines());
                for id in self.session.ids() {
                    self.outstanding.add(Waiting { id, line: 0, is_batch: false, purpose: Purpose::Replay });
                }
            }
            Event::PeerRestarted => self.lose_session(Trouble::BoardReset, now_ns),
        }
    }

    /// Does what is due. Call it after everything else and when [`Self::next_timer_ns`] has come.
    pub fn tick(&mut self, now_ns: u64) {
        if self.is_wire_open && self.link.is_peer_silent() {
            self.lose_session(Trouble::BoardSilent, now_ns);
        }
        if let Some(outage) = self.outage.as_mut().filter(|outage| outage.is_overdue(now_ns) && !outage.is_told) {
            outage.is_told = true;
            let (trouble, sentence) = (outage.trouble(), outage.to_string());
            self.notes.say(&sentence);
            self.finished_lines += self.lines.clear();
            let lost = self.outstanding.take(|_| true);
            self.answer_lost(&lost, trouble, &sentence);
            if trouble == Trouble::LineClosed {
                self.link.close();
            }
        }
        self.lines.give(&mut self.link);
        if self.link.is_open() && self.link.is_idle() {
            self.finished_lines += self.lines.forget_given();
            if self.is_wire_open && self.heard_ns.saturating_add(PROBE_NS) <= now_ns {
                self.link.queue(PROBE);
                self.heard_ns = now_ns;
            }
        }
    }

    /// Bytes for the wire, which must be open.
    pub fn poll_output(&mut self, now_ns: u64, buffer: &mut [u8]) -> usize {
        self.link.poll_output(now_ns, buffer)
    }

    /// When there is something to do even if nothing happens.
    pub fn next_timer_ns(&self) -> Option<u64> {
        let overdue = self.outage.as_ref().filter(|outage| !outage.is_told).map(Outage::overdue_ns);
        let link = self.link.next_timer_ns().filter(|_| self.is_wire_open);
        let probe = (self.is_wire_open && self.link.is_open()).then(|| self.heard_ns.saturating_add(PROBE_NS));
        [overdue, link, probe].into_iter().flatten().min()
    }

    /// Nobody waits for an answer, and nothing is on its way to the board.
    pub fn is_done(&self) -> bool {
        self.outstanding.is_empty() && self.lines.is_empty()
    }

    /// Drops whatever the board still works on, by the hello of a host that wants nothing. Returns whether there is someone to tell.
    pub fn say_goodbye(&mut self, now_ns: u64) -> bool {
        let is_needed = self.is_wire_open && self.link.is_open() && !self.outstanding.is_empty();
        self.outstanding.clear();
        self.lines.clear();
        self.session = Session::default();
        if is_needed {
            self.link.hello(self.nonces.next(), now_ns);
        }
        is_needed
    }

    /// Whether there is a session with the board.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Whole lines for the client.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Text for people.
    pub fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// How many lines of the client came to their end since the last call.
    pub fn take_finished_lines(&mut self) -> usize {
        std::mem::take(&mut self.finished_lines)
    }

    /// What went wrong on the wire.
    pub fn counts(&self) -> LinkCounts {
        self.link.counts()
    }

    fn greet(&mut self, now_ns: u64) {
        self.outage = Some(Outage::new(Trouble::BoardSilent, now_ns).with_detail(self.silence_advice));
        self.link.hello(self.nonces.next(), now_ns);
    }

    /// The board has no session, or gives no sign: what it worked on is lost. What it did not acknowledge is sent again.
    fn lose_session(&mut self, trouble: Trouble, now_ns: u64) {
        self.notes.say(&trouble.to_string());
        let lines = &self.lines;
        let lost = self.outstanding.take(|waiting| waiting.purpose == Purpose::Replay || !lines.holds(waiting.line));
        self.answer_lost(&lost, trouble, &format!("{trouble}; the request is lost, try again"));
        self.drop_inbound();
        self.greet(now_ns);
    }

    fn answer_lost(&mut self, lost: &[Waiting], trouble: Trouble, message: &str) {
        for line in error_lines(lost, trouble.code(), message) {
            self.print(line.as_bytes());
        }
    }

    fn forward(&mut self, line: &[u8], messages: Messages<'_>) {
        self.next_line += 1;
        let number = self.next_line;
        let is_batch = messages.is_batch;
        for message in messages.messages {
            match message {
                Message::Request { id, method } => {
                    let is_session = !is_batch && self.session.note_request(&id, &method, line);
                    let purpose = if is_session { Purpose::Session } else { Purpose::Client };
                    self.outstanding.add(Waiting { id, line: number, is_batch, purpose });
                }
                Message::Cancelled { id } => {
                    self.outstanding.remove(&id);
                }
                Message::Notification { method } => self.session.note_notification(&method, line),
                Message::Response { .. } | Message::Other => {}
            }
        }
        match &self.outage {
            Some(outage) if outage.is_told => {
                let (trouble, sentence) = (outage.trouble(), outage.to_string());
                self.finished_lines += 1;
                let lost = self.outstanding.take(|waiting| waiting.line == number);
                self.answer_lost(&lost, trouble, &sentence);
            }
            _ => self.lines.push(number, line),
        }
    }

    /// A line over the limit is answered here; with its ids, if it can be read.
    fn refuse_long(&mut self, line: &[u8], is_cut: bool) {
        let reason = format!("Invalid request: a line is longer than {LINE_BYTES_MAX} bytes");
        let readable = if is_cut { None } else { envelope::read(line).ok() };
        let messages = readable.map(|messages| messages.messages).unwrap_or_default();
        let ids = messages.into_iter().filter_map(|message| match message {
            Message::Request { id, .. } => Some(id),
            _ => None,
        });
        let ids = ids.collect::<Vec<_>>();
        for id in &ids {
            self.reply(Some(id), INVALID_REQUEST, &reason);
        }
        if ids.is_empty() {
            self.reply(None, INVALID_REQUEST, &reason);
        }
    }

    fn reply(&mut self, id: Option<&RequestId>, code: i32, message: &str) {
        let id = id.map_or_else(|| "null".to_owned(), ToString::to_string);
        let message = Quoted(message);
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#);
        self.print(line.as_bytes());
    }

    /// A whole message came. Nothing but JSON-RPC may reach the client.
    fn board_message(&mut self) {
        let line = std::mem::take(&mut self.inbound);
        let is_too_long = std::mem::take(&mut self.is_inbound_too_long);
        if is_too_long {
            self.notes.say(&format!("dropped a message of the board of more than {MESSAGE_BYTES_MAX} bytes"));
            return;
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        let messages = match envelope::read(line) {
            Ok(messages) if matches!(line.first(), Some(b'{' | b'[')) => messages.messages,
            Ok(_) => return self.notes.say("dropped a message of the board that is neither object nor array"),
            Err(error) => return self.notes.say(&format!("dropped a message of the board: {error}")),
        };
        let mut is_for_client = true;
        for message in messages {
            if let Message::Response { id, is_error } = message {
                is_for_client &= self.note_answer(&id, is_error);
            }
        }
        if is_for_client {
            self.print(line);
        }
    }

    /// Returns whether the client has asked for it.
    fn note_answer(&mut self, id: &RequestId, is_error: bool) -> bool {
        let waiting = self.outstanding.remove(id);
        if let Some(waiting) = &waiting {
            self.finished_lines += self.lines.note_answered(waiting.line);
        }
        match waiting.map(|waiting| waiting.purpose) {
            Some(Purpose::Replay) if is_error => {
                self.notes.say("the board that was reset refuses the session of the client");
                false
            }
            Some(Purpose::Replay) => false,
            Some(Purpose::Session) => {
                self.session.note_answer(id, is_error);
                true
            }
            Some(Purpose::Client) | None => true,
        }
    }

    fn drop_inbound(&mut self) {
        self.inbound.clear();
        self.is_inbound_too_long = false;
    }

    fn print(&mut self, line: &[u8]) {
        self.output.extend_from_slice(line);
        self.output.push(b'\n');
    }
}
