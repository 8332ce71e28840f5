//! One end of the checked mode: the same state machine for the board and for the host's bridge.

use super::frame::Frame;
use super::protocol::{LinkCounts, Protocol, Received, Role};
use super::receiver::{Receiver, Token};
use super::transmit::Timing;

/// One end of a checked line, about 5 KiB.
#[derive(Clone, Debug)]
pub struct Link {
    receiver: Receiver,
    protocol: Protocol,
}

impl Link {
    /// An end without a session.
    #[must_use]
    pub fn new(role: Role, timing: Timing) -> Self {
        Self { receiver: Receiver::default(), protocol: Protocol::new(role, timing) }
    }

    /// Host: starts a session. A nonce is never used twice and not 0; it is said until the board answers.
    pub fn hello(&mut self, nonce: u64, now_ns: u64) {
        self.protocol.hello(nonce, now_ns);
    }

    /// Ends the session without a word; a peer that goes on gets to know.
    pub fn close(&mut self) {
        self.protocol.close();
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.protocol.is_open()
    }

    /// Whether the peer has not acknowledged anything for many timeouts: it is gone.
    #[must_use]
    pub fn is_peer_silent(&self) -> bool {
        self.protocol.transmitter().is_peer_silent()
    }

    /// Whether everything that was queued has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.protocol.transmitter().is_idle()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        self.protocol.counts()
    }

    /// Takes bytes of messages to send, each message ended by LF, as many as the window has room for. Returns how many; none
    /// without a session.
    pub fn queue(&mut self, bytes: &[u8]) -> usize {
        self.protocol.queue(bytes)
    }

    /// Whether data from the peer has to wait, because there is no room for what it may lead to. The peer keeps it.
    pub fn hold(&mut self, is_on: bool) {
        self.protocol.hold(is_on);
    }

    /// Takes a byte from the wire.
    pub fn receive(&mut self, byte: u8, now_ns: u64) -> Option<Received<'_>> {
        match self.receiver.push(byte)? {
            Token::Text(text) => Some(Received::Text(text)),
            Token::Damaged => self.protocol.note_damage(now_ns),
            Token::Rest => self.protocol.note_rest(now_ns),
            Token::Body(body) => match Frame::parse(body) {
                Some(frame) => self.protocol.take(&frame, now_ns),
                None => self.protocol.note_damage(now_ns),
            },
        }
    }

    /// Fills `buffer` with bytes for the wire; returns how many. Call it while the UART's buffers are nearly empty: what lies
    /// there delays what is sent again.
    pub fn poll_output(&mut self, now_ns: u64, buffer: &mut [u8]) -> usize {
        self.protocol.poll_output(now_ns, buffer)
    }

    /// When [`Self::poll_output`] will have something to send even if nothing else happens.
    #[must_use]
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.protocol.next_timer_ns()
    }
}
