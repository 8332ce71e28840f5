//! The log beside the text for people: `barellama console` asks for it and shows it apart.

use super::frame::{Frame, FrameKind, PAYLOAD_BYTES_MAX, WireFrame};

/// `seq` of a part of a line behind which more of it follows.
pub(super) const MORE_FOLLOWS: u8 = 1;
/// `seq` of a line's last part.
const LAST: u8 = 0;

/// The frame by which a console asks a board for its log, from the oldest line on. It may be repeated: a board that sends already goes on.
#[must_use]
pub fn log_request() -> WireFrame {
    Frame { kind: FrameKind::Log, sequence: LAST, payload: b"" }.encode()
}

/// The frames of a line, in their order. Control characters become blanks: they would end a frame.
pub fn log_frames(line: &str) -> impl Iterator<Item = WireFrame> {
    let count = line.len().div_ceil(PAYLOAD_BYTES_MAX).max(1);
    (0..count).map(move |index| {
        let start = index * PAYLOAD_BYTES_MAX;
        let part = line.as_bytes().get(start..line.len().min(start + PAYLOAD_BYTES_MAX)).unwrap_or(&[]);
        let mut payload = super::frame::Payload::new();
        // A part is as long as a payload at most.
        payload.extend(part.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }));
        let sequence = if index + 1 < count { MORE_FOLLOWS } else { LAST };
        Frame { kind: FrameKind::Log, sequence, payload: &payload }.encode()
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Link, Received, Role, Timing};
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn through(role: Role, frames: impl Iterator<Item = WireFrame>) -> Vec<Option<(String, bool)>> {
        let mut link = Link::new(role, Timing::default());
        let bytes: Vec<u8> = frames.flatten().collect();
        let events = bytes.iter().filter_map(|&byte| match link.receive(byte, 0)? {
            Received::Log { bytes, is_end } => Some(Some((String::from_utf8_lossy(bytes).into_owned(), is_end))),
            Received::LogWanted => Some(None),
            other => panic!("{other:?}"),
        });
        events.collect()
    }

    #[test]
    fn lines_arrive_whole_and_the_request_is_heard() {
        let long = "x".repeat(PAYLOAD_BYTES_MAX + 5);
        for (line, parts) in [("", 1), ("a line", 1), (&long[..PAYLOAD_BYTES_MAX], 1), (&long, 2)] {
            let seen = through(Role::Host, log_frames(line));
            assert_eq!(seen.len(), parts);
            assert_eq!(seen.iter().flatten().map(|part| part.0.as_str()).collect::<String>(), line);
            assert_eq!(seen.iter().flatten().filter(|part| part.1).count(), 1);
        }
        assert_eq!(through(Role::Host, log_frames("a\x1b[1m\nb")), [Some((String::from("a [1m b"), true))]);
        assert_eq!(through(Role::Board, [log_request()].into_iter()), [None]);
    }
}
