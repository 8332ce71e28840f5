//! `tokenize` and `detokenize`.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind};
use serde::Deserialize;

use super::Order;
use super::arguments::{BadArguments, typed};
use crate::server::Records;

pub(super) fn tokenize(arguments: &str) -> Result<Order, BadArguments> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }
    let Arguments { text } = typed(arguments)?;
    let mut records = Records::new();
    records.push_text(RecordKind::Prompt, text);
    Ok(order(RequestKind::Tokenize, records))
}

pub(super) fn detokenize(arguments: &str) -> Result<Order, BadArguments> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        tokens: Vec<u32>,
    }
    let Arguments { tokens } = typed(arguments)?;
    let mut records = Records::new();
    records.push_ids(RecordKind::TokenIds, &tokens);
    Ok(order(RequestKind::Detokenize, records))
}

fn order(kind: RequestKind, records: Records) -> Order {
    Order::Engine { header: RequestHeader { kind, ..RequestHeader::default() }, deadline_ms: None, records }
}
