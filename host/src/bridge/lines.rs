//! The client's lines on their way to the board, kept until the board has them.

use std::collections::VecDeque;

use barellama_mcp::wire::Link;

#[derive(Clone, Debug)]
struct ClientLine {
    /// `None`: a line that tells a restarted board about the session.
    number: Option<u64>,
    /// With its LF.
    bytes: Vec<u8>,
}

/// Lines that the board does not have for certain. The first ones are given to the link already.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: VecDeque<ClientLine>,
    /// How many lines are given to the link whole.
    given: usize,
    /// How many bytes of the next one are.
    given_bytes: usize,
}

impl Lines {
    pub fn push(&mut self, number: u64, line: &[u8]) {
        self.lines.push_back(ClientLine { number: Some(number), bytes: ended(line) });
    }

    /// Gives the link as much as it takes.
    pub fn give(&mut self, link: &mut Link) {
        while let Some(line) = self.lines.get(self.given) {
            let rest = line.bytes.get(self.given_bytes..).unwrap_or(&[]);
            let taken = link.queue(rest);
            if taken < rest.len() {
                self.given_bytes += taken;
                return;
            }
            self.given += 1;
            self.given_bytes = 0;
        }
    }

    /// Everything that the link took has arrived. Returns how many of the client's lines that finished.
    pub fn forget_given(&mut self) -> usize {
        let given = std::mem::take(&mut self.given);
        count_of_client(self.lines.drain(..given))
    }

    /// The board answered this line: it has it, and those in front of it. Returns how many of the client's lines that finished.
    pub fn note_answered(&mut self, number: u64) -> usize {
        let given = self.lines.iter().take(self.given);
        let Some(place) = given.into_iter().position(|line| line.number == Some(number)) else { return 0 };
        self.given -= place + 1;
        count_of_client(self.lines.drain(..=place))
    }

    /// A new session: everything is sent again, behind these lines.
    pub fn restart(&mut self, replay: &[&[u8]]) {
        self.lines.retain(|line| line.number.is_some());
        for line in replay.iter().rev() {
            self.lines.push_front(ClientLine { number: None, bytes: ended(line) });
        }
        self.given = 0;
        self.given_bytes = 0;
    }

    /// Drops everything. Returns how many of the client's lines that were.
    pub fn clear(&mut self) -> usize {
        let lines = std::mem::take(self).lines;
        count_of_client(lines.into_iter())
    }

    /// Whether the board may not have this line.
    pub fn holds(&self, number: u64) -> bool {
        self.lines.iter().any(|line| line.number == Some(number))
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

fn ended(line: &[u8]) -> Vec<u8> {
    [line, b"\n"].concat()
}

fn count_of_client(lines: impl Iterator<Item = ClientLine>) -> usize {
    lines.filter(|line| line.number.is_some()).count()
}

#[cfg(test)]
mod tests {
    use barellama_mcp::wire::{Received, Role, Timing};

    use super::*;

    /// A link with an open session.
    fn open_link() -> Link {
        let mut host = Link::new(Role::Host, Timing::default());
        let mut board = Link::new(Role::Board, Timing::default());
        host.hello(7, 0);
        transfer(&mut host, &mut board);
        transfer(&mut board, &mut host);
        assert!(host.is_open());
        host
    }

    fn transfer(from: &mut Link, to: &mut Link) -> Vec<u8> {
        let mut buffer = [0; 1 << 16];
        let count = from.poll_output(0, &mut buffer);
        let mut messages = Vec::new();
        for &byte in &buffer[..count] {
            if let Some(Received::Message { bytes, is_end }) = to.receive(byte, 0) {
                messages.extend_from_slice(bytes);
                messages.extend(is_end.then_some(b'\n'));
            }
        }
        messages
    }

    #[test]
    fn lines_are_held_until_they_have_arrived() {
        let mut link = open_link();
        let mut lines = Lines::default();
        lines.push(1, b"{}");
        lines.push(2, &[b' '; 6000]);
        lines.give(&mut link);
        assert_eq!(lines.forget_given(), 1);
        assert!(!lines.holds(1) && lines.holds(2));
        assert_eq!(lines.clear(), 1);
        assert!(lines.is_empty());
    }

    #[test]
    fn an_answer_stands_for_the_acknowledgement() {
        let mut link = open_link();
        let mut lines = Lines::default();
        for number in 1..=3 {
            lines.push(number, b"{}");
        }
        lines.give(&mut link);
        lines.push(4, b"{}");
        assert_eq!(lines.note_answered(4), 0);
        assert_eq!(lines.note_answered(2), 2);
        assert!(!lines.holds(1) && !lines.holds(2) && lines.holds(3));
        assert_eq!(lines.note_answered(2), 0);
        assert_eq!(lines.forget_given(), 1);
        assert!(lines.holds(4));
    }

    #[test]
    fn a_restart_sends_again_what_may_be_lost() {
        let mut lines = Lines::default();
        lines.push(1, b"[1]");
        lines.give(&mut open_link());
        for replay in ["[8]", "[9]"] {
            lines.restart(&[replay.as_bytes(), b"[0]"]);
        }
        let mut link = open_link();
        let mut board = Link::new(Role::Board, Timing::default());
        board.hello(7, 0);
        lines.give(&mut link);
        let mut wire = [0; 1000];
        let count = link.poll_output(0, &mut wire);
        let text = String::from_utf8_lossy(&wire[..count]).into_owned();
        let payloads = text.split("\x1b\\\n").filter_map(|frame| frame.get(13..)).collect::<Vec<_>>();
        assert_eq!(payloads, ["[9]", "[0]", "[1]"]);
        assert_eq!(lines.forget_given(), 1);
    }
}
