//! What a request says: collected into pieces that the kernel takes, split only between characters.

use alloc::string::String;
use core::fmt;

use barellama_abi::syscall::{EMIT_BYTES_MAX, EmitKind};

use crate::kernel_calls::Kernel;

/// A stream of text of one kind for one request. What was written leaves with [`Self::flush`], at the latest when it is dropped.
pub struct Output<'k> {
    kernel: &'k dyn Kernel,
    request_id: u32,
    kind: EmitKind,
    pending: String,
}

impl<'k> Output<'k> {
    /// A stream for a request; 0 is the preparation of the model.
    #[must_use]
    pub fn new(kernel: &'k dyn Kernel, request_id: u32, kind: EmitKind) -> Self {
        Self { kernel, request_id, kind, pending: String::new() }
    }

    /// Writes and flushes: for text that is read while it comes.
    pub fn say(&mut self, text: &str) {
        self.push(text);
        self.flush();
    }

    /// Writes a line of its own.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to this stream cannot fail.
        let _ = fmt::Write::write_fmt(self, line);
        self.push("\n");
    }

    /// Hands what is pending to the kernel.
    pub fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.kernel.emit(self.request_id, self.kind, self.pending.as_bytes());
            self.pending.clear();
        }
    }

    fn push(&mut self, mut text: &str) {
        let most = usize::try_from(EMIT_BYTES_MAX).unwrap_or(usize::MAX);
        while self.pending.len() + text.len() > most {
            let cut = text.floor_char_boundary(most - self.pending.len());
            let (now, later) = text.split_at(cut);
            self.pending.push_str(now);
            self.flush();
            text = later;
        }
        self.pending.push_str(text);
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
