//! The line editor: bytes in, lines out, never blocking.
//!
//! It asks the terminal nothing, so that it works on a dumb pipe as well as in picocom, screen or QEMU's `-serial stdio`.
//! A person who only types and uses backspace gets no escape sequence at all. (The crate `noline` was looked at: it asks
//! the terminal for its width and cursor position and waits for the answers, and has no type-ahead.)
//!
//! # What is drawn
//! Characters at the end of the line are just echoed, in constant time, so that a long paste is as fast as the wire. Any
//! other change redraws one row: the whole line if it fits, else a window around the cursor, with `<` and `>` where text is
//! hidden. The row is taken to be [`ROW_COLUMNS`] wide.
//!
//! # While the kernel is busy
//! From [`Event::Line`] to [`LineEditor::redraw`] what is typed is type-ahead. It is shown in a row of its own below the
//! stream (`(next) text`), which is taken away before each piece of output and put back behind it, so that neither
//! garbles the other. Complete lines wait in a queue and are delivered by `redraw`.

mod buffer;
mod decoder;
mod lines;
mod view;

use buffer::Buffer;
use core::fmt::Write;
use decoder::{Decoder, Key};
use heapless::String;
use lines::Lines;
use view::write_row;

use crate::command;

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Longest prompt, in bytes.
pub const PROMPT_BYTES_MAX: usize = 32;
/// Width that a terminal is taken to have at least, in columns.
pub const ROW_COLUMNS: usize = 80;

const HISTORY_BYTES: usize = 16 << 10;
/// Room for at least one line of any length and its end.
const QUEUE_BYTES: usize = LINE_BYTES_MAX + 1;
const AHEAD_PROMPT: &str = "(next) ";

// ECMA-48 and DEC STD 070.
const ERASE_ROW: &str = "\r\x1b[K";
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";
/// Index and up: makes sure that there is a row below without leaving the column (a scroll would spoil a saved position);
/// then save the position and go there.
const OPEN_ROW_BELOW: &str = "\x1bD\x1b[A\x1b7\r\n";
/// Erase the row and go back to the saved position.
const CLOSE_ROW_BELOW: &str = "\r\x1b[2K\x1b8";

/// What the kernel has to react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A line is complete: [`LineEditor::line`] until the next byte or redraw. The editor is busy until
    /// [`LineEditor::redraw`].
    Line,
    /// Ctrl-C. What was typed, ahead or not, is dropped.
    Interrupt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Something else is on the screen, lines are queued. First, so that a new editor is all zeros.
    Busy,
    /// The prompt is shown, lines are delivered.
    Idle,
}

/// The row that the editor draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Hidden,
    Shown,
    /// Hidden between [`LineEditor::before_output`] and [`LineEditor::after_output`].
    Suspended,
}

/// Where [`LineEditor::line`] lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivered {
    Nothing,
    Typed,
    Queued,
}

/// The editor, with about 150 KiB of fixed memory: keep it in a static.
///
/// Write errors of the sink are ignored: the state does not depend on what could be shown.
#[derive(Debug)]
pub struct LineEditor {
    decoder: Decoder,
    buffer: Buffer<LINE_BYTES_MAX>,
    is_overlong: bool,
    history: Lines<HISTORY_BYTES>,
    /// Age of the history line that is shown; 0: none.
    history_age: usize,
    queue: Lines<QUEUE_BYTES>,
    prompt: String<PROMPT_BYTES_MAX>,
    mode: Mode,
    row: Row,
    delivered: Delivered,
}

impl Default for LineEditor {
    fn default() -> Self {
        Self::new()
    }
}

