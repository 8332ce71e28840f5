//! The messages so far, in fixed memory.
//!
//! Nothing is ever dropped silently: a message that does not fit is refused with [`ConversationFull`], and an answer that
//! outgrew the memory closes the conversation until it is reset, because what the model said and what is remembered would
//! differ.

use crate::command::Role;
use crate::settings::Settings;
use barellama_abi::request::{RecordKind, RequestWriter, SlotFull};
use core::fmt;
use heapless::{String, Vec};

/// Bytes of text that a conversation can hold.
pub const TEXT_BYTES_MAX: usize = 48 << 10;
/// Messages that a conversation can hold.
pub const MESSAGES_MAX: usize = 128;

/// The conversation cannot take the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationFull;

impl fmt::Display for ConversationFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "The conversation is full ({MESSAGES_MAX} messages, {} KiB of text): /reset starts a new one.",
            TEXT_BYTES_MAX >> 10
        )
    }
}

/// The end of a message in the text; it starts where the one before ends.
#[derive(Clone, Copy, Debug)]
struct Entry {
    role: Role,
    end: usize,
}

/// Messages of the user and the assistant, about 50 KiB: keep it in a static.
#[derive(Debug)]
pub struct Conversation {
    text: String<TEXT_BYTES_MAX>,
    entries: Vec<Entry, MESSAGES_MAX>,
    /// An answer was cut off.
    is_closed: bool,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

impl Conversation {
    /// An empty conversation.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new(), entries: Vec::new(), is_closed: false }
    }

    /// Adds a message of the user.
    ///
    /// # Errors
    /// [`ConversationFull`] if it or an answer to it has no room; nothing changes then.
    pub fn push_user(&mut self, text: &str) -> Result<(), ConversationFull> {
        if self.is_closed || self.entries.len() + 2 > MESSAGES_MAX {
            return Err(ConversationFull);
        }
        self.text.push_str(text).map_err(|_| ConversationFull)?;
        self.push_entry(Role::User)
    }

    /// Adds an empty answer; [`Self::append_assistant`] fills it.
    ///
    /// # Errors
    /// [`ConversationFull`].
    pub fn begin_assistant(&mut self) -> Result<(), ConversationFull> {
        self.push_entry(Role::Assistant)
    }

    /// Adds text to the answer that was begun last.
    ///
    /// # Errors
    /// [`ConversationFull`] if it does not fit or no answer was begun; further questions are then refused until
    /// [`Self::clear`].
    pub fn append_assistant(&mut self, text: &str) -> Result<(), ConversationFull> {
        let entry = self.entries.last_mut().filter(|entry| entry.role == Role::Assistant && !self.is_closed);
        let Some(entry) = entry else { return Err(ConversationFull) };
        if self.text.push_str(text).is_err() {
            self.is_closed = true;
            return Err(ConversationFull);
        }
        entry.end = self.text.len();
        Ok(())
    }

    /// Ends the answer and keeps it, also one that was cancelled. An answer without text is dropped with its question:
    /// no template has a place for it.
    pub fn finish_assistant(&mut self) {
        if self.last_answer().is_empty() {
            self.abandon_turn();
        }
    }

    /// Drops the last question and what was answered so far: after an error or a fault the person asks again.
    pub fn abandon_turn(&mut self) {
        for role in [Role::Assistant, Role::User] {
            if self.entries.last().is_some_and(|entry| entry.role == role) {
                self.entries.pop();
            }
        }
        let end = self.entries.last().map_or(0, |entry| entry.end);
        self.text.truncate(end);
        self.is_closed = false;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.is_closed = false;
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many messages there are.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of text in use, of [`TEXT_BYTES_MAX`].
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.text.len()
    }

    /// The messages in their order.
    pub fn messages(&self) -> impl Iterator<Item = (Role, &str)> {
        self.entries.iter().scan(0, |start, entry| {
            let text = self.text.get(*start..entry.end).unwrap_or("");
            *start = entry.end;
            Some((entry.role, text))
        })
    }

    /// The answer that was begun last; empty if the last message is not one.
    #[must_use]
    pub fn last_answer(&self) -> &str {
        self.messages().last().filter(|message| message.0 == Role::Assistant).map_or("", |message| message.1)
    }

    /// Writes the system prompt, the messages, the stop strings and the chat template. An answer without text is left out.
    ///
    /// # Errors
    /// [`SlotFull`] if they do not fit.
    pub fn write_request(&self, writer: &mut RequestWriter<'_>, settings: &Settings) -> Result<(), SlotFull> {
        if !settings.system.is_empty() {
            writer.record(RecordKind::System, settings.system.as_bytes())?;
        }
        for (role, text) in self.messages() {
            if role == Role::User || !text.is_empty() {
                writer.record(role.record_kind(), text.as_bytes())?;
            }
        }
        settings.write_records(writer)
    }

