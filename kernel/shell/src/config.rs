//! The configuration file on the card: `key = value` lines.
//!
//! ```text
//! # comment
//! model = smollm2-135m-instruct-q4_1.gguf
//! system = "Answer in one sentence.\nBe kind."   # quotes allow escapes, and # and blanks inside
//! stop = "###|User:"
//! ```
//!
//! Nothing in it is fatal: what cannot be used is reported by line, everything else is applied.

use crate::settings::{SettingError, Settings, Source};
use core::fmt;
use heapless::Vec;

/// Name of the file.
pub const FILE_NAME: &str = "barellama.txt";
/// Most bytes of the file that are read.
pub const BYTES_MAX: usize = 16 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// What Windows calls "Unicode", in both byte orders.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];
/// So many lines are reported one by one: a file that is something else entirely must not fill the screen.
const PROBLEMS_MAX: u32 = 16;
const SHOWN_KEY_CHARACTERS: usize = 24;
/// More than there are settings.
const SETTINGS_MAX: usize = 64;

/// A line that could not be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem<'a> {
    /// Its number, from 1.
    pub line: u32,
    /// Why.
    pub kind: ProblemKind<'a>,
}

/// Why a line could not be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProblemKind<'a> {
    /// The file is longer than [`BYTES_MAX`]; this line and what follows are not read.
    TooLarge,
    /// The file is UTF-16; nothing of it is read.
    Utf16,
    /// The line is not UTF-8.
    NotUtf8,
    /// The line has a control character, which the console would have to print.
    ControlCharacter,
    /// This line and so many others behind it cannot be used either.
    More(u32),
    /// The line has no `=`, or nothing in front of it.
    NotASetting,
    /// The setting was set by an earlier line too; this one counts.
    SetTwice(&'static str),
    /// Something stands behind the closing quote.
    BehindQuotes,
    /// The setting does not exist or cannot have that value.
    Setting {
        /// The name in the file.
        key: &'a str,
        /// What is wrong.
        error: SettingError,
    },
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{FILE_NAME} line {}: ", self.line)?;
        match self.kind {
            ProblemKind::TooLarge => {
                write!(formatter, "the file is longer than {BYTES_MAX} bytes, the rest is not read")
            }
            ProblemKind::Utf16 => formatter.write_str("the file is UTF-16, nothing is read: save it as UTF-8"),
            ProblemKind::ControlCharacter => formatter.write_str("a control character, the line is ignored"),
            ProblemKind::More(1) => formatter.write_str("cannot be used either"),
            ProblemKind::More(count) => {
                write!(formatter, "this and other lines, {count} in all, cannot be used either")
            }
            ProblemKind::NotUtf8 => formatter.write_str("not UTF-8, the line is ignored"),
            ProblemKind::NotASetting => formatter.write_str("expected key = value"),
            ProblemKind::SetTwice(name) => write!(formatter, "{name} was set before, this line counts"),
            ProblemKind::BehindQuotes => formatter.write_str("there is text behind the closing quote"),
            ProblemKind::Setting { key, error } => {
                let shown = key.char_indices().nth(SHOWN_KEY_CHARACTERS).and_then(|(at, _)| key.get(..at));
                write!(formatter, "{}: {error}", shown.unwrap_or(key))
            }
        }
    }
}

