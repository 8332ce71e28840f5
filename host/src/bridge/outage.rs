//! Why messages cannot be exchanged, and for how long a client should be kept waiting for it.

use std::fmt;

/// How long a line may be away, in nanoseconds: a cable that is put in again.
const LINE_PATIENCE_NS: u64 = 5_000_000_000;
/// How long a board may take to answer, in nanoseconds: it may have to boot. Clients give up after 60 s and show no reason then.
const BOARD_PATIENCE_NS: u64 = 30_000_000_000;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    LineClosed,
    BoardSilent,
    BoardReset,
}

impl Trouble {
    /// For programs: `error.data.reason`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LineClosed => "line_closed",
            Self::BoardSilent => "board_silent",
            Self::BoardReset => "board_reset",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LineClosed => "the serial line is not open",
            Self::BoardSilent => "the board does not answer",
            Self::BoardReset => "the board was reset",
        })
    }
}

/// A time without messages.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    trouble: Trouble,
    since_ns: u64,
    detail: String,
    /// Whether the client knows. From then on its requests are answered at once.
    pub is_told: bool,
}

impl Outage {
    pub fn new(trouble: Trouble, now_ns: u64) -> Self {
        Self { trouble, since_ns: now_ns, detail: String::new(), is_told: false }
    }

    pub fn with_detail(mut self, detail: &str) -> Self {
        self.set_detail(detail);
        self
    }

    pub fn set_detail(&mut self, detail: &str) {
        detail.clone_into(&mut self.detail);
    }

    pub fn trouble(&self) -> Trouble {
        self.trouble
    }

    pub fn overdue_ns(&self) -> u64 {
        let patience_ns = match self.trouble {
            Trouble::LineClosed => LINE_PATIENCE_NS,
            Trouble::BoardSilent | Trouble::BoardReset => BOARD_PATIENCE_NS,
        };
        self.since_ns.saturating_add(patience_ns)
    }

    pub fn is_overdue(&self, now_ns: u64) -> bool {
        self.overdue_ns() <= now_ns
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.trouble)?;
        if !self.detail.is_empty() {
            write!(formatter, ": {}", self.detail)?;
        }
        Ok(())
    }
}
