//! How a client learns what the server is: `initialize` and `server/discover`.

use alloc::borrow::Cow;
use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Server;
use super::answer::{Cache, ServerInfo};
use super::call::Context;
use super::request::required;
use crate::json::Quoted;
use crate::message::{Params, is_object};
use crate::outbox::Outbox;
use crate::revision::{Revision, SupportedRevisions};
use crate::rpc_error::{RpcError, code};

const INSTRUCTIONS: &str = "A language model on a bare-metal Raspberry Pi behind a serial line. chat and generate run it; calls queue up \
    and stream by progress notifications. The model is small and slow: keep prompts short. system_status tells how the board is.";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialize<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    capabilities: &'a RawValue,
    #[serde(borrow)]
    client_info: ClientInfo<'a>,
}

/// Only its form is checked: a client's name changes nothing.
#[derive(Deserialize)]
struct ClientInfo<'a> {
    #[serde(borrow, rename = "name")]
    _name: Cow<'a, str>,
    #[serde(borrow, rename = "version")]
    _version: Cow<'a, str>,
}

impl Server<'_> {
    /// Begins a session. In plain mode nothing else tells that another client is on the line: what an earlier one asked for is dropped.
    pub(super) fn initialize(
        &mut self,
        context: &Context,
        params: Params<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        if context.batch.is_some() {
            return Err(RpcError::new(code::INVALID_REQUEST, "Invalid request: \"initialize\" must stand alone"));
        }
        let Initialize { protocol_version, capabilities, client_info: ClientInfo { .. } } = required(params)?;
        if !is_object(capabilities) {
            return Err(RpcError::params("Invalid params: \"capabilities\" must be an object"));
        }
        let revision = Revision::with_handshake(&protocol_version).unwrap_or(Revision::LATEST_WITH_HANDSHAKE);
        self.reset();
        self.session = Some(revision);
        self.reply(&Context { revision, ..context.clone() }, Cache::Silent, &InitializeResult(revision), outbox);
        Ok(())
    }

    pub(super) fn discover(&mut self, context: &Context, outbox: &mut Outbox<'_>) {
        self.reply(context, Cache::Fixed, &DiscoverResult(context.revision), outbox);
    }
}

struct InitializeResult(Revision);

impl fmt::Display for InitializeResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, capabilities, info) = (self.0.name(), Capabilities(self.0), ServerInfo(self.0));
        write!(
            formatter,
            "\"protocolVersion\":\"{version}\",\"capabilities\":{capabilities},\"serverInfo\":{info},\"instructions\":{}",
            Quoted(INSTRUCTIONS)
        )
    }
}

struct DiscoverResult(Revision);

impl fmt::Display for DiscoverResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capabilities = Capabilities(self.0);
        write!(
            formatter,
            "\"supportedVersions\":{SupportedRevisions},\"capabilities\":{capabilities},\"instructions\":{}",
            Quoted(INSTRUCTIONS)
        )
    }
}

struct Capabilities(Revision);

impl fmt::Display for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{\"tools\":{},\"resources\":{},\"prompts\":{}")?;
        if self.0.has_completions_capability() {
            formatter.write_str(",\"completions\":{}")?;
        }
        if !self.0.is_modern() {
            formatter.write_str(",\"logging\":{}")?;
        }
        formatter.write_str("}")
    }
}
