//! `prompts/get`.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind};
use serde::Deserialize;

use super::Server;
use super::answer::Cache;
use super::call::{CALLS_MAX, Context, Subject};
use super::request::required;
use super::work::Records;
use crate::message::Params;
use crate::outbox::Outbox;
use crate::prompts::{self, Filled, Prompt, PromptInfo, PromptResult};
use crate::rpc_error::{RpcError, code};

/// A string that is borrowed if it has no escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

type Arguments<'a> = BTreeMap<Text<'a>, Text<'a>>;

#[derive(Deserialize)]
struct GetParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
}

impl Server<'_> {
    pub(super) fn get_prompt(
        &mut self,
        context: &Context,
        params: Params<'_>,
        now_ns: u64,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), RpcError> {
        let GetParams { name, arguments } = required(params)?;
        let info = prompts::find(&name)
            .ok_or_else(|| RpcError::params(format_args!("Invalid params: unknown prompt \"{name}\"")))?;
        let arguments = arguments.unwrap_or_default();
        check(info, &arguments)?;
        // The first argument is the text, the others say what to do with it.
        let value = |index: usize| info.arguments.get(index).and_then(|argument| get(&arguments, argument.name));
        let text = value(0).unwrap_or_default();
        if info.prompt == Prompt::ChatTemplate {
            return self.render(context, text, value(1), now_ns);
        }
        let filled = Filled { prompt: info.prompt, text, detail: value(1), form: value(2) };
        self.reply(context, Cache::Silent, &PromptResult { description: info.description, text: &filled }, outbox);
        Ok(())
    }

    /// Lets the engine render the model's chat template.
    fn render(&mut self, context: &Context, message: &str, system: Option<&str>, now_ns: u64) -> Result<(), RpcError> {
        let (_, ticket) = self
            .open(context, Subject::Prompt(Prompt::ChatTemplate), true, now_ns)
            .ok_or_else(|| RpcError::new(code::INTERNAL, format_args!("Busy: {CALLS_MAX} calls are open")))?;
        let mut records = Records::new();
        if let Some(system) = system {
            records.push_text(RecordKind::System, Cow::Borrowed(system));
        }
        records.push_text(RecordKind::User, Cow::Borrowed(message));
        self.submit(ticket, RequestHeader { kind: RequestKind::Render, ..RequestHeader::default() }, records);
        Ok(())
    }
}

fn get<'a>(arguments: &'a Arguments<'_>, name: &'static str) -> Option<&'a str> {
    arguments.get(&Text(Cow::Borrowed(name))).map(|text| &*text.0)
}

fn check(info: &PromptInfo, arguments: &Arguments<'_>) -> Result<(), RpcError> {
    let missing =
        info.arguments.iter().find(|argument| argument.is_required && get(arguments, argument.name).is_none());
    if let Some(argument) = missing {
        return Err(RpcError::params(format_args!("Invalid params: the argument \"{}\" is missing", argument.name)));
    }
    let is_unknown = |name: &&Text<'_>| !info.arguments.iter().any(|argument| argument.name == name.0);
    match arguments.keys().find(is_unknown) {
        None => Ok(()),
        Some(name) => Err(RpcError::params(format_args!("Invalid params: unknown argument \"{}\"", name.0))),
    }
}
