//! What came over the serial line, and how it looks to a person.

/// The text without carriage returns and terminal sequences, as far as it was not erased again; bytes that are not UTF-8 are
/// shown as U+FFFD.
#[must_use]
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {}
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // ECMA-48: parameters, then one final byte from @ to ~.
                while characters.next_if(|character| !('@'..='~').contains(character)).is_some() {}
                // The console erases whole rows only, with the cursor at their start.
                if characters.next() == Some('K') {
                    result.truncate(result.rfind('\n').map_or(0, |end| end + 1));
                }
            }
            '\u{1b}' => drop(characters.next()),
            character => result.push(character),
        }
    }
    result
}

/// Where `needle` ends in `bytes`, looked for from `start` on.
#[must_use]
pub fn find_end(bytes: &[u8], start: usize, needle: &[u8]) -> Option<usize> {
    let rest = bytes.get(start..)?;
    rest.windows(needle.len()).position(|window| window == needle).map(|at| start + at + needle.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_are_left_out() {
        assert_eq!(plain(b"a\r\n\x1b[Kb\x1b[12Dc\x1b7d\x1bDe"), "a\nbcde");
        assert_eq!(plain(b"a\r\n> \r\x1b[Kb"), "a\nb");
        assert_eq!(plain("grüß\u{1b}[".as_bytes()), "grüß");
    }

    #[test]
    fn needles_are_found_from_the_start_on() {
        assert_eq!(find_end(b"> a\n> ", 0, b"> "), Some(2));
        assert_eq!(find_end(b"> a\n> ", 1, b"> "), Some(6));
        assert_eq!(find_end(b"> ", 5, b"> "), None);
    }
}
