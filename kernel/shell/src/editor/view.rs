//! How a line is drawn in one row of the terminal.

use super::ROW_COLUMNS;
use super::buffer::Buffer;
use core::fmt::Write;

/// Of a window, so much lies in front of the cursor.
const WINDOW_BEFORE_COLUMNS: usize = ROW_COLUMNS * 5 / 8;

/// Whether prompt and line fit in a row, with a column left for the cursor.
pub(super) fn fits_in_row<const BYTES: usize>(prompt: &str, buffer: &Buffer<BYTES>) -> bool {
    prompt.chars().count() + buffer.columns() < ROW_COLUMNS
}

/// Draws the row from its first column and leaves the terminal's cursor where the buffer's is.
pub(super) fn write_row<const BYTES: usize>(prompt: &str, buffer: &Buffer<BYTES>, out: &mut dyn Write) {
    let behind = if fits_in_row(prompt, buffer) {
        let _ = write!(out, "{prompt}{}", buffer.text());
        buffer.columns_of(buffer.cursor()..buffer.length())
    } else {
        write_window(prompt, buffer, out)
    };
    if behind > 0 {
        let _ = write!(out, "\x1b[{behind}D");
    }
}

/// Draws the part of a long line around the cursor. Returns how many columns were drawn behind the cursor.
fn write_window<const BYTES: usize>(prompt: &str, buffer: &Buffer<BYTES>, out: &mut dyn Write) -> usize {
    let columns = ROW_COLUMNS - 2 - prompt.chars().count();
    let window = buffer.window(WINDOW_BEFORE_COLUMNS.min(columns), columns);
    let left = if window.start > 0 { "<" } else { prompt };
    let right = if window.end < buffer.length() { ">" } else { "" };
    let behind = buffer.columns_of(buffer.cursor()..window.end) + right.len();
    let _ = write!(out, "{left}{}{right}", buffer.slice(window));
    behind
}

/// Writes a prompt and a line that cannot be edited any more, cut to about a row.
pub(super) fn write_cut(prompt: &str, line: &str, out: &mut dyn Write) {
    let cut = line.char_indices().nth(ROW_COLUMNS - 16).map(|(at, _)| at);
    let _ = match cut.and_then(|at| line.get(..at)) {
        Some(start) => write!(out, "{prompt}{start}...\r\n"),
        None => write!(out, "{prompt}{line}\r\n"),
    };
}
