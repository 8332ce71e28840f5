//! The revisions of MCP and what differs between them on the server's side.

use core::fmt;

/// A revision of the protocol, in the order in which they appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// The first.
    V2024_11_05,
    /// Batches, annotations of tools, text in progress, the completions capability.
    V2025_03_26,
    /// No batches; structured results, titles.
    V2025_06_18,
    /// The last with `initialize`.
    V2025_11_25,
    /// Stateless: every request says its revision.
    V2026_07_28,
}

/// All of them, newest first: the order in which clients are told.
const REVISIONS: [Revision; 5] =
    [Revision::V2026_07_28, Revision::V2025_11_25, Revision::V2025_06_18, Revision::V2025_03_26, Revision::V2024_11_05];

impl Revision {
    /// What `initialize` is answered with if the client asks for something else.
    pub const LATEST_WITH_HANDSHAKE: Self = Self::V2025_11_25;

    /// The revision that a client can agree on by `initialize`.
    #[must_use]
    pub fn with_handshake(name: &str) -> Option<Self> {
        REVISIONS.into_iter().find(|revision| revision.name() == name && !revision.is_modern())
    }

    /// The revision that a request can carry.
    #[must_use]
    pub fn without_handshake(name: &str) -> Option<Self> {
        REVISIONS.into_iter().find(|revision| revision.name() == name && revision.is_modern())
    }

    /// Its name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether requests stand alone, without a session.
    #[must_use]
    pub fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether several messages may come in an array. The first revision only inherits that from JSON-RPC.
    #[must_use]
    pub fn has_batches(self) -> bool {
        self <= Self::V2025_03_26
    }

    /// Whether tools have annotations.
    #[must_use]
    pub fn has_annotations(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether progress carries text.
    #[must_use]
    pub fn has_progress_message(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether `completions` is a capability of its own.
    #[must_use]
    pub fn has_completions_capability(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether things have titles beside names.
    #[must_use]
    pub fn has_titles(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether tools have output schemas and their results structured content.
    #[must_use]
    pub fn has_structured_content(self) -> bool {
        self >= Self::V2025_06_18
    }
}

/// Displays a JSON array of all revisions.
#[derive(Clone, Copy, Debug)]
pub struct SupportedRevisions;

impl fmt::Display for SupportedRevisions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, revision) in REVISIONS.iter().enumerate() {
            let before = if index == 0 { "[" } else { "," };
            write!(formatter, "{before}\"{}\"", revision.name())?;
        }
        formatter.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn each_era_knows_its_own() {
        for revision in REVISIONS {
            assert_eq!(Revision::with_handshake(revision.name()).is_some(), !revision.is_modern());
            assert_eq!(Revision::without_handshake(revision.name()).is_some(), revision.is_modern());
            assert!(SupportedRevisions.to_string().contains(revision.name()));
        }
        assert_eq!(Revision::with_handshake("2025-11-26"), None);
        assert!(!Revision::LATEST_WITH_HANDSHAKE.is_modern());
    }
}
