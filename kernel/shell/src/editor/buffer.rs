//! The text of a line in fixed memory, with a cursor.

use core::ops::Range;
use unicode_width::UnicodeWidthChar;

/// The line has no room for the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// At most `BYTES` bytes of UTF-8. The cursor is always on a character boundary.
#[derive(Debug)]
pub(super) struct Buffer<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: usize,
    cursor: usize,
    columns: usize,
}

impl<const BYTES: usize> Buffer<BYTES> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; BYTES], length: 0, cursor: 0, columns: 0 }
    }

    pub(super) fn text(&self) -> &str {
        self.slice(0..self.length)
    }

    /// Part of the text; empty if the range is not on character boundaries.
    pub(super) fn slice(&self, range: Range<usize>) -> &str {
        self.bytes.get(range).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Width of the whole text on a terminal, in columns.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn is_cursor_at_end(&self) -> bool {
        self.cursor == self.length
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.cursor = 0;
        self.columns = 0;
    }

    /// Replaces the text as far as it fits; the cursor goes to the end.
    pub(super) fn set(&mut self, text: &str) {
        self.clear();
        for character in text.chars() {
            if self.insert(character).is_err() {
                return;
            }
        }
    }

    /// Inserts at the cursor. At the end of the text this takes constant time.
    pub(super) fn insert(&mut self, character: char) -> Result<(), Full> {
        let mut encoded = [0; 4];
        let encoded = character.encode_utf8(&mut encoded).as_bytes();
        let length = self.length + encoded.len();
        let cursor = self.cursor + encoded.len();
        if length > BYTES {
            return Err(Full);
        }
        self.bytes.copy_within(self.cursor..self.length, cursor);
        self.bytes.get_mut(self.cursor..cursor).ok_or(Full)?.copy_from_slice(encoded);
        self.length = length;
        self.cursor = cursor;
        self.columns += character.width().unwrap_or(0);
        Ok(())
    }

    /// Removes a range; the cursor goes to its start.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        if range.end > self.length || range.is_empty() {
            return;
        }
        self.columns = self.columns.saturating_sub(self.columns_of(range.clone()));
        self.bytes.copy_within(range.end..self.length, range.start);
        self.length -= range.len();
        self.cursor = range.start;
    }

    pub(super) fn move_to(&mut self, position: usize) {
        self.cursor = position.min(self.length);
    }

    /// The boundary before `position`, or the start.
    pub(super) fn previous(&self, position: usize) -> usize {
        (0..position).rev().find(|&at| self.is_boundary(at)).unwrap_or(0)
    }

    /// The boundary behind `position`, or the end.
    pub(super) fn next(&self, position: usize) -> usize {
        (position + 1..self.length).find(|&at| self.is_boundary(at)).unwrap_or(self.length)
    }

    /// The start of the word before the cursor.
    pub(super) fn word_start(&self) -> usize {
        let text = self.slice(0..self.cursor).trim_end();
        text.rfind(char::is_whitespace).map_or(0, |at| self.next(at))
    }

    /// The end of the word behind the cursor.
    pub(super) fn word_end(&self) -> usize {
        let text = self.slice(self.cursor..self.length);
        let word = text.trim_start();
        let blank = text.len() - word.len();
        self.cursor + blank + word.find(char::is_whitespace).unwrap_or(word.len())
    }

    /// Width of a part of the text, in columns: the sum of its characters, so that widths can be added and subtracted.
    pub(super) fn columns_of(&self, range: Range<usize>) -> usize {
        self.slice(range).chars().map(|character| character.width().unwrap_or(0)).sum()
    }

    /// The part around the cursor that is at most `columns` wide, with at most `before` columns in front of the cursor.
    pub(super) fn window(&self, before: usize, columns: usize) -> Range<usize> {
        let mut start = self.cursor;
        let mut width = 0;
        while start > 0 {
            let previous = self.previous(start);
            let step = self.columns_of(previous..start);
            if width + step > before {
                break;
            }
            width += step;
            start = previous;
        }
        let mut end = self.cursor;
        while end < self.length {
            let next = self.next(end);
            let step = self.columns_of(end..next);
            if width + step > columns {
                break;
            }
            width += step;
            end = next;
        }
        start..end
    }

    fn is_boundary(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(|byte| byte & 0xC0 != 0x80)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &str) -> Buffer<64> {
        let mut buffer = Buffer::new();
        buffer.set(text);
        buffer
    }

    #[test]
    fn text_is_inserted_and_removed_anywhere() {
        let mut line = buffer("gruß");
        line.move_to(line.previous(line.cursor()));
        line.insert('ü').unwrap();
        assert_eq!((line.text(), line.cursor(), line.columns()), ("gruüß", 5, 5));
        line.remove(2..5);
        assert_eq!((line.text(), line.cursor(), line.columns()), ("grß", 2, 3));
        line.remove(2..100);
        assert_eq!(line.text(), "grß");
    }

    #[test]
    fn a_full_buffer_says_so_and_stays_whole() {
        let mut line: Buffer<5> = Buffer::new();
        line.set("abcdé");
        assert_eq!(line.text(), "abcd");
        assert_eq!(line.insert('é'), Err(Full));
        assert_eq!(line.insert('e'), Ok(()));
        assert_eq!(line.text(), "abcde");
    }

    #[test]
    fn words_are_found() {
        let mut line = buffer("ein schönes  Wort ");
        assert_eq!(line.word_start(), "ein schönes  ".len());
        line.move_to("ein schönes  ".len());
        assert_eq!(line.word_start(), "ein ".len());
        line.move_to("ein schönes".len());
        assert_eq!(line.word_end(), "ein schönes  Wort".len());
    }

    #[test]
    fn wide_characters_count_twice() {
        let line = buffer("日本e\u{301}");
        assert_eq!(line.columns(), 5);
        assert_eq!(line.window(3, 10), "日".len()..line.length());
    }
}
