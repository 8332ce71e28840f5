//! Text from outside that is shown to people.

use core::fmt::{self, Write};

/// Displays a text without its control characters: what a file or a message holds must not send commands to the terminal.
pub(crate) struct Harmless<T>(pub T);

impl<T: fmt::Display> fmt::Display for Harmless<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Replacing(formatter), "{}", self.0)
    }
}

struct Replacing<'f, 'o>(&'f mut fmt::Formatter<'o>);

impl Write for Replacing<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let harmless = |character: char| if character.is_control() { '?' } else { character };
        text.chars().map(harmless).try_for_each(|character| self.0.write_char(character))
    }
}
