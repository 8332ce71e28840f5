//! `subscriptions/listen` (2026-07-28). Nothing here changes while the board runs, so what is honoured is nothing; the stream
//! stays open until the client cancels it or the board closes the session.

use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Cache, Notification, Response, ResultObject};
use super::call::Context;
use super::request::required;
use super::{Server, result};
use crate::id::RequestId;
use crate::message::{Params, is_object};
use crate::outbox::Outbox;
use crate::revision::Revision;
use crate::rpc_error::{RpcError, code};

/// Most streams that are open at a time.
pub(super) const LISTENS_MAX: usize = 4;

#[derive(Deserialize)]
struct Listen<'a> {
    #[serde(borrow)]
    notifications: &'a RawValue,
}

/// Displays the member of `_meta` that names the stream.
struct SubscriptionId<'a>(&'a RequestId);

impl fmt::Display for SubscriptionId<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"io.modelcontextprotocol/subscriptionId\":{}", self.0)
    }
}

impl Server<'_> {
    pub(super) fn listen(
        &mut self,
        context: &Context,
        params: Params<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        let listen: Listen<'_> = required(params)?;
        if !is_object(listen.notifications) {
            return Err(RpcError::params("Invalid params: \"notifications\" must be an object"));
        }
        if self.listens.push(context.id.clone()).is_err() {
            return Err(RpcError::new(code::INTERNAL, format_args!("{LISTENS_MAX} subscriptions are open already")));
        }
        let params = format_args!("\"_meta\":{{{}}},\"notifications\":{{}}", SubscriptionId(&context.id));
        let notification = Notification { method: "notifications/subscriptions/acknowledged", params: &params };
        self.write_answer(Some(&context.id), None, &notification, outbox);
        Ok(())
    }

    /// The board ends the session in good order: streams get their result. [`Server::reset`] does the rest.
    pub fn close(&mut self, outbox: &mut Outbox<'_>) {
        while let Some(id) = self.listens.pop() {
            let meta = format_args!("{},", SubscriptionId(&id));
            let object =
                ResultObject { meta: &meta, has_members: false, ..result(Revision::V2026_07_28, Cache::Silent, &"") };
            self.write_answer(Some(&id), None, &Response::Result(&id, &object), outbox);
        }
        self.reset();
    }
}