/// Applies a configuration file to the settings and reports each line that cannot be used. Returns how many settings were
/// applied. The caller need not read more than [`BYTES_MAX`] + 1 bytes of the file.
pub fn apply(bytes: &[u8], settings: &mut Settings, report: &mut dyn FnMut(&Problem<'_>)) -> usize {
    if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        report(&Problem { line: 1, kind: ProblemKind::Utf16 });
        return 0;
    }
    let is_too_large = bytes.len() > BYTES_MAX;
    // A line that was cut off could set something else than its author meant: it is left out.
    let bytes = bytes.get(..BYTES_MAX).map_or(bytes, whole_lines);
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reporter = Reporter { report, reported: 0, first_of_rest: 0, rest: 0 };
    let mut applied = 0;
    let mut line = 0;
    let mut names_set: Vec<&str, SETTINGS_MAX> = Vec::new();
    for raw in bytes.split(|&byte| byte == b'\n') {
        line += 1;
        match apply_line(raw, settings) {
            Ok(None) => {}
            Ok(Some(name)) => {
                applied += 1;
                if names_set.contains(&name) {
                    reporter.note(line, ProblemKind::SetTwice(name));
                } else {
                    let _ = names_set.push(name);
                }
            }
            Err(kind) => reporter.note(line, kind),
        }
    }
    reporter.finish();
    if is_too_large {
        report(&Problem { line, kind: ProblemKind::TooLarge });
    }
    applied
}

/// Passes the first problems on and counts the others.
struct Reporter<'r> {
    report: &'r mut dyn FnMut(&Problem<'_>),
    reported: u32,
    first_of_rest: u32,
    rest: u32,
}

impl Reporter<'_> {
    fn note(&mut self, line: u32, kind: ProblemKind<'_>) {
        if self.reported < PROBLEMS_MAX {
            self.reported += 1;
            (self.report)(&Problem { line, kind });
        } else {
            if self.rest == 0 {
                self.first_of_rest = line;
            }
            self.rest += 1;
        }
    }

    fn finish(self) {
        if self.rest != 0 {
            (self.report)(&Problem { line: self.first_of_rest, kind: ProblemKind::More(self.rest) });
        }
    }
}

fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// Applies one line; returns the name of the setting, or nothing for blank lines and comments.
fn apply_line<'a>(raw: &'a [u8], settings: &mut Settings) -> Result<Option<&'static str>, ProblemKind<'a>> {
    let line = core::str::from_utf8(raw).map_err(|_| ProblemKind::NotUtf8)?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.contains(|character: char| character.is_control() && character != '\t') {
        return Err(ProblemKind::ControlCharacter);
    }
    let (key, value) = line.split_once('=').ok_or(ProblemKind::NotASetting)?;
    let key = key.trim();
    if key.is_empty() {
        return Err(ProblemKind::NotASetting);
    }
    let value = without_comment(value.trim())?;
    let info = settings.set(key, value, Source::File).map_err(|error| ProblemKind::Setting { key, error })?;
    Ok(Some(info.name))
}

/// Cuts a comment: behind the closing quote, or from a `#` behind a blank.
fn without_comment(value: &str) -> Result<&str, ProblemKind<'static>> {
    if !value.starts_with('"') {
        let comment = value.char_indices().find(|&(at, character)| character == '#' && is_behind_blank(value, at));
        return Ok(value.get(..comment.map_or(value.len(), |(at, _)| at)).unwrap_or(value).trim_end());
    }
    let Some(end) = closing_quote(value) else { return Ok(value) };
    let (quoted, rest) = value.split_at(end);
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') { Ok(quoted) } else { Err(ProblemKind::BehindQuotes) }
}