    fn push_entry(&mut self, role: Role) -> Result<(), ConversationFull> {
        self.entries.push(Entry { role, end: self.text.len() }).map_err(|_| ConversationFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::string::ToString;
    use alloc::vec;
    use barellama_abi::request::{Request, RequestHeader};

    fn turn(conversation: &mut Conversation, question: &str, answer: &str) {
        conversation.push_user(question).unwrap();
        conversation.begin_assistant().unwrap();
        conversation.append_assistant(answer).unwrap();
        conversation.finish_assistant();
    }

    fn collected(conversation: &Conversation) -> vec::Vec<(Role, &str)> {
        conversation.messages().collect()
    }

    #[test]
    fn turns_are_remembered_and_written() {
        let mut conversation = Box::new(Conversation::new());
        turn(&mut conversation, "one?", "1");
        conversation.push_user("two?").unwrap();
        conversation.begin_assistant().unwrap();
        let mut settings = Settings::new();
        settings.system.push_str("brief").unwrap();
        let mut slot = vec![0; 512];
        let mut writer = RequestWriter::new(&mut slot, RequestHeader::default()).unwrap();
        conversation.write_request(&mut writer, &settings).unwrap();
        let length = writer.length();
        let request = Request::parse(&slot[..length]).unwrap();
        let records: vec::Vec<_> = request.records().map(|record| (record.kind, record.bytes)).collect();
        let expected: [(RecordKind, &[u8]); 4] = [
            (RecordKind::System, b"brief"),
            (RecordKind::User, b"one?"),
            (RecordKind::Assistant, b"1"),
            (RecordKind::User, b"two?"),
        ];
        assert_eq!(records, expected);
    }

    #[test]
    fn an_abandoned_turn_leaves_no_trace() {
        let mut conversation = Box::new(Conversation::new());
        turn(&mut conversation, "one?", "1");
        conversation.push_user("two?").unwrap();
        conversation.begin_assistant().unwrap();
        conversation.append_assistant("half").unwrap();
        conversation.abandon_turn();
        assert_eq!(collected(&conversation), [(Role::User, "one?"), (Role::Assistant, "1")]);
        assert_eq!(conversation.used_bytes(), 5);
        conversation.push_user("two?").unwrap();
        conversation.abandon_turn();
        assert_eq!(conversation.last_answer(), "1");
        conversation.clear();
        conversation.abandon_turn();
        assert!(conversation.is_empty());
    }

    #[test]
    fn an_empty_answer_is_dropped_with_its_question() {
        let mut conversation = Box::new(Conversation::new());
        turn(&mut conversation, "one?", "");
        assert!(conversation.is_empty());
    }

    #[test]
    fn overflow_of_the_text_is_reported_and_stays() {
        let mut conversation = Box::new(Conversation::new());
        assert_eq!(conversation.push_user(&"x".repeat(TEXT_BYTES_MAX + 1)), Err(ConversationFull));
        assert!(conversation.is_empty());
        conversation.push_user(&"x".repeat(TEXT_BYTES_MAX - 10)).unwrap();
        conversation.begin_assistant().unwrap();
        conversation.append_assistant("123456789").unwrap();
        assert_eq!(conversation.append_assistant("ab"), Err(ConversationFull));
        assert_eq!(conversation.append_assistant("c"), Err(ConversationFull));
        conversation.finish_assistant();
        assert_eq!(conversation.push_user(""), Err(ConversationFull));
        assert_eq!(conversation.last_answer(), "123456789");
        assert!(ConversationFull.to_string().contains("/reset"));
        conversation.clear();
        assert_eq!(conversation.push_user("again"), Ok(()));
    }

    #[test]
    fn overflow_of_the_messages_is_reported() {
        let mut conversation = Box::new(Conversation::new());
        for _ in 0..MESSAGES_MAX / 2 {
            turn(&mut conversation, "q", "a");
        }
        assert_eq!(conversation.push_user("q"), Err(ConversationFull));
        assert_eq!(conversation.message_count(), MESSAGES_MAX);
    }

    #[test]
    fn text_without_an_answer_is_refused() {
        let mut conversation = Box::new(Conversation::new());
        conversation.push_user("q").unwrap();
        assert_eq!(conversation.append_assistant("a"), Err(ConversationFull));
    }
}
