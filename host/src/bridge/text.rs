//! What people read on standard error: the board's text line by line, and what the bridge itself has to say.

/// A line that is longer is shown in pieces.
const LINE_BYTES_MAX: usize = 4096;

/// Lines for standard error.
#[derive(Debug, Default)]
pub(super) struct Notes {
    ready: Vec<u8>,
    line: Vec<u8>,
}

impl Notes {
    /// The board's text, whole lines at a time. Control characters are left out: the text may be the rest of a damaged frame, and the
    /// reader may be a log file.
    pub fn board_text(&mut self, text: &[u8]) {
        for &byte in text {
            match byte {
                b'\n' => self.end_line(),
                b'\t' | 0x20..=0x7E | 0x80.. => self.line.push(byte),
                _ => {}
            }
            if self.line.len() >= LINE_BYTES_MAX {
                self.end_line();
            }
        }
    }

    /// A sentence of the bridge.
    pub fn say(&mut self, sentence: &str) {
        self.show_rest();
        self.ready.extend_from_slice(format!("barellama mcp: {sentence}\n").as_bytes());
    }

    /// What there is to show.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ready)
    }

    /// Shows a line that has not ended, such as a prompt.
    pub fn show_rest(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.ready.append(&mut self.line);
        self.ready.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole() {
        let mut notes = Notes::default();
        notes.board_text(b"boot");
        assert!(notes.take().is_empty());
        notes.board_text(b"ing\r\n\x1b[2Kready> ");
        assert_eq!(notes.take(), b"booting\n");
        notes.say("hello");
        assert_eq!(notes.take(), b"[2Kready> \nbarellama mcp: hello\n");
    }

    #[test]
    fn endless_lines_are_cut() {
        let mut notes = Notes::default();
        notes.board_text(&[b'x'; LINE_BYTES_MAX + 1]);
        assert_eq!(notes.take().len(), LINE_BYTES_MAX + 1);
    }
}
