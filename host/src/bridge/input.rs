//! Standard input, cut into lines on a thread of its own.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::pump::Event;

/// What is kept of a line: enough to find the ids in one that is too long for the board.
const LINE_BYTES_KEPT: usize = 1 << 20;
/// How many lines may be on their way: a client that writes without end waits for the board.
const LINES_AT_ONCE: usize = 16;

/// Allows further lines to be read.
#[derive(Debug)]
pub(super) struct Credits(Sender<()>);

impl Credits {
    pub fn give(&self, lines: usize) {
        for _ in 0..lines {
            // The reader may have ended.
            let _ = self.0.send(());
        }
    }
}

/// Reads lines until the input ends.
pub(super) fn spawn(input: impl Read + Send + 'static, events: Sender<Event>) -> Credits {
    let (credits, allowed) = mpsc::channel();
    let credits = Credits(credits);
    credits.give(LINES_AT_ONCE);
    thread::spawn(move || {
        read_lines(BufReader::new(input), &events, &allowed);
        // The bridge may have ended.
        let _ = events.send(Event::InputEnded);
    });
    credits
}

fn read_lines(mut input: impl BufRead, events: &Sender<Event>, allowed: &Receiver<()>) {
    while allowed.recv().is_ok() {
        let Some((line, is_cut)) = read_line(&mut input) else { return };
        if events.send(Event::ClientLine { line, is_cut }).is_err() {
            return;
        }
    }
}

/// A line without its end and whether its rest was thrown away; `None` at the end. The last line needs no LF.
fn read_line(input: &mut impl BufRead) -> Option<(Vec<u8>, bool)> {
    let mut line = Vec::new();
    let mut is_cut = false;
    let mut is_begun = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        if available.is_empty() {
            return is_begun.then_some((line, is_cut));
        }
        is_begun = true;
        let end = available.iter().position(|&byte| byte == b'\n');
        let content = available.get(..end.unwrap_or(available.len())).unwrap_or(&[]);
        let kept = content.len().min(LINE_BYTES_KEPT - line.len());
        is_cut |= kept < content.len();
        line.extend_from_slice(content.get(..kept).unwrap_or(&[]));
        let used = content.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Some((line, is_cut));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_feeds_and_at_the_end() {
        let mut input = &b"one\n\ntwo\r\nrest"[..];
        let lines = std::iter::from_fn(|| read_line(&mut input)).collect::<Vec<_>>();
        assert_eq!(lines, [&b"one"[..], b"", b"two\r", b"rest"].map(|line| (line.to_vec(), false)));
    }

    #[test]
    fn endless_lines_are_cut_and_the_next_is_good() {
        let text = [&vec![b'x'; LINE_BYTES_KEPT + 5][..], b"\nnext\n"].concat();
        let mut input = BufReader::new(&text[..]);
        let (line, is_cut) = read_line(&mut input).unwrap();
        assert!(is_cut && line.len() == LINE_BYTES_KEPT);
        assert_eq!(read_line(&mut input), Some((b"next".to_vec(), false)));
    }
}
