//! Between the bridge and a machine's serial line: a bad cable, and a count of what passes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::noise::{Cable, Noise};

/// What a kernel might print at any time, even in the middle of a frame.
const LOG_LINE: &[u8] = b"[    7.125] the kernel logs in between\r\n";
const POLL: Duration = Duration::from_millis(20);

/// What passed, and whether it may pass.
#[derive(Debug, Default)]
struct Shared {
    to_board_bytes: AtomicU64,
    from_board_bytes: AtomicU64,
    accidents: AtomicU64,
    is_held: AtomicBool,
    is_over: AtomicBool,
}

/// A socket that leads to another one by a cable. It takes one connection after the other.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// In front of the machine's socket. A log line is thrown in behind every so many bytes of the board; 0: never.
    ///
    /// # Panics
    /// If no socket can be made.
    #[must_use]
    pub fn start(board: &Path, noise: Noise, log_line_every: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("proxy.sock");
        let listener = UnixListener::bind(&path).expect("a socket can be made");
        let shared = Arc::new(Shared::default());
        let (board, taken) = (board.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            for (number, host) in (0..).zip(listener.incoming()) {
                let (Ok(host), false) = (host, taken.is_over.load(Ordering::Relaxed)) else { return };
                join(&host, &board, noise, log_line_every, number, &taken);
            }
        });
        Self { shared, path, _directory: directory }
    }

    /// For the bridge's `--connect`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Holds back what the board sends, or lets it pass again.
    pub fn hold(&self, is_held: bool) {
        self.shared.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Bytes that went to the board and that came from it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.to_board_bytes), count(&self.shared.from_board_bytes))
    }

    /// How often the noise struck.
    #[must_use]
    pub fn accidents(&self) -> u64 {
        self.shared.accidents.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        let _ = UnixStream::connect(&self.path);
    }
}

/// Lets bytes pass until either end closes.
fn join(host: &UnixStream, board: &Path, noise: Noise, log_line_every: usize, number: u64, shared: &Shared) {
    let Ok(board) = UnixStream::connect(board) else { return };
    let is_closed = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut down = Cable::new(noise, 2 * number + 1);
        let is_closed = &is_closed;
        scope.spawn({
            let board = &board;
            move || {
                carry(host, board, &shared.to_board_bytes, is_closed, shared, |bytes| {
                    let before = down.accidents;
                    let passed = down.pass(bytes);
                    shared.accidents.fetch_add(down.accidents - before, Ordering::Relaxed);
                    passed
                });
            }
        });
        let mut up = Cable::new(noise, 2 * number + 2);
        let mut until_line = log_line_every;
        carry(&board, host, &shared.from_board_bytes, is_closed, shared, |bytes| {
            while shared.is_held.load(Ordering::Relaxed) && !shared.is_over.load(Ordering::Relaxed) {
                thread::sleep(POLL);
            }
            let before = up.accidents;
            let mut passed = Vec::new();
            for byte in up.pass(bytes) {
                passed.push(byte);
                until_line = until_line.saturating_sub(1);
                if until_line == 0 && log_line_every > 0 {
                    until_line = log_line_every;
                    passed.extend_from_slice(LOG_LINE);
                }
            }
            shared.accidents.fetch_add(up.accidents - before, Ordering::Relaxed);
            passed
        });
    });
}

fn carry(
    mut from: &UnixStream,
    mut to: &UnixStream,
    count: &AtomicU64,
    is_closed: &AtomicBool,
    shared: &Shared,
    mut pass: impl FnMut(&[u8]) -> Vec<u8>,
) {
    let mut buffer = [0; 1024];
    let is_over = || is_closed.load(Ordering::Relaxed) || shared.is_over.load(Ordering::Relaxed);
    if from.set_read_timeout(Some(POLL)).is_err() {
        return;
    }
    while !is_over() {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => {
                count.fetch_add(bytes as u64, Ordering::Relaxed);
                if to.write_all(&pass(&buffer[..bytes])).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    is_closed.store(true, Ordering::Relaxed);
}
