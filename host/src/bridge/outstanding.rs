//! Which requests wait for an answer of the board, so that each gets one even if the board's work is lost.

use barellama_mcp::id::RequestId;
use barellama_mcp::json::Quoted;

/// JSON-RPC: the server cannot answer.
const INTERNAL_ERROR: i32 = -32603;

/// What the answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For the client.
    Client,
    /// For the client; the request belongs to what a board must know of the session.
    Session,
    /// For the bridge alone, which told a restarted board about the session.
    Replay,
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub id: RequestId,
    /// Number of the line that it came in.
    pub line: u64,
    pub is_batch: bool,
    pub purpose: Purpose,
}

/// All requests without an answer, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Outstanding(Vec<Waiting>);

impl Outstanding {
    pub fn add(&mut self, waiting: Waiting) {
        let is_known = self.0.iter().any(|known| known.id == waiting.id);
        // The board refuses a second request with the id of one that still runs.
        if !is_known {
            self.0.push(waiting);
        }
    }

    /// The request was answered or given up.
    pub fn remove(&mut self, id: &RequestId) -> Option<Waiting> {
        let place = self.0.iter().position(|waiting| waiting.id == *id)?;
        Some(self.0.remove(place))
    }

    /// Takes out the requests for which that holds.
    pub fn take(&mut self, is_lost: impl FnMut(&mut Waiting) -> bool) -> Vec<Waiting> {
        self.0.extract_if(.., is_lost).collect()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lines that answer requests with an error. What came in an array is answered in one.
pub(super) fn error_lines(lost: &[Waiting], reason: &str, message: &str) -> Vec<String> {
    let for_client = lost.iter().filter(|waiting| waiting.purpose != Purpose::Replay).collect::<Vec<_>>();
    let groups = for_client.chunk_by(|left, right| left.is_batch && right.is_batch && left.line == right.line);
    let lines = groups.map(|group| {
        let answers = group.iter().map(|waiting| {
            let id = &waiting.id;
            let message = Quoted(message);
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{INTERNAL_ERROR},"message":{message},"data":{{"reason":"{reason}"}}}}}}"#
            )
        });
        let answers = answers.collect::<Vec<_>>().join(",");
        if group.first().is_some_and(|waiting| waiting.is_batch) { format!("[{answers}]") } else { answers }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: &str, line: u64, is_batch: bool, purpose: Purpose) -> Waiting {
        let id = RequestId::from_json(serde_json::from_str(id).unwrap()).unwrap();
        Waiting { id, line, is_batch, purpose }
    }

    #[test]
    fn ids_wait_once() {
        let mut outstanding = Outstanding::default();
        outstanding.add(waiting("1", 1, false, Purpose::Client));
        outstanding.add(waiting("1", 2, false, Purpose::Client));
        outstanding.add(waiting("\"1\"", 3, false, Purpose::Client));
        assert_eq!(outstanding.remove(&waiting("1", 0, false, Purpose::Client).id).unwrap().line, 1);
        assert!(outstanding.remove(&waiting("1", 0, false, Purpose::Client).id).is_none());
        assert_eq!(outstanding.take(|_| true).len(), 1);
        assert!(outstanding.is_empty());
    }

    #[test]
    fn errors_have_the_form_of_their_requests() {
        let lost = [
            waiting("1", 1, false, Purpose::Client),
            waiting("2", 2, true, Purpose::Client),
            waiting("\"x\"", 2, true, Purpose::Client),
            waiting("9", 0, false, Purpose::Replay),
            waiting("3", 3, false, Purpose::Session),
        ];
        let lines = error_lines(&lost, "board_reset", "a \"reset\"");
        let values = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>();
        assert_eq!(values.len(), 3);
        assert_eq!(values[0]["error"]["message"], "a \"reset\"");
        assert_eq!(values[0]["error"]["data"]["reason"], "board_reset");
        assert_eq!(values[1][1]["id"], "x");
        assert_eq!(values[2]["id"], 3);
    }
}
