//! Where the board's serial line is, and how it is opened.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serialport::TTYPort;
use thiserror::Error;

/// How long a read or a write of an open line may block.
const POLL: Duration = Duration::from_millis(20);
/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

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
    ///
    /// # Errors
    /// If it is neither, a sentence.
    pub fn from_address(address: &str) -> Result<Self, String> {
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        match (address.strip_prefix("unix:"), port) {
            (Some(path), _) if !path.is_empty() => Ok(Self::Unix(path.to_owned())),
            (None, Some(Ok(_))) => Ok(Self::Tcp(address.to_owned())),
            _ => Err(format!("{address:?} is neither HOST:PORT nor unix:PATH")),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// If there is no such device or address, or it is not allowed or already in use; with what can be done.
    pub fn open(&self) -> Result<Box<dyn Stream>, OpenError> {
        self.open_stream().map_err(|error| match self.advice(&error) {
            None => OpenError::Plain(error),
            Some(advice) => OpenError::Advised { error, advice },
        })
    }

    /// What to ask if the line is open and no board answers.
    #[must_use]
    pub fn silence_advice(&self) -> &'static str {
        match self {
            Self::Serial { .. } => "is it on, is the cable right, is the bit rate that of the board's barellama.txt?",
            Self::Tcp(_) | Self::Unix(_) => {
                "does the machine run, and is no other program connected? QEMU serves one at a time"
            }
        }
    }

    fn open_stream(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Serial { device, baud } => {
                let port = serialport::new(device, *baud).timeout(POLL).open_native().map_err(io::Error::from)?;
                Box::new(port)
            }
            Self::Tcp(address) => {
                let stream = connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(POLL))?;
                stream.set_write_timeout(Some(POLL))?;
                Box::new(stream)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(POLL))?;
                stream.set_write_timeout(Some(POLL))?;
                Box::new(stream)
            }
        })
    }

    fn advice(&self, error: &io::Error) -> Option<&'static str> {
        let text = error.to_string().to_lowercase();
        // The crate for serial ports has no kind of its own for a device that is taken.
        let is_taken = text.contains("lock") || text.contains("busy");
        Some(match (self, error.kind()) {
            (Self::Serial { .. }, _) if is_taken => "another program has it: end that first",
            (Self::Serial { .. }, io::ErrorKind::PermissionDenied) => {
                "on Linux its users are in a group: `sudo usermod -aG dialout $USER`, then log in again"
            }
            (Self::Serial { .. }, _) if text.contains("typewriter") => "that is no serial device",
            (Self::Serial { .. }, io::ErrorKind::NotFound) => {
                "is the adapter plugged in? `ls /dev/ttyUSB* /dev/ttyACM* /dev/cu.*` shows what there is"
            }
            (Self::Unix(_), io::ErrorKind::NotFound) => "QEMU makes it by `-serial unix:PATH,server=on,wait=off`",
            (Self::Unix(_) | Self::Tcp(_), io::ErrorKind::ConnectionRefused) => "nobody listens there: does QEMU run?",
            _ => return None,
        })
    }
}

/// A line that cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// What the system says.
    #[error("{0}")]
    Plain(#[from] io::Error),
    /// The same with what can be done.
    #[error("{error} ({advice})")]
    Advised {
        /// What the system says.
        #[source]
        error: io::Error,
        /// A question or a command.
        advice: &'static str,
    },
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

/// An open line: reads and writes end after a short time, with an error for which [`is_timeout`] holds.
pub trait Stream: Read + Write + Send {
    /// The same line, for another thread.
    ///
    /// # Errors
    /// If the system has no handle left.
    fn share(&self) -> io::Result<Box<dyn Stream>>;
}

impl Stream for TTYPort {
    fn share(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone_native().map_err(io::Error::from)?))
    }
}

impl Stream for TcpStream {
    fn share(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }
}

impl Stream for UnixStream {
    fn share(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }
}

/// Whether nothing happened in the time that a read or write may take; the line is as good as before.
#[must_use]
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// A host that does not answer must not hold up the caller for minutes.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name of the host has no address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(Line::from_address("unix:/tmp/x"), Ok(Line::Unix("/tmp/x".to_owned())));
        assert_eq!(Line::from_address("localhost:4321"), Ok(Line::Tcp("localhost:4321".to_owned())));
        assert_eq!(Line::from_address("[::1]:4321"), Ok(Line::Tcp("[::1]:4321".to_owned())));
        for wrong in ["", "localhost", "/dev/ttyUSB0", "unix:", "localhost:", "localhost:99999"] {
            assert!(Line::from_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_told_with_what_to_do() {
        let serial = |device: &str| Line::Serial { device: device.to_owned(), baud: 115_200 };
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        for (line, advice) in [
            (serial("/nonexistent/tty"), "plugged in?"),
            (serial("/dev/null"), "no serial device"),
            (Line::Unix("/nonexistent/socket".to_owned()), "-serial unix:"),
            (Line::Unix(socket.display().to_string()), "nobody listens"),
        ] {
            let error = line.open().err().expect("nothing is there").to_string();
            assert!(error.contains(advice), "{line}: {error}");
        }
        let taken = io::Error::other("Unable to acquire exclusive lock on serial port");
        assert!(serial("x").advice(&taken).is_some_and(|advice| advice.contains("another program")));
        let forbidden = io::ErrorKind::PermissionDenied.into();
        assert!(serial("x").advice(&forbidden).is_some_and(|advice| advice.contains("dialout")));
    }
}
