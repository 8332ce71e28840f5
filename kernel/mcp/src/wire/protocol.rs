//! What the frames mean: sessions, the receiving half of go-back-N, and what has to be said when.

use super::frame::{Frame, FrameKind, WireFrame, nonce_payload, read_nonce};
use super::log_lines::MORE_FOLLOWS;
use super::transmit::{Timing, Transmitter, WINDOW_FRAMES};

/// Which end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Waits for a hello.
    Board,
    /// Says hello.
    Host,
}

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Text outside frames. On the host it is for people. On the board, while there is a session, it may be the rest of a damaged
    /// frame: it must not be carried out (a line `/console` excepted).
    Text(&'a [u8]),
    /// The next bytes of a message.
    Message {
        /// The bytes; perhaps none.
        bytes: &'a [u8],
        /// Whether the message ends with them.
        is_end: bool,
    },
    /// Board: a new host. Whatever the old one had asked for, and what was queued for it, is to be dropped.
    Hello,
    /// Host: the board answered, messages may go.
    Ready,
    /// Host: a part of a line of the board's log.
    Log {
        /// The bytes; perhaps none.
        bytes: &'a [u8],
        /// Whether the line ends with them.
        is_end: bool,
    },
    /// Board: a console wants the log.
    LogWanted,
    /// Board: the end of a frame whose start was lost, perhaps before a reset. The text in front of it in this row was its content.
    FrameRest,
    /// Host: the board has no session or another one: it was reset. Say hello again.
    PeerRestarted,
}

/// Counts of what went wrong on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Frames that broke off or whose checksum was wrong.
    pub damaged_frames: u64,
    /// Data frames that came twice or after a lost one.
    pub unexpected_frames: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    None,
    /// Host: no answer yet.
    Greeting {
        nonce: u64,
        repeat_at_ns: u64,
    },
    Open {
        nonce: u64,
    },
}

/// How many frames wait at most for their acknowledgement, if the time is not up before.
const ACKNOWLEDGE_FRAMES: u32 = 4;

/// The nonce that says that there is no session.
const NO_SESSION: u64 = 0;

/// What has to be sent beside data.
#[derive(Clone, Copy, Debug, Default)]
struct Duties {
    /// The nonce of an answer.
    answer: Option<u64>,
    resend: bool,
    acknowledge_frames: u32,
    acknowledge_at_ns: u64,
}

/// Whether data is taken.
#[derive(Clone, Copy, Debug, Default)]
struct Hold {
    is_on: bool,
    /// Data came meanwhile; it stays with the peer.
    has_refused: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Protocol {
    role: Role,
    timing: Timing,
    session: Session,
    transmitter: Transmitter,
    /// Number of the data frame that comes next.
    expected: u8,
    duties: Duties,
    /// The frame that was asked for again, and when that may be repeated.
    asked: Option<(u8, u64)>,
    hold: Hold,
    outgoing: WireFrame,
    outgoing_sent: usize,
    counts: LinkCounts,
}

impl Protocol {
    pub fn new(role: Role, timing: Timing) -> Self {
        Self {
            role,
            timing,
            session: Session::None,
            transmitter: Transmitter::default(),
            expected: 0,
            duties: Duties::default(),
            asked: None,
            hold: Hold::default(),
            outgoing: WireFrame::new(),
            outgoing_sent: 0,
            counts: LinkCounts::default(),
        }
    }

    pub fn hello(&mut self, nonce: u64, now_ns: u64) {
        self.restart(Session::Greeting { nonce: nonce.max(1), repeat_at_ns: now_ns });
    }

    pub fn close(&mut self) {
        self.restart(Session::None);
    }

    pub fn is_open(&self) -> bool {
        matches!(self.session, Session::Open { .. })
    }

    pub fn transmitter(&self) -> &Transmitter {
        &self.transmitter
    }

    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    pub fn queue(&mut self, bytes: &[u8]) -> usize {
        if self.is_open() { self.transmitter.queue(bytes) } else { 0 }
    }

    /// Takes no data while `is_on`. The peer keeps what it sends, hears that this end is there, and is asked for it afterwards.
    pub fn hold(&mut self, is_on: bool) {
        if !is_on && core::mem::take(&mut self.hold.has_refused) {
            self.duties.resend = true;
        }
        self.hold.is_on = is_on;
    }