fn is_behind_blank(value: &str, at: usize) -> bool {
    value.get(..at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
}

/// Index behind the quote that closes a value that starts with one.
fn closing_quote(value: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in value.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::Random;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn applied(file: &[u8]) -> (Settings, Vec<String>) {
        let mut settings = Settings::new();
        let mut problems = Vec::new();
        apply(file, &mut settings, &mut |problem| problems.push(problem.to_string()));
        (settings, problems)
    }

    #[test]
    fn a_file_of_a_person_is_read() {
        let file = "\u{FEFF}# my Pi\r\n\r\n model = tiny.gguf \r\ntemperature=0.5 # warm\r\n  # indented\r\n\
                    system = \"Be # kind.\\n\"  # ok\r\nstop = a#b\r\nautorun = prompts.txt";
        let (settings, problems) = applied(file.as_bytes());
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((settings.model.as_str(), settings.sampling.temperature), ("tiny.gguf", 0.5));
        assert_eq!((settings.system.as_str(), settings.stop[0].as_str()), ("Be # kind.\n", "a#b"));
        assert_eq!(settings.autorun, "prompts.txt");
    }

    #[test]
    fn problems_are_reported_by_line_and_the_rest_applies() {
        let file =
            b"contex = 5\nseed = x\njust text\n\xFF = 1\nsystem = \"a\" b\nseed = 2\nseed = 3\nsystem = \"open\n = 4";
        let (settings, problems) = applied(file);
        assert_eq!(
            problems,
            [
                "barellama.txt line 1: contex: there is no such setting; did you mean context?",
                "barellama.txt line 2: seed: seed is a number, 0 or more",
                "barellama.txt line 3: expected key = value",
                "barellama.txt line 4: not UTF-8, the line is ignored",
                "barellama.txt line 5: there is text behind the closing quote",
                "barellama.txt line 7: seed was set before, this line counts",
                "barellama.txt line 8: system: system: a quoted text ends with \" and has only \\n \\t \\\" \\\\ \\|",
                "barellama.txt line 9: expected key = value",
            ]
        );
        assert_eq!(settings.sampling.seed, 3);
    }

    #[test]
    fn files_of_other_kinds_are_told_without_a_flood() {
        let (settings, problems) = applied(b"\xFF\xFEs\0e\0e\0d\0 \0=\0 \x009\0\n\0");
        assert_eq!(problems, ["barellama.txt line 1: the file is UTF-16, nothing is read: save it as UTF-8"]);
        assert_eq!(settings, Settings::new());
        let (_, problems) = applied(b"system = \x1b[2J\nseed = 1\x00\n");
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0], "barellama.txt line 1: a control character, the line is ignored");
        let (settings, problems) = applied(&[b"GGUF noise\n".repeat(500), b"seed = 8\n".to_vec()].concat());
        assert_eq!(problems.len(), 17);
        assert_eq!(problems[16], "barellama.txt line 17: this and other lines, 484 in all, cannot be used either");
        assert_eq!(settings.sampling.seed, 8);
    }

    #[test]
    fn the_longest_values_fit_and_longer_ones_are_refused() {
        let line = |bytes: usize| ["system = ", &"x".repeat(bytes), "\n"].concat();
        let (settings, problems) = applied(line(crate::settings::SYSTEM_BYTES_MAX).as_bytes());
        assert_eq!((settings.system.len(), problems.len()), (crate::settings::SYSTEM_BYTES_MAX, 0));
        let (settings, problems) = applied(line(crate::settings::SYSTEM_BYTES_MAX + 1).as_bytes());
        assert_eq!(problems, ["barellama.txt line 1: system: system is at most 2048 bytes long"]);
        assert!(settings.system.is_empty());
    }

    #[test]
    fn a_large_file_is_read_up_to_its_last_whole_line() {
        let mut file = b"seed = 7\n".to_vec();
        file.resize(BYTES_MAX - 4, b'#');
        file.extend_from_slice(b"\nseed = 9\n");
        let (settings, problems) = applied(&file);
        assert_eq!(settings.sampling.seed, 7);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("longer than 16384 bytes"));
    }

    #[test]
    fn random_files_never_panic() {
        let parts: [&[u8]; 12] =
            [b"seed", b" = ", b"\"", b"\\", b"#", b"\r\n", b"\n", b"\xC3", b"\xEF\xBB\xBF", b"9", b"stop", b"system"];
        let mut random = Random::new(11);
        for _ in 0..5000 {
            let file: Vec<u8> = (0..random.below(60)).flat_map(|_| random.pick(&parts).to_vec()).collect();
            let (_, problems) = applied(&file);
            assert!(problems.iter().all(|problem| !problem.contains('\n')));
        }
    }
}
