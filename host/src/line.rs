//! Where the board's serial line is, and how it is opened.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serialport::TTYPort;

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
    #[must_use]
    pub fn from_address(address: &str) -> Self {
        match address.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.to_owned()),
            None => Self::Tcp(address.to_owned()),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// If there is no such device or address, or it is not allowed or already in use.
    pub fn open(&self) -> io::Result<Box<dyn Stream>> {
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
        assert_eq!(Line::from_address("unix:/tmp/x"), Line::Unix("/tmp/x".to_owned()));
        assert_eq!(Line::from_address("localhost:4321"), Line::Tcp("localhost:4321".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(Line::from_address("unix:/nonexistent/socket").open().is_err());
        assert!(Line::Serial { device: "/nonexistent/tty".to_owned(), baud: 115_200 }.open().is_err());
        assert!(Line::from_address("no port here").open().is_err());
    }
}
