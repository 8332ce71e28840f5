//! `tools/call`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Server;
use super::answer::Cache;
use super::call::{CALLS_MAX, Call, Context, Subject};
use super::request::required;
use super::tool_result::ToolError;
use super::work::{Records, Submission, Ticket, Work};
use crate::message::{Params, is_object, present, string};
use crate::outbox::Outbox;
use crate::rpc_error::RpcError;
use crate::tools::{self, BadArguments, Order, Tool};

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    name: Params<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Server<'_> {
    /// A call that is malformed or of an unknown tool is an error of the protocol; wrong arguments are an error that a model can read.
    pub(super) fn call_tool(
        &mut self,
        context: &Context,
        params: Params<'_>,
        now_ns: u64,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        let CallParams { name, arguments } = required(params)?;
        let name =
            name.and_then(string).ok_or_else(|| RpcError::params("Invalid params: \"name\" must be a string"))?;
        let tool = Tool::from_name(&name)
            .ok_or_else(|| RpcError::params(format_args!("Invalid params: unknown tool \"{name}\"")))?;
        if arguments.is_some_and(|arguments| !is_object(arguments)) {
            return Err(RpcError::params("Invalid params: \"arguments\" must be an object"));
        }
        let arguments = arguments.map_or("{}", RawValue::get);
        let result = tools::read(tool, arguments, u64::from(self.last_ticket) + 1)
            .and_then(|order| self.place(tool, context, order, now_ns));
        if let Err(BadArguments(reason)) = result {
            self.reply(context, Cache::Silent, &ToolError(&reason), outbox);
        }
        Ok(())
    }

    /// Opens the call and hands the order to the kernel.
    fn place(&mut self, tool: Tool, context: &Context, order: Order, now_ns: u64) -> Result<(), BadArguments> {
        let subject = if matches!(order, Order::LoadModel(_)) { Subject::LoadModel } else { Subject::Tool(tool) };
        let is_for_engine = matches!(order, Order::Engine { .. });
        let (place, ticket) = self
            .open(context, subject, is_for_engine, now_ns)
            .ok_or_else(|| BadArguments::new(format_args!("Busy: {CALLS_MAX} calls are open. Try again later.")))?;
        let work = match order {
            Order::Engine { header, deadline_ms, records } => {
                if let Some(call) = self.calls.get_mut(place).and_then(Option::as_mut) {
                    call.progress.expect_tokens(header.max_tokens);
                }
                Work::Submit(Submission { ticket, header, deadline_ms, records })
            }
            Order::Status => Work::Status { ticket },
            Order::ListModels => Work::ListModels { ticket },
            Order::LoadModel(name) => Work::LoadModel { ticket, name },
        };
        self.push_work(work);
        Ok(())
    }

    /// Opens a call; `None` if there is no free place.
    pub(super) fn open(
        &mut self,
        context: &Context,
        subject: Subject,
        is_for_engine: bool,
        now_ns: u64,
    ) -> Option<(usize, Ticket)> {
        let place = self.calls.iter().position(Option::is_none)?;
        self.last_ticket = self.last_ticket.checked_add(1).unwrap_or(1);
        let ticket = Ticket(self.last_ticket);
        *self.calls.get_mut(place)? = Some(Call::new(ticket, context.clone(), subject, is_for_engine, now_ns));
        self.buffers.texts.get_mut(place)?.clear();
        if let Some(batch) = context.batch.and_then(|index| self.batches.get_mut(index)).and_then(Option::as_mut) {
            batch.waiting += 1;
        }
        Some((place, ticket))
    }

    /// Submits a request to the engine for something that is not a tool.
    pub(super) fn submit(&mut self, ticket: Ticket, header: barellama_abi::request::RequestHeader, records: Records) {
        self.push_work(Work::Submit(Submission { ticket, header, deadline_ms: None, records }));
    }
}
