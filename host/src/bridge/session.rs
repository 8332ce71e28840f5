//! What a board that was reset has to be told so that the client's session goes on: the client's own lines, as they came.

use barellama_mcp::id::RequestId;

/// Which line of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Initialize,
    LogLevel,
}

#[derive(Debug)]
struct Asked {
    id: RequestId,
    part: Part,
    line: Vec<u8>,
}

/// The lines that made the session what it is. Clients of 2026-07-28 have none: each of their requests stands for itself.
#[derive(Debug, Default)]
pub(super) struct Session {
    asked: Vec<Asked>,
    initialize: Option<(RequestId, Vec<u8>)>,
    initialized: Option<Vec<u8>>,
    log_level: Option<(RequestId, Vec<u8>)>,
}

impl Session {
    /// Looks at a request of the client. Returns whether it belongs to the session, if the board agrees.
    pub fn note_request(&mut self, id: &RequestId, method: &str, line: &[u8]) -> bool {
        let part = match method {
            "initialize" => Part::Initialize,
            "logging/setLevel" => Part::LogLevel,
            _ => return false,
        };
        self.asked.retain(|asked| asked.part != part);
        self.asked.push(Asked { id: id.clone(), part, line: line.to_vec() });
        true
    }

    /// Looks at a notification of the client.
    pub fn note_notification(&mut self, method: &str, line: &[u8]) {
        if method == "notifications/initialized" {
            self.initialized = Some(line.to_vec());
        }
    }

    /// The board's answer to a request that belongs to the session.
    pub fn note_answer(&mut self, id: &RequestId, is_error: bool) {
        let Some(place) = self.asked.iter().position(|asked| asked.id == *id) else { return };
        let asked = self.asked.swap_remove(place);
        match asked.part {
            _ if is_error => {}
            Part::Initialize => {
                *self = Self { initialize: Some((asked.id, asked.line)), ..Self::default() };
            }
            Part::LogLevel => self.log_level = Some((asked.id, asked.line)),
        }
    }

    /// The lines to say again, in this order.
    pub fn lines(&self) -> Vec<&[u8]> {
        let requests = [self.initialize.as_ref().map(|(_, line)| line), self.initialized.as_ref()];
        let level = self.log_level.as_ref().map(|(_, line)| line);
        requests.into_iter().chain([level]).flatten().map(Vec::as_slice).collect()
    }

    /// The ids of the requests among them: their answers are not for the client, who has them already.
    pub fn ids(&self) -> Vec<RequestId> {
        [&self.initialize, &self.log_level].into_iter().flatten().map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> RequestId {
        RequestId::from_json(serde_json::from_str(&number.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn what_the_board_agreed_to_is_said_again() {
        let mut session = Session::default();
        assert!(session.note_request(&id(1), "initialize", b"first"));
        assert!(session.lines().is_empty());
        session.note_answer(&id(1), false);
        session.note_notification("notifications/initialized", b"second");
        assert!(session.note_request(&id(2), "logging/setLevel", b"wrong"));
        session.note_answer(&id(2), true);
        assert!(session.note_request(&id(3), "logging/setLevel", b"third"));
        session.note_answer(&id(3), false);
        assert!(!session.note_request(&id(4), "tools/list", b"no"));
        session.note_notification("notifications/roots/list_changed", b"no");
        assert_eq!(session.lines(), [b"first".as_slice(), b"second", b"third"]);
        assert_eq!(session.ids(), [id(1), id(3)]);
    }

    #[test]
    fn a_new_handshake_forgets_the_old_one() {
        let mut session = Session::default();
        for (number, line) in [(1, b"a"), (2, b"b")] {
            session.note_request(&id(number), "initialize", line);
            session.note_answer(&id(number), false);
        }
        assert_eq!(session.lines(), [b"b"]);
    }
}
