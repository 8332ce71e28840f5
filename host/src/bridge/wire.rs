//! The open serial line: read on a thread of its own, written by the caller.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use super::pump::Event;
use crate::line::{Line, OpenError, Stream, is_timeout};

/// A connection to the board.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// Taken from the relay and not written yet.
    rest: Vec<u8>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Wire {
    /// Opens the line. What comes is sent as events with that number, so that those of an earlier connection can be told apart.
    pub fn open(line: &Line, number: u64, events: &Sender<Event>) -> Result<Self, OpenError> {
        let stream = line.open()?;
        let reading = stream.share()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (events, is_reader_over) = (events.clone(), Arc::clone(&is_over));
        let reader = thread::spawn(move || read(reading, number, &events, &is_reader_over));
        Ok(Self { stream, rest: Vec::new(), is_over, reader: Some(reader) })
    }

    /// Whether all bytes are with the system, and it can have more.
    pub fn is_clear(&self) -> bool {
        self.rest.is_empty()
    }

    /// Adds bytes to write.
    pub fn add(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Writes until a write would have to wait for longer than a moment.
    pub fn write(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            match self.stream.write(&self.rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.rest.drain(..count.min(self.rest.len()));
                }
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Wire {
    /// The device must be free before it is opened again.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has said so already.
            let _ = reader.join();
        }
    }
}

fn read(mut stream: Box<dyn Stream>, number: u64, events: &Sender<Event>, is_over: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !is_over.load(Ordering::Relaxed) {
        let event = match stream.read(&mut buffer) {
            Ok(0) => Event::WireClosed { number, reason: "closed by the other end".to_owned() },
            Ok(count) => Event::WireBytes { number, bytes: buffer.get(..count).unwrap_or(&[]).to_vec() },
            Err(error) if is_timeout(&error) => continue,
            Err(error) => Event::WireClosed { number, reason: error.to_string() },
        };
        let is_end = matches!(event, Event::WireClosed { .. });
        if events.send(event).is_err() || is_end {
            return;
        }
    }
}
