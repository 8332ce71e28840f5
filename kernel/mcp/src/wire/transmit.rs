//! The sending half of go-back-N: frames that are not acknowledged yet, and when to send them again.

use heapless::Deque;

use super::frame::{Frame, FrameKind, LINE_FEED, PAYLOAD_BYTES_MAX, Payload, WireFrame};

/// Most frames that are sent without an acknowledgement.
pub const WINDOW_FRAMES: usize = 16;

/// After so many timeouts in a row the peer counts as silent: 20 s, in which a board that was reset boots again and says so.
const TIMEOUTS_MAX: u32 = 40;

/// How long a side waits, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After the last byte was handed out, until unacknowledged frames are sent again. More than a round trip, with what lies in the
    /// UART's buffers.
    pub resend_ns: u64,
    /// How long an acknowledgement may wait for more frames to acknowledge.
    pub acknowledge_ns: u64,
    /// How soon a hello, or a request to resend the same frame, is repeated.
    pub repeat_ns: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { resend_ns: 500_000_000, acknowledge_ns: 5_000_000, repeat_ns: 150_000_000 }
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    kind: FrameKind,
    payload: Payload,
}

/// The window of frames in flight and the frame that is being filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Transmitter {
    window: Deque<Waiting, WINDOW_FRAMES>,
    /// Sequence number of the first frame of the window.
    base: u8,
    /// Place in the window of the frame to send next.
    cursor: usize,
    /// How many frames of the window were sent at least once.
    sent: usize,
    /// When a frame was last handed out or acknowledged.
    active_ns: u64,
    timeouts: u32,
    open: Payload,
}

impl Transmitter {
    /// Takes bytes of messages, each ended by LF, while the window has room. Returns how many.
    pub fn queue(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            if self.window.is_full() {
                break;
            }
            let room = PAYLOAD_BYTES_MAX - self.open.len();
            let end = rest.iter().take(room).position(|&byte| byte == LINE_FEED);
            let length = end.unwrap_or(room.min(rest.len()));
            // It fits: the length is bounded by the room.
            let _ = self.open.extend_from_slice(rest.get(..length).unwrap_or(&[]));
            taken += length;
            if end.is_some() {
                taken += 1;
                self.close_frame(FrameKind::End);
            } else if self.open.is_full() {
                self.close_frame(FrameKind::Data);
            }
        }
        taken
    }

    fn close_frame(&mut self, kind: FrameKind) {
        let payload = core::mem::take(&mut self.open);
        // The caller looked for room.
        let _ = self.window.push_back(Waiting { kind, payload });
    }

    /// The next frame to send, if there is one.
    pub fn next_frame(&mut self, now_ns: u64, timing: &Timing) -> Option<WireFrame> {
        if self.timeout_ns(timing).is_some_and(|at_ns| at_ns <= now_ns) {
            self.cursor = 0;
            self.timeouts = self.timeouts.saturating_add(1);
        }
        let waiting = self.window.iter().nth(self.cursor)?;
        let offset = u8::try_from(self.cursor).unwrap_or(0);
        let sequence = self.base.wrapping_add(offset);
        let frame = Frame { kind: waiting.kind, sequence, payload: &waiting.payload }.encode();
        self.cursor += 1;
        self.sent = self.sent.max(self.cursor);
        self.active_ns = now_ns;
        Some(frame)
    }

    /// When frames will be sent again if nothing comes.
    pub fn timeout_ns(&self, timing: &Timing) -> Option<u64> {
        let is_waiting = self.sent > 0 && self.cursor >= self.sent;
        is_waiting.then(|| self.active_ns.saturating_add(timing.resend_ns))
    }

    /// The peer has everything before `expected`. A number that is not in the window is an old one and means only that the peer is there:
    /// it may have no room just now.
    pub fn acknowledge(&mut self, expected: u8, now_ns: u64) {
        self.timeouts = 0;
        let count = usize::from(expected.wrapping_sub(self.base));
        if count == 0 || count > self.sent {
            return;
        }
        for _ in 0..count {
            self.window.pop_front();
        }
        self.base = expected;
        self.sent -= count;
        self.cursor = self.cursor.saturating_sub(count);
        self.active_ns = now_ns;
    }

    /// The peer has everything before `expected` and asks for the rest again.
    pub fn resend(&mut self, expected: u8, now_ns: u64) {
        self.acknowledge(expected, now_ns);
        if expected == self.base {
            self.cursor = 0;
        }
    }

    /// Whether many timeouts passed without any acknowledgement.
    pub fn is_peer_silent(&self) -> bool {
        self.timeouts >= TIMEOUTS_MAX
    }

    /// Whether everything that was queued is acknowledged.
    pub fn is_idle(&self) -> bool {
        self.window.is_empty() && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TIMING: Timing = Timing { resend_ns: 100, acknowledge_ns: 5, repeat_ns: 50 };

    fn sequences(transmitter: &mut Transmitter, now_ns: u64) -> Vec<u8> {
        core::iter::from_fn(|| transmitter.next_frame(now_ns, &TIMING))
            .map(|frame| Frame::parse(&frame[2..frame.len() - 3]).unwrap().sequence)
            .collect()
    }

    #[test]
    fn the_window_bounds_what_is_taken() {
        let mut transmitter = Transmitter::default();
        assert_eq!(transmitter.queue(&[b'x'; 10_000]), WINDOW_FRAMES * PAYLOAD_BYTES_MAX);
        assert_eq!(sequences(&mut transmitter, 0).len(), WINDOW_FRAMES);
        transmitter.acknowledge(3, 1);
        assert_eq!(transmitter.queue(&[b'x'; 10_000]), 3 * PAYLOAD_BYTES_MAX);
        assert_eq!(sequences(&mut transmitter, 2), [16, 17, 18]);
    }

    #[test]
    fn numbers_wrap() {
        let mut transmitter = Transmitter::default();
        for round in 0..600_u32 {
            assert_eq!(transmitter.queue(b"{}\n"), 3);
            let sequence = u8::try_from(round % 256).unwrap();
            assert_eq!(sequences(&mut transmitter, 0), [sequence]);
            transmitter.acknowledge(sequence.wrapping_add(1), 0);
        }
        assert!(transmitter.is_idle());
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut transmitter = Transmitter::default();
        transmitter.queue(b"a\nb\nc\n");
        assert_eq!(sequences(&mut transmitter, 0), [0, 1, 2]);
        assert!(sequences(&mut transmitter, 99).is_empty());
        assert_eq!(sequences(&mut transmitter, 100), [0, 1, 2]);
        transmitter.resend(1, 110);
        assert_eq!(sequences(&mut transmitter, 110), [1, 2]);
        transmitter.acknowledge(200, 111);
        transmitter.resend(77, 111);
        assert!(sequences(&mut transmitter, 111).is_empty());
        transmitter.acknowledge(3, 112);
        assert!(transmitter.is_idle() && transmitter.timeout_ns(&TIMING).is_none());
    }

    #[test]
    fn a_silent_peer_is_noticed() {
        let mut transmitter = Transmitter::default();
        transmitter.queue(b"a\n");
        for round in 0..=u64::from(TIMEOUTS_MAX) {
            assert!(!transmitter.is_peer_silent());
            sequences(&mut transmitter, round * 100);
        }
        assert!(transmitter.is_peer_silent());
        transmitter.acknowledge(1, 0);
        assert!(!transmitter.is_peer_silent());
    }
}