    /// Acts on a good frame.
    pub fn take<'a>(&mut self, frame: &Frame<'a>, now_ns: u64) -> Option<Received<'a>> {
        match (frame.kind, self.session) {
            (FrameKind::Hello, _) => self.take_hello(frame),
            (FrameKind::Answer, _) => self.take_answer(frame),
            (FrameKind::Log, _) => Some(match self.role {
                Role::Board => Received::LogWanted,
                Role::Host => Received::Log { bytes: frame.payload, is_end: frame.sequence != MORE_FOLLOWS },
            }),
            (FrameKind::Data | FrameKind::End, Session::None) if self.role == Role::Board => {
                self.duties.answer = Some(NO_SESSION);
                None
            }
            (_, Session::None | Session::Greeting { .. }) => None,
            (FrameKind::Data | FrameKind::End, Session::Open { .. }) => self.take_data(frame, now_ns),
            (FrameKind::Acknowledge, Session::Open { .. }) => {
                self.transmitter.acknowledge(frame.sequence, now_ns);
                None
            }
            (FrameKind::Resend, Session::Open { .. }) => {
                self.transmitter.resend(frame.sequence, now_ns);
                None
            }
        }
    }

    /// Something came that was no whole frame: most likely the expected one.
    pub fn note_damage<'a>(&mut self, now_ns: u64) -> Option<Received<'a>> {
        self.counts.damaged_frames += 1;
        self.ask_again(now_ns);
        None
    }

    /// The end of a frame came without its start.
    pub fn note_rest<'a>(&mut self, now_ns: u64) -> Option<Received<'a>> {
        self.note_damage(now_ns).or((self.role == Role::Board).then_some(Received::FrameRest))
    }

    fn take_hello<'a>(&mut self, frame: &Frame<'a>) -> Option<Received<'a>> {
        let nonce = read_nonce(frame.payload).filter(|&nonce| nonce != NO_SESSION && self.role == Role::Board)?;
        let is_known = self.session == Session::Open { nonce };
        if !is_known {
            self.restart(Session::Open { nonce });
        }
        self.duties.answer = Some(nonce);
        (!is_known).then_some(Received::Hello)
    }

    fn take_answer<'a>(&mut self, frame: &Frame<'a>) -> Option<Received<'a>> {
        let answered = read_nonce(frame.payload).filter(|_| self.role == Role::Host)?;
        match self.session {
            Session::Greeting { nonce, .. } if nonce == answered => {
                self.restart(Session::Open { nonce });
                Some(Received::Ready)
            }
            Session::Open { nonce } if nonce != answered => {
                self.close();
                Some(Received::PeerRestarted)
            }
            _ => None,
        }
    }

    fn take_data<'a>(&mut self, frame: &Frame<'a>, now_ns: u64) -> Option<Received<'a>> {
        if self.hold.is_on {
            self.hold.has_refused = true;
            self.owe_acknowledgement(now_ns);
            return None;
        }
        let ahead = frame.sequence.wrapping_sub(self.expected);
        if ahead != 0 {
            self.counts.unexpected_frames += 1;
            if usize::from(ahead) < WINDOW_FRAMES {
                self.ask_again(now_ns);
            } else {
                // An old one: its acknowledgement was lost.
                self.owe_acknowledgement(now_ns);
            }
            return None;
        }
        self.expected = self.expected.wrapping_add(1);
        self.asked = None;
        self.owe_acknowledgement(now_ns);
        Some(Received::Message { bytes: frame.payload, is_end: frame.kind == FrameKind::End })
    }

    fn owe_acknowledgement(&mut self, now_ns: u64) {
        if self.duties.acknowledge_frames == 0 {
            self.duties.acknowledge_at_ns = now_ns.saturating_add(self.timing.acknowledge_ns);
        }
        self.duties.acknowledge_frames += 1;
    }

    /// Asks for the expected frame again, once per gap and time: each request makes the peer send the whole rest.
    fn ask_again(&mut self, now_ns: u64) {
        let was_asked = self.asked.is_some_and(|(expected, until_ns)| expected == self.expected && now_ns < until_ns);
        if self.is_open() && !was_asked {
            self.duties.resend = true;
            self.asked = Some((self.expected, now_ns.saturating_add(self.timing.repeat_ns)));
        }
    }

    /// A new state of the session. A frame that is half on the wire goes out whole: the peer takes or drops it by its own state.
    fn restart(&mut self, session: Session) {
        self.session = session;
        self.transmitter = Transmitter::default();
        self.expected = 0;
        self.duties = Duties::default();
        self.asked = None;
        self.hold = Hold::default();
    }

    pub fn poll_output(&mut self, now_ns: u64, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let rest = self.outgoing.get(self.outgoing_sent..).unwrap_or(&[]);
            if rest.is_empty() {
                let Some(frame) = self.next_frame(now_ns) else { break };
                self.outgoing = frame;
                self.outgoing_sent = 0;
                continue;
            }
            let count = rest.len().min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            self.outgoing_sent += count;
            filled += count;
        }
        filled
    }

    fn next_frame(&mut self, now_ns: u64) -> Option<WireFrame> {
        if let Some(nonce) = self.duties.answer.take() {
            return Some(Frame { kind: FrameKind::Answer, sequence: 0, payload: &nonce_payload(nonce) }.encode());
        }
        match &mut self.session {
            Session::None => None,
            Session::Greeting { nonce, repeat_at_ns } => (*repeat_at_ns <= now_ns).then(|| {
                *repeat_at_ns = now_ns.saturating_add(self.timing.repeat_ns);
                Frame { kind: FrameKind::Hello, sequence: 0, payload: &nonce_payload(*nonce) }.encode()
            }),
            Session::Open { .. } => match self.next_control(now_ns) {
                Some(kind) => Some(Frame { kind, sequence: self.expected, payload: b"" }.encode()),
                None => self.transmitter.next_frame(now_ns, &self.timing),
            },
        }
    }

    /// The acknowledgement or request for a resend that is due; either stands for both.
    fn next_control(&mut self, now_ns: u64) -> Option<FrameKind> {
        let frames = self.duties.acknowledge_frames;
        let is_due = frames >= ACKNOWLEDGE_FRAMES || (frames > 0 && self.duties.acknowledge_at_ns <= now_ns);
        let kind = if core::mem::take(&mut self.duties.resend) {
            FrameKind::Resend
        } else if is_due {
            FrameKind::Acknowledge
        } else {
            return None;
        };
        self.duties.acknowledge_frames = 0;
        Some(kind)
    }

    pub fn next_timer_ns(&self) -> Option<u64> {
        match self.session {
            Session::None => None,
            Session::Greeting { repeat_at_ns, .. } => Some(repeat_at_ns),
            Session::Open { .. } => {
                let acknowledge = (self.duties.acknowledge_frames > 0).then_some(self.duties.acknowledge_at_ns);
                let resend = self.transmitter.timeout_ns(&self.timing);
                acknowledge.into_iter().chain(resend).min()
            }
        }
    }
}
