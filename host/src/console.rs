//! A terminal on the board's serial line, which reconnects when the line goes away.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::termios::{self, OptionalActions, Termios};

/// Ctrl-]: ends the console.
const QUIT: u8 = 0x1D;
const RETRY: Duration = Duration::from_secs(1);
/// How long a read of the line may block before the keyboard is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Where the serial line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A serial device of this machine.
    Serial {
        /// Its path.
        device: String,
        /// Bit rate.
        baud: u32,
    },
    /// A TCP port, `HOST:PORT`.
    Tcp(String),
    /// A Unix-domain socket.
    Unix(String),
}

impl Line {
    /// Reads `HOST:PORT` or `unix:PATH`.
    #[must_use]
    pub fn from_address(address: &str) -> Self {
        match address.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.to_owned()),
            None => Self::Tcp(address.to_owned()),
        }
    }

    fn open(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Serial { device, baud } => {
                let port = serialport::new(device, *baud).timeout(POLL).open_native().map_err(io::Error::from)?;
                Box::new(port)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(POLL))?;
                Box::new(stream)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(POLL))?;
                Box::new(stream)
            }
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { device, baud } => write!(formatter, "{device} at {baud} bit/s"),
            Self::Tcp(address) => formatter.write_str(address),
            Self::Unix(path) => formatter.write_str(path),
        }
    }
}

/// An open line: reads time out after [`POLL`].
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Runs until Ctrl-] or the end of the input.
///
/// # Errors
/// If the terminal cannot be read, written or put into raw mode. Errors of the line are shown, and it is opened again.
pub fn run(line: &Line) -> io::Result<()> {
    let _raw_terminal = RawTerminal::enter()?;
    let keys = keyboard();
    say("Ctrl-] quits");
    let mut complaint = String::new();
    loop {
        match line.open() {
            Ok(mut stream) => {
                complaint.clear();
                say(&format!("connected to {line}"));
                match transfer(stream.as_mut(), &keys) {
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

/// Why a connection ended.
enum Ended {
    User,
    Line(String),
    Terminal(io::Error),
}

fn transfer(stream: &mut dyn Stream, keys: &Receiver<u8>) -> Ended {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ended::Line("closed".to_owned()),
            Ok(count) => {
                let mut output = io::stdout().lock();
                if let Err(error) = output.write_all(&buffer[..count]).and_then(|()| output.flush()) {
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
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
