//! `resources/read` and its answers.

use alloc::borrow::Cow;
use core::fmt::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Server;
use super::answer::Cache;
use super::call::{CALLS_MAX, Context, Subject};
use super::request::required;
use super::work::{Ticket, Work};
use crate::json::{Escaping, Quoted};
use crate::message::Params;
use crate::outbox::{Outbox, OutboxFull};
use crate::resources::Resource;
use crate::rpc_error::{RpcError, code};

#[derive(Deserialize)]
struct ReadParams<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
}

/// What a resource holds.
pub(super) enum Contents<'a> {
    Text(&'a dyn fmt::Display),
    Blob(&'a [u8]),
}

/// Displays the members of the result.
pub(super) struct ReadResult<'a> {
    pub resource: Resource,
    pub contents: Contents<'a>,
}

impl fmt::Display for ReadResult<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mime_type = Quoted(self.resource.mime_type());
        write!(formatter, "\"contents\":[{{\"uri\":\"{}\",\"mimeType\":{mime_type}", self.resource)?;
        match self.contents {
            Contents::Text(text) => {
                formatter.write_str(",\"text\":\"")?;
                write!(Escaping(formatter), "{text}")?;
            }
            Contents::Blob(bytes) => write!(formatter, ",\"blob\":\"{}", Base64Display::new(bytes, &STANDARD))?,
        }
        formatter.write_str("\"}]")
    }
}

/// Displays what a function writes.
struct Written<'a>(&'a dyn Fn(&mut dyn Write) -> fmt::Result);

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(formatter)
    }
}

impl Server<'_> {
    pub(super) fn read_resource(&mut self, context: &Context, params: Params<'_>, now_ns: u64) -> Result<(), RpcError> {
        let ReadParams { uri } = required(params)?;
        let resource = Resource::from_uri(&uri).ok_or_else(|| RpcError::no_resource(context.revision, &uri))?;
        let (_, ticket) = self
            .open(context, Subject::Resource(resource), false, now_ns)
            .ok_or_else(|| RpcError::new(code::INTERNAL, format_args!("Busy: {CALLS_MAX} calls are open")))?;
        self.push_work(Work::ReadResource { ticket, resource });
        Ok(())
    }

    /// Answers a [`Work::ReadResource`] with text; ends the ticket.
    ///
    /// # Errors
    /// [`OutboxFull`]: nothing happened, try again when messages have left. A text that cannot fit even then is answered with an
    /// error, and that is no error here.
    pub fn resource_text(
        &mut self,
        ticket: Ticket,
        text: &dyn Fn(&mut dyn Write) -> fmt::Result,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        self.answer_resource(ticket, Contents::Text(&Written(text)), outbox)
    }

    /// Answers a [`Work::ReadResource`] with bytes; ends the ticket.
    ///
    /// # Errors
    /// As [`Self::resource_text`].
    pub fn resource_blob(&mut self, ticket: Ticket, bytes: &[u8], outbox: &mut Outbox<'_>) -> Result<(), OutboxFull> {
        self.answer_resource(ticket, Contents::Blob(bytes), outbox)
    }

    fn answer_resource(
        &mut self,
        ticket: Ticket,
        contents: Contents<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), OutboxFull> {
        let Some(Subject::Resource(resource)) = self.subject(ticket) else { return Ok(()) };
        self.end(ticket, Cache::Never, &ReadResult { resource, contents }, outbox)
    }
}