impl LineEditor {
    /// An editor that shows nothing yet and is busy until the first [`Self::redraw`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            buffer: Buffer::new(),
            is_overlong: false,
            history: Lines::new(),
            history_age: 0,
            queue: Lines::new(),
            prompt: String::new(),
            mode: Mode::Busy,
            row: Row::Hidden,
            delivered: Delivered::Nothing,
        }
    }

    /// Takes the next byte of the terminal.
    pub fn feed(&mut self, byte: u8, out: &mut dyn Write) -> Option<Event> {
        let key = self.decoder.feed(byte)?;
        self.release_delivered();
        match key {
            Key::Enter => self.enter(out),
            Key::Interrupt => Some(self.interrupt(out)),
            _ if self.is_overlong => None,
            Key::Character(character) => {
                self.type_character(character, out);
                None
            }
            key => {
                self.edit(key, out);
                None
            }
        }
    }

    /// The line of the last [`Event::Line`], typed or queued. It is valid UTF-8 without control characters.
    #[must_use]
    pub fn line(&self) -> &str {
        match self.delivered {
            Delivered::Nothing => "",
            Delivered::Typed => self.buffer.text(),
            Delivered::Queued => self.queue.oldest(),
        }
    }

    /// Says that the kernel starts (or ended) work that did not come from a line. A line makes the editor busy by itself.
    pub fn set_busy(&mut self, is_busy: bool, out: &mut dyn Write) {
        self.hide(out);
        self.mode = if is_busy { Mode::Busy } else { Mode::Idle };
    }

    /// Ends being busy. The cursor of the terminal is at the start of a row. Shows the prompt with what was typed so far; or,
    /// if a line was typed ahead, shows and delivers that.
    pub fn redraw(&mut self, prompt: &str, out: &mut dyn Write) -> Option<Event> {
        self.release_delivered();
        self.hide(out);
        self.prompt.clear();
        prompt.chars().take_while(|&character| self.prompt.push(character).is_ok()).for_each(drop);
        if self.queue.is_empty() {
            self.mode = Mode::Idle;
            self.show(out);
            return None;
        }
        self.mode = Mode::Busy;
        view::write_cut(&self.prompt, self.queue.oldest(), out);
        self.delivered = Delivered::Queued;
        Some(Event::Line)
    }

    /// Takes the editor's row off the screen before something else is written. While the prompt is shown, that something
    /// must end at the start of a row; while busy it may end anywhere.
    pub fn before_output(&mut self, out: &mut dyn Write) {
        if self.row == Row::Shown {
            self.hide(out);
            self.row = Row::Suspended;
        }
    }

    /// Puts the row back.
    pub fn after_output(&mut self, out: &mut dyn Write) {
        if self.row == Row::Suspended {
            self.show(out);
        }
    }

    fn release_delivered(&mut self) {
        match self.delivered {
            Delivered::Nothing => {}
            Delivered::Typed => self.buffer.clear(),
            Delivered::Queued => self.queue.pop_oldest(),
        }
        self.delivered = Delivered::Nothing;
    }

    fn enter(&mut self, out: &mut dyn Write) -> Option<Event> {
        self.history_age = 0;
        if self.is_overlong {
            self.discard("The line is longer than 64 KiB and was discarded.", out);
            return None;
        }
        self.history.remember(self.buffer.text());
        if self.mode == Mode::Busy {
            self.queue_line(out);
            return None;
        }
        if self.row == Row::Hidden {
            self.show(out);
        }
        let _ = out.write_str("\r\n");
        self.row = Row::Hidden;
        self.mode = Mode::Busy;
        self.delivered = Delivered::Typed;
        Some(Event::Line)
    }

    fn queue_line(&mut self, out: &mut dyn Write) {
        if self.buffer.text().trim().is_empty() || self.queue.push(self.buffer.text()) {
            self.hide(out);
            self.buffer.clear();
        } else {
            self.discard("Too many lines were typed ahead: the last one was discarded.", out);
        }
    }

    /// Drops the line and says why.
    fn discard(&mut self, reason: &str, out: &mut dyn Write) {
        if self.mode == Mode::Busy {
            self.hide(out);
        }
        self.buffer.clear();
        self.is_overlong = false;
        let _ = write!(out, "\r\n{reason}\r\n");
        if self.mode == Mode::Idle {
            self.show(out);
        }
    }

    fn interrupt(&mut self, out: &mut dyn Write) -> Event {
        if self.mode == Mode::Busy {
            self.hide(out);
        }
        self.queue.clear();
        self.buffer.clear();
        self.is_overlong = false;
        self.history_age = 0;
        if self.mode == Mode::Idle {
            let _ = out.write_str("^C\r\n");
            self.show(out);
        }
        Event::Interrupt
    }

    fn type_character(&mut self, character: char, out: &mut dyn Write) {
        let is_appended = self.buffer.is_cursor_at_end();
        if self.buffer.insert(character).is_err() {
            self.is_overlong = true;
            return;
        }
        match (self.row, self.mode) {
            _ if !is_appended => self.show_change(out),
            (Row::Hidden, _) => self.show(out),
            (Row::Suspended, _) => {}
            // The row of the type-ahead must stay one row; what does not fit is shown by the redraw.
            (Row::Shown, Mode::Busy) if !self.fits_in_row() => {}
            (Row::Shown, _) => {
                let _ = out.write_char(character);
            }
        }
    }

    fn edit(&mut self, key: Key, out: &mut dyn Write) {
        let cursor = self.buffer.cursor();
        let end = self.buffer.length();
        match key {
            Key::Backspace => return self.backspace(out),
            Key::Tab => return self.complete(out),
            Key::Delete => self.buffer.remove(cursor..self.buffer.next(cursor).min(end)),
            Key::Left => self.buffer.move_to(self.buffer.previous(cursor)),
            Key::Right => self.buffer.move_to(self.buffer.next(cursor)),
            Key::WordLeft => self.buffer.move_to(self.buffer.word_start()),
            Key::WordRight => self.buffer.move_to(self.buffer.word_end()),
            Key::Home => self.buffer.move_to(0),
            Key::End => self.buffer.move_to(end),
            Key::KillWord => self.buffer.remove(self.buffer.word_start()..cursor),
            Key::KillToStart => self.buffer.remove(0..cursor),
            Key::KillToEnd => self.buffer.remove(cursor..end),
            Key::Older => self.recall_older(),
            Key::Newer => self.recall_newer(),
            Key::ClearScreen => self.clear_screen(out),
            Key::Character(_) | Key::Enter | Key::Interrupt => {}
        }
        self.show_change(out);
    }

    fn backspace(&mut self, out: &mut dyn Write) {
        let cursor = self.buffer.cursor();
        let start = self.buffer.previous(cursor);
        let columns = self.buffer.columns_of(start..cursor);
        let is_simple = self.buffer.is_cursor_at_end() && self.fits_in_row() && columns > 0 && self.row == Row::Shown;
        self.buffer.remove(start..cursor);
        if !is_simple || (self.mode == Mode::Busy && self.buffer.is_empty()) {
            return self.show_change(out);
        }
        for step in ["\x08", " ", "\x08"] {
            for _ in 0..columns {
                let _ = out.write_str(step);
            }
        }
    }

    /// Completes a command's name. Elsewhere a tab (of pasted text) becomes a blank, so that words stay apart.
    fn complete(&mut self, out: &mut dyn Write) {
        let text = self.buffer.text();
        let Some(name) = text.strip_prefix('/').filter(|_| self.buffer.is_cursor_at_end() && !text.contains(' '))
        else {
            if !text.is_empty() {
                self.type_character(' ', out);
            }
            return;
        };
        let mut completion: String<{ command::NAME_BYTES_MAX }> = String::new();
        let is_only_one = command::complete(name, &mut completion);
        completion.chars().for_each(|character| self.type_character(character, out));
        if is_only_one {
            self.type_character(' ', out);
        }
    }

    /// A line that was typed but not sent becomes the newest history line, so that nothing is lost.
    fn recall_older(&mut self) {
        let is_draft = self.history_age == 0 && !self.buffer.text().trim().is_empty();
        if is_draft {
            if !Lines::<HISTORY_BYTES>::can_hold(self.buffer.length()) {
                return;
            }
            self.history.remember(self.buffer.text());
            self.history_age = 1;
        }
        if let Some(line) = self.history.newest(self.history_age + 1) {
            self.buffer.set(line);
            self.history_age += 1;
        }
    }

    fn recall_newer(&mut self) {
        if self.history_age == 0 {
            return;
        }
        self.history_age -= 1;
        self.buffer.set(self.history.newest(self.history_age).unwrap_or(""));
    }

    fn clear_screen(&mut self, out: &mut dyn Write) {
        if self.mode == Mode::Idle {
            let _ = out.write_str(CLEAR_SCREEN);
        }
    }

    /// Shows a line that changed elsewhere than at its end.
    fn show_change(&mut self, out: &mut dyn Write) {
        match (self.row, self.mode) {
            (Row::Suspended, _) => {}
            (_, Mode::Busy) if self.buffer.is_empty() => self.hide(out),
            (Row::Hidden, _) => self.show(out),
            (Row::Shown, _) => {
                let _ = out.write_str(ERASE_ROW);
                write_row(self.shown_prompt(), &self.buffer, out);
            }
        }
    }

    /// Draws the row where there is none.
    fn show(&mut self, out: &mut dyn Write) {
        if self.mode == Mode::Busy {
            let _ = out.write_str(OPEN_ROW_BELOW);
        }
        write_row(self.shown_prompt(), &self.buffer, out);
        self.row = Row::Shown;
    }

    fn hide(&mut self, out: &mut dyn Write) {
        if self.row == Row::Shown {
            let _ = out.write_str(match self.mode {
                Mode::Busy => CLOSE_ROW_BELOW,
                Mode::Idle if self.fits_in_row() => ERASE_ROW,
                // The line may cover several rows: it stays, what comes starts below.
                Mode::Idle => "\r\n",
            });
        }
        self.row = Row::Hidden;
    }

    fn shown_prompt(&self) -> &str {
        match self.mode {
            Mode::Idle => &self.prompt,
            Mode::Busy => AHEAD_PROMPT,
        }
    }

    fn fits_in_row(&self) -> bool {
        view::fits_in_row(self.shown_prompt(), &self.buffer)
    }
}

#[cfg(test)]
mod tests;
