//! A terminal on the board's serial line, which reconnects when the line goes away and shows the board's log apart.

mod display;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use barellama_mcp::wire::log_request;
use display::Display;
use rustix::termios::{self, OptionalActions, Termios};

use crate::line::{Line, Stream, is_timeout};

/// Ctrl-]: ends the console.
const QUIT: u8 = 0x1D;
const RETRY: Duration = Duration::from_secs(1);
/// How often the board is asked for its log: one that was reset has forgotten that it was.
const ASK: Duration = Duration::from_secs(2);

/// What `barellama console --help` says at its end.
pub const EXAMPLES: &str = r#"Examples:
  A board on a USB serial adapter:
    barellama console --port /dev/ttyUSB0
  The same on macOS, at the rate of `baud 921600` in the board's barellama.txt:
    barellama console --port /dev/cu.usbserial-0001 --baud 921600
  The board's log in a file of its own, to be followed by `tail -f board.log` in another terminal:
    barellama console --port /dev/ttyUSB0 --log board.log
  QEMU with `-serial unix:/tmp/board.sock,server=on,wait=off`:
    barellama console --connect unix:/tmp/board.sock

The serial line has one owner: end `barellama mcp` first. /help at the prompt lists the board's commands."#;

/// Runs until Ctrl-] or the end of the input.
///
/// # Errors
/// If the terminal cannot be read, written or put into raw mode. Errors of the line are shown, and it is opened again.
pub fn run(line: &Line, log: Option<&Path>) -> io::Result<()> {
    let mut display = Display::new(log.map(open_log).transpose()?);
    let _raw_terminal = RawTerminal::enter()?;
    let keys = keyboard();
    say("Ctrl-] quits");
    let mut complaint = String::new();
    loop {
        match line.open() {
            Ok(mut stream) => {
                complaint.clear();
                say(&format!("connected to {line}"));
                match transfer(stream.as_mut(), &keys, &mut display) {
                    Ended::User => return Ok(()),
                    Ended::Terminal(error) => return Err(error),
                    Ended::Line(reason) => say(&format!("{line}: {reason}; trying again")),
                }
            }
            Err(error) if complaint != error.to_string() => {
                complaint = error.to_string();
                say(&format!("{line}: {complaint}; trying again"));
            }
            Err(_) => {}
        }
        if is_quit_while_waiting(&keys) {
            return Ok(());
        }
    }
}

/// Where log lines go; a file gets them at its end.
fn open_log(path: &Path) -> io::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stderr()));
    }
    let file = File::options().create(true).append(true).open(path);
    Ok(Box::new(file.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?))
}

/// Why a connection ended.
enum Ended {
    User,
    Line(String),
    Terminal(io::Error),
}

fn transfer(stream: &mut dyn Stream, keys: &Receiver<u8>, display: &mut Display) -> Ended {
    let mut buffer = [0; 4096];
    let mut ask_at = Instant::now();
    loop {
        if ask_at <= Instant::now() {
            ask_at = Instant::now() + ASK;
            if let Err(error) = stream.write_all(&log_request()) {
                return Ended::Line(error.to_string());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ended::Line("closed".to_owned()),
            Ok(count) => {
                if let Err(error) = display.show(&buffer[..count], &mut io::stdout().lock()) {
                    return Ended::Terminal(error);
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Ended::Line(error.to_string()),
        }
        loop {
            match keys.try_recv() {
                Ok(QUIT) | Err(mpsc::TryRecvError::Disconnected) => return Ended::User,
                Ok(key) => {
                    if let Err(error) = stream.write_all(&[key]) {
                        return Ended::Line(error.to_string());
                    }
                }
                Err(mpsc::TryRecvError::Empty) => break,
            }
        }
    }
}

/// Waits before the next attempt; keys other than Ctrl-] are dropped, as nobody is there to read them.
fn is_quit_while_waiting(keys: &Receiver<u8>) -> bool {
    loop {
        match keys.recv_timeout(RETRY) {
            Ok(QUIT) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// The keyboard on a thread of its own: a blocking read cannot be given up otherwise.
fn keyboard() -> Receiver<u8> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for key in io::stdin().lock().bytes() {
            let Ok(key) = key else { return };
            if sender.send(key).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(message: &str) {
    eprint!("\r\n[barellama console: {message}]\r\n");
}

/// Puts the terminal into raw mode and back.
struct RawTerminal {
    terminal: Option<(File, Termios)>,
}

impl RawTerminal {
    fn enter() -> io::Result<Self> {
        let input = io::stdin();
        if !termios::isatty(&input) {
            return Ok(Self { terminal: None });
        }
        let before = termios::tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&input, OptionalActions::Now, &raw)?;
        let terminal = File::from(input.as_fd().try_clone_to_owned()?);
        Ok(Self { terminal: Some((terminal, before)) })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some((terminal, before)) = &self.terminal {
            // The process ends here; a terminal that is gone needs no reset.
            let _ = termios::tcsetattr(terminal, OptionalActions::Now, before);
        }
    }
}
