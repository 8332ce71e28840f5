//! The list of tools.

use core::fmt;

use super::schemas;
use crate::json::Quoted;
use crate::revision::Revision;

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Continues a text.
    Generate,
    /// Answers a conversation.
    Chat,
    /// Text to token ids.
    Tokenize,
    /// Token ids to text.
    Detokenize,
    /// What the model would choose at each step.
    Score,
    /// Speeds of prefill and decode.
    Benchmark,
    /// What the board does.
    SystemStatus,
    /// The model files on the card.
    Models,
}

/// What clients are told about a tool.
struct ToolInfo {
    tool: Tool,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    input: &'static str,
    output: &'static str,
    /// Whether the world is as before.
    is_read_only: bool,
    /// Whether the same call again changes nothing more.
    is_idempotent: bool,
}

/// All tools, in the order of the list.
const TOOLS: [ToolInfo; 8] = [
    ToolInfo {
        tool: Tool::Generate,
        name: "generate",
        title: "Continue a text",
        description: "Continues a raw text with the language model that runs on the board, without a chat template. With a \
            progress token, new text streams in the messages of progress notifications (progress counts prompt and generated \
            tokens; a message with progress 0 is about the queue). The result has the whole text.",
        input: schemas::GENERATE_INPUT,
        output: schemas::GENERATION_OUTPUT,
        is_read_only: true,
        is_idempotent: false,
    },
    ToolInfo {
        tool: Tool::Chat,
        name: "chat",
        title: "Answer a conversation",
        description: "Answers a conversation through the model's chat template. Streams like generate.",
        input: schemas::CHAT_INPUT,
        output: schemas::GENERATION_OUTPUT,
        is_read_only: true,
        is_idempotent: false,
    },
    ToolInfo {
        tool: Tool::Tokenize,
        name: "tokenize",
        title: "Text to token ids",
        description: "The ids of the model's tokens for a text, with what the model puts before a text.",
        input: schemas::TOKENIZE_INPUT,
        output: schemas::TOKENS_OUTPUT,
        is_read_only: true,
        is_idempotent: true,
    },
    ToolInfo {
        tool: Tool::Detokenize,
        name: "detokenize",
        title: "Token ids to text",
        description: "The text of token ids.",
        input: schemas::DETOKENIZE_INPUT,
        output: schemas::TEXT_OUTPUT,
        is_read_only: true,
        is_idempotent: true,
    },
    ToolInfo {
        tool: Tool::Score,
        name: "score",
        title: "Logits of each step",
        description: "The best candidates with their logits for each step behind a prompt; forced ids are taken one after the \
            other, then the best ones.",
        input: schemas::SCORE_INPUT,
        output: schemas::SCORE_OUTPUT,
        is_read_only: true,
        is_idempotent: true,
    },
    ToolInfo {
        tool: Tool::Benchmark,
        name: "benchmark",
        title: "Measure the speed",
        description: "Reads a synthetic prompt, generates tokens and reports both speeds.",
        input: schemas::BENCHMARK_INPUT,
        output: schemas::BENCHMARK_OUTPUT,
        is_read_only: true,
        is_idempotent: false,
    },
    ToolInfo {
        tool: Tool::SystemStatus,
        name: "system_status",
        title: "State of the board",
        description: "Uptime, clocks, temperature, throttling, memory, faults, restarts and tokens served.",
        input: schemas::NO_INPUT,
        output: schemas::STATUS_OUTPUT,
        is_read_only: true,
        is_idempotent: true,
    },
    ToolInfo {
        tool: Tool::Models,
        name: "models",
        title: "Models on the card",
        description: "Lists the model files on the card, or loads one of them in place of the model that is loaded.",
        input: schemas::MODELS_INPUT,
        output: schemas::MODELS_OUTPUT,
        is_read_only: false,
        is_idempotent: true,
    },
];

impl Tool {
    /// The tool of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TOOLS.iter().find(|info| info.name == name).map(|info| info.tool)
    }
}

/// Displays the member `tools` of the list, as a revision knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToolList(pub Revision);

impl fmt::Display for ToolList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"tools\":[")?;
        for (index, info) in TOOLS.iter().enumerate() {
            formatter.write_str(if index == 0 { "{" } else { ",{" })?;
            info.write(self.0, formatter)?;
            formatter.write_str("}")?;
        }
        formatter.write_str("]")
    }
}

impl ToolInfo {
    fn write(&self, revision: Revision, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"name\":{}", Quoted(self.name))?;
        if revision.has_titles() {
            write!(formatter, ",\"title\":{}", Quoted(self.title))?;
        }
        write!(formatter, ",\"description\":{},\"inputSchema\":{}", Quoted(self.description), self.input)?;
        if revision.has_structured_content() {
            write!(formatter, ",\"outputSchema\":{}", self.output)?;
        }
        if revision.has_annotations() {
            self.write_annotations(revision, formatter)?;
        }
        Ok(())
    }

    /// What a tool that only reads would destroy or repeat has no meaning, and the title is said once.
    fn write_annotations(&self, revision: Revision, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(",\"annotations\":{")?;
        if !revision.has_titles() {
            write!(formatter, "\"title\":{},", Quoted(self.title))?;
        }
        write!(formatter, "\"readOnlyHint\":{}", self.is_read_only)?;
        if !self.is_read_only {
            write!(formatter, ",\"destructiveHint\":false,\"idempotentHint\":{}", self.is_idempotent)?;
        }
        formatter.write_str(",\"openWorldHint\":false}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::string::ToString;

    fn list(revision: Revision) -> Value {
        serde_json::from_str(&std::format!("{{{}}}", ToolList(revision))).unwrap()
    }

    #[test]
    fn every_tool_has_a_described_schema_for_each_argument() {
        let list = list(Revision::V2026_07_28);
        for tool in list["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(Tool::from_name(name).is_some());
            assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{name}");
                let required = tool[schema]["required"].as_array().cloned().unwrap_or_default();
                let properties = tool[schema]["properties"].as_object().unwrap();
                assert!(required.iter().all(|key| properties.contains_key(key.as_str().unwrap())), "{name}");
                for (key, property) in properties {
                    let is_described = property["description"].is_string() || schema == "outputSchema";
                    assert!(is_described && property.get("type").is_some(), "{name}.{key}");
                }
            }
        }
    }

    #[test]
    fn older_revisions_see_what_they_know() {
        let first = &list(Revision::V2024_11_05)["tools"][0];
        assert!(first.get("annotations").is_none() && first.get("title").is_none());
        let second = &list(Revision::V2025_03_26)["tools"][0];
        assert!(second["annotations"]["title"].is_string() && second.get("outputSchema").is_none());
        let third = &list(Revision::V2025_06_18)["tools"][0];
        assert!(third.get("outputSchema").is_some() && third.get("title").is_some());
    }

    #[test]
    fn the_list_takes_little_more_than_a_second_of_a_slow_line() {
        let bytes = ToolList(Revision::V2026_07_28).to_string().len();
        assert!(bytes < 14_000, "{bytes} bytes at 11,520 a second");
    }
}
