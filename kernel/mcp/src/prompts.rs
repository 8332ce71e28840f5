//! The prompts: texts that a client fills in and sends to a model, this one or another.

use core::fmt::{self, Write};

use crate::json::{Escaping, Quoted};
use crate::revision::Revision;

/// A prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// The model's own chat template around a message; rendered by the engine.
    ChatTemplate,
    Summarise,
    Rewrite,
    Extract,
}

/// An argument of a prompt.
pub(crate) struct ArgumentInfo {
    pub name: &'static str,
    description: &'static str,
    pub is_required: bool,
    /// Values that are proposed.
    pub values: &'static [&'static str],
}

/// What clients are told about a prompt.
pub(crate) struct PromptInfo {
    pub prompt: Prompt,
    pub name: &'static str,
    title: &'static str,
    pub description: &'static str,
    pub arguments: &'static [ArgumentInfo],
}

const fn argument(name: &'static str, description: &'static str, is_required: bool) -> ArgumentInfo {
    ArgumentInfo { name, description, is_required, values: &[] }
}

const fn choice(name: &'static str, description: &'static str, values: &'static [&'static str]) -> ArgumentInfo {
    ArgumentInfo { name, description, is_required: false, values }
}

pub(crate) const PROMPTS: [PromptInfo; 4] = [
    PromptInfo {
        prompt: Prompt::ChatTemplate,
        name: "chat_template",
        title: "The model's chat template",
        description: "A message in the words of the loaded model's chat template, for the tool generate",
        arguments: &[
            argument("message", "what the user says", true),
            argument("system", "instructions for the model", false),
        ],
    },
    PromptInfo {
        prompt: Prompt::Summarise,
        name: "summarise",
        title: "Summarise a text",
        description: "Asks for a summary",
        arguments: &[
            argument("text", "the text", true),
            choice(
                "length",
                "how long the summary is",
                &["one sentence", "three sentences", "one paragraph", "a list of points"],
            ),
        ],
    },
    PromptInfo {
        prompt: Prompt::Rewrite,
        name: "rewrite",
        title: "Rewrite a text",
        description: "Asks for the same text in another tone",
        arguments: &[
            argument("text", "the text", true),
            choice("tone", "how it shall sound", &["plain", "friendly", "formal", "brief", "confident"]),
        ],
    },
    PromptInfo {
        prompt: Prompt::Extract,
        name: "extract",
        title: "Extract facts from a text",
        description: "Asks for named facts of a text",
        arguments: &[
            argument("text", "the text", true),
            choice(
                "fields",
                "which facts, separated by commas",
                &["names", "dates", "places", "amounts", "names, dates, places"],
            ),
            choice("format", "the form of the answer", &["json", "list", "table"]),
        ],
    },
];

/// What is known about the prompt of that name.
pub(crate) fn find(name: &str) -> Option<&'static PromptInfo> {
    PROMPTS.iter().find(|info| info.name == name)
}

/// Displays the member `prompts` of the list.
pub(crate) struct PromptList(pub Revision);

impl fmt::Display for PromptList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"prompts\":[")?;
        for (index, info) in PROMPTS.iter().enumerate() {
            formatter.write_str(if index == 0 { "{" } else { ",{" })?;
            write!(formatter, "\"name\":{}", Quoted(info.name))?;
            if self.0.has_titles() {
                write!(formatter, ",\"title\":{}", Quoted(info.title))?;
            }
            write!(formatter, ",\"description\":{},\"arguments\":[", Quoted(info.description))?;
            for (index, argument) in info.arguments.iter().enumerate() {
                formatter.write_str(if index == 0 { "{" } else { ",{" })?;
                let (name, description) = (Quoted(argument.name), Quoted(argument.description));
                write!(
                    formatter,
                    "\"name\":{name},\"description\":{description},\"required\":{}}}",
                    argument.is_required
                )?;
            }
            formatter.write_str("]}")?;
        }
        formatter.write_str("]")
    }
}

/// Displays the members of a filled-in prompt: one message of the user.
pub(crate) struct PromptResult<'a> {
    pub description: &'a str,
    pub text: &'a dyn fmt::Display,
}

impl fmt::Display for PromptResult<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "\"description\":{},\"messages\":[{{\"role\":\"user\",\"content\":{{\"type\":\"text\",\"text\":\"",
            Quoted(self.description)
        )?;
        write!(Escaping(formatter), "{}", self.text)?;
        formatter.write_str("\"}}]")
    }
}

/// Displays the text of a prompt that needs no engine. `detail` and `form` are its second and third argument.
pub(crate) struct Filled<'a> {
    pub prompt: Prompt,
    pub text: &'a str,
    pub detail: Option<&'a str>,
    pub form: Option<&'a str>,
}

impl fmt::Display for Filled<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (detail, form, text) = (self.detail, self.form, self.text);
        match self.prompt {
            Prompt::ChatTemplate => formatter.write_str(text),
            Prompt::Summarise => {
                let length = detail.unwrap_or("three sentences");
                write!(formatter, "Summarise the text below in {length}. Add nothing that it does not say.\n\n{text}")
            }
            Prompt::Rewrite => {
                let tone = detail.unwrap_or("plain");
                write!(formatter, "Rewrite the text below in a {tone} tone. Keep its meaning.\n\n{text}")
            }
            Prompt::Extract => {
                let (fields, form) = (detail.unwrap_or("names, dates, places"), form.unwrap_or("list"));
                write!(
                    formatter,
                    "Extract from the text below: {fields}. Answer as {form}. Say \"none\" for what it does not say.\n\n{text}"
                )
            }
        }
    }
}
