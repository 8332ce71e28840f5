//! `completion/complete`: values for the arguments of prompts and of the resource template.

use alloc::borrow::Cow;
use core::fmt;

use serde::Deserialize;

use super::Server;
use super::answer::Cache;
use super::call::Context;
use super::request::required;
use crate::json::Quoted;
use crate::message::Params;
use crate::outbox::Outbox;
use crate::prompts;
use crate::resources::{REGION_TEMPLATE, REGIONS};
use crate::rpc_error::RpcError;

#[derive(Deserialize)]
struct CompleteParams<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Reference<'a>,
    #[serde(borrow)]
    argument: Argument<'a>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    uri: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Argument<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

impl Server<'_> {
    pub(super) fn complete(
        &mut self,
        context: &Context,
        params: Params<'_>,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        let CompleteParams { reference, argument } = required(params)?;
        match &*reference.kind {
            "ref/prompt" => {
                let values = prompt_values(&reference.name, &argument.name)?;
                self.reply(context, Cache::Silent, &Completion { values, start: &argument.value }, outbox);
            }
            "ref/resource" => {
                if reference.uri != REGION_TEMPLATE || argument.name != "region" {
                    return Err(RpcError::params("Invalid params: no such template or argument"));
                }
                let values = REGIONS.map(|region| region.name());
                self.reply(context, Cache::Silent, &Completion { values: &values, start: &argument.value }, outbox);
            }
            _ => return Err(RpcError::params("Invalid params: \"ref\" must be a prompt or a resource")),
        }
        Ok(())
    }
}

fn prompt_values(prompt: &str, argument: &str) -> Result<&'static [&'static str], RpcError> {
    let info = prompts::find(prompt)
        .ok_or_else(|| RpcError::params(format_args!("Invalid params: unknown prompt \"{prompt}\"")))?;
    let argument = info.arguments.iter().find(|known| known.name == argument);
    argument.map(|argument| argument.values).ok_or_else(|| RpcError::params("Invalid params: unknown argument"))
}

/// Displays the values that go on from `start`; there are never more than a client takes.
struct Completion<'a> {
    values: &'a [&'a str],
    start: &'a str,
}

impl fmt::Display for Completion<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"completion\":{\"values\":[")?;
        let mut total = 0;
        for value in self.values.iter().filter(|value| value.starts_with(self.start)) {
            write!(formatter, "{}{}", if total == 0 { "" } else { "," }, Quoted(value))?;
            total += 1;
        }
        write!(formatter, "],\"total\":{total},\"hasMore\":false}}")
    }
}
