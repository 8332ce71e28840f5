//! Answers and notifications as JSON.

use core::fmt;

use crate::id::RequestId;
use crate::json::Quoted;
use crate::revision::Revision;
use crate::rpc_error::RpcError;

/// How long clients may keep what only another firmware changes.
const FIXED_TTL_MS: u32 = 300_000;

/// The server's name.
pub(super) const NAME: &str = "barellama";
/// The server's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a client may keep of a result (2026-07-28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    /// Nothing is said.
    Silent,
    /// The same for everyone until the firmware changes.
    Fixed,
    /// True only now.
    Never,
}

/// Displays the members `name`, `version` of the server, and its title where revisions know titles.
pub(super) struct ServerInfo(pub Revision);

impl fmt::Display for ServerInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{\"name\":\"{NAME}\"")?;
        if self.0.has_titles() {
            formatter.write_str(",\"title\":\"barellama on a Raspberry Pi\"")?;
        }
        write!(formatter, ",\"version\":{}}}", Quoted(VERSION))
    }
}

/// Displays a result object: what the revision wants on every result, then its own members.
pub(super) struct ResultObject<'a> {
    pub revision: Revision,
    pub cache: Cache,
    /// Members of `_meta` in front of the server's name, each with a comma behind it.
    pub meta: &'a dyn fmt::Display,
    /// Members without the braces; may be empty.
    pub members: &'a dyn fmt::Display,
    pub has_members: bool,
}

impl fmt::Display for ResultObject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        if self.revision.is_modern() {
            formatter.write_str("\"resultType\":\"complete\"")?;
            match self.cache {
                Cache::Silent => {}
                Cache::Fixed => write!(formatter, ",\"ttlMs\":{FIXED_TTL_MS},\"cacheScope\":\"public\"")?,
                Cache::Never => formatter.write_str(",\"ttlMs\":0,\"cacheScope\":\"private\"")?,
            }
            let info = ServerInfo(self.revision);
            write!(formatter, ",\"_meta\":{{{}\"io.modelcontextprotocol/serverInfo\":{info}}}", self.meta)?;
            if self.has_members {
                formatter.write_str(",")?;
            }
        }
        write!(formatter, "{}}}", self.members)
    }
}

/// Displays an answer: the result or the error of a request; id null if it is not known.
pub(super) enum Response<'a> {
    Result(&'a RequestId, &'a dyn fmt::Display),
    Error(Option<&'a RequestId>, &'a RpcError),
}

impl fmt::Display for Response<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(id, result) => write!(formatter, "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"),
            Self::Error(Some(id), error) => write!(formatter, "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}"),
            Self::Error(None, error) => write!(formatter, "{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{error}}}"),
        }
    }
}

/// Displays a notification; `params` are the members of its parameters.
pub(super) struct Notification<'a> {
    pub method: &'a str,
    pub params: &'a dyn fmt::Display,
}

impl fmt::Display for Notification<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, params) = (Quoted(self.method), self.params);
        write!(formatter, "{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{{{params}}}}}")
    }
}
