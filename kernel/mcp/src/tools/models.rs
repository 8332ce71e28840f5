//! `models`.

use alloc::borrow::Cow;

use serde::Deserialize;

use super::Order;
use super::arguments::{BadArguments, typed};
use super::generation::Text;

/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    List,
    Load,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments<'a> {
    action: Action,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

pub(super) fn order(arguments: &str) -> Result<Order, BadArguments> {
    let Arguments { action, name } = typed(arguments)?;
    match (action, name.map(|name| name.0)) {
        (Action::List, _) => Ok(Order::ListModels),
        (Action::Load, Some(name)) if is_name(&name) => Ok(Order::LoadModel(Cow::into_owned(name))),
        (Action::Load, _) => Err(BadArguments::new(format_args!(
            "Invalid arguments: \"load\" needs \"name\", a file's name of 1 to {NAME_BYTES_MAX} bytes"
        ))),
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}
