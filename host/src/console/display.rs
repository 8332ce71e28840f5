//! What the console shows: the board's text as it is, and its log apart.

use std::io::{self, Write};

use barellama_mcp::wire::{Link, Received, Role, Timing};

/// What is kept of the row that the cursor is in.
const ROW_BYTES_MAX: usize = 4096;
const DIM: &str = "\x1b[2m";
const NORMAL: &str = "\x1b[0m";
/// To the row's start, and everything from there on away (ECMA-48: CR, ED).
const ERASE_ROW: &str = "\r\x1b[J";

/// Tells text from log lines and shows both.
pub(super) struct Display {
    link: Link,
    /// What came since the last line end: what has to be shown again behind a log line.
    row: Vec<u8>,
    line: Vec<u8>,
    log: Option<Box<dyn Write>>,
}

impl Display {
    /// Shows log lines in `log`, or between the rows of the text.
    pub fn new(log: Option<Box<dyn Write>>) -> Self {
        Self { link: Link::new(Role::Host, Timing::default()), row: Vec::new(), line: Vec::new(), log }
    }

    /// Shows what came from the board.
    pub fn show(&mut self, bytes: &[u8], terminal: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::new();
        for &byte in bytes {
            match self.link.receive(byte, 0) {
                Some(Received::Text(part)) => text.extend_from_slice(part),
                Some(Received::Log { bytes, is_end }) => {
                    self.line.extend_from_slice(bytes);
                    if is_end {
                        self.show_text(&std::mem::take(&mut text), terminal)?;
                        self.show_line(terminal)?;
                    }
                }
                _ => {}
            }
        }
        self.show_text(&text, terminal)?;
        terminal.flush()
    }

    fn show_text(&mut self, text: &[u8], terminal: &mut dyn Write) -> io::Result<()> {
        match text.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => {
                self.row.clear();
                self.row.extend_from_slice(&text[end + 1..]);
            }
            None => self.row.extend_from_slice(text),
        }
        let excess = self.row.len().saturating_sub(ROW_BYTES_MAX);
        self.row.drain(..excess);
        terminal.write_all(text)
    }

    fn show_line(&mut self, terminal: &mut dyn Write) -> io::Result<()> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        match &mut self.log {
            Some(log) => writeln!(log, "{line}").and_then(|()| log.flush()),
            None => {
                write!(terminal, "{ERASE_ROW}{DIM}{line}{NORMAL}\r\n")?;
                terminal.write_all(&self.row)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use barellama_mcp::wire::log_frames;

    use super::*;

    fn board() -> Vec<u8> {
        let log: Vec<u8> = log_frames("    1.5 INFO  a line").flatten().collect();
        [b"boot\r\n> he".as_slice(), &log, b"llo\r\n"].concat()
    }

    #[test]
    fn log_lines_stand_in_rows_of_their_own_and_the_row_comes_back() {
        let (mut terminal, mut display) = (Vec::new(), Display::new(None));
        for byte in board() {
            display.show(&[byte], &mut terminal).unwrap();
        }
        let shown = String::from_utf8(terminal).unwrap();
        assert_eq!(shown, "boot\r\n> he\r\x1b[J\x1b[2m    1.5 INFO  a line\x1b[0m\r\n> hello\r\n");
    }

    #[derive(Clone, Default)]
    struct File(Arc<Mutex<Vec<u8>>>);

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_lines_go_to_a_file_if_there_is_one() {
        let (mut terminal, file) = (Vec::new(), File::default());
        Display::new(Some(Box::new(file.clone()))).show(&board(), &mut terminal).unwrap();
        assert_eq!(terminal, b"boot\r\n> hello\r\n");
        assert_eq!(*file.0.lock().unwrap(), b"    1.5 INFO  a line\n");
    }
}
