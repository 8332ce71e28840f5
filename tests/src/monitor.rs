//! Orders for QEMU's monitor: the hand at the reset button and at the card's slot.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::machine::SHORT;

const PROMPT: &str = "(qemu)";

/// The monitor of a machine that was started with [`crate::machine::Setup::monitor_socket`].
pub struct Monitor {
    socket: PathBuf,
}

impl Monitor {
    /// The monitor at that socket.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Pulls the card out of the slot, whatever the board does with it just now.
    ///
    /// # Panics
    /// If there is no monitor, or no slot.
    pub fn pull_card(&self) {
        self.expect("eject -f sd0");
    }

    /// Puts a card into the slot; one that is there is pulled first.
    ///
    /// # Panics
    /// If there is no monitor, or no slot.
    pub fn put_card(&self, card: &Path) {
        self.expect(&format!("change sd0 {} raw", card.display()));
    }

    fn expect(&self, command: &str) {
        let answer = self.order(command).unwrap_or_else(|error| panic!("the monitor: {error}"));
        assert!(!answer.contains("Error"), "{answer}");
    }

    /// Gives an order and waits until it was carried out; returns what was shown.
    ///
    /// # Errors
    /// If there is no monitor, or it does not answer.
    pub fn order(&self, command: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        writeln!(stream, "{command}")?;
        stream.set_read_timeout(Some(SHORT))?;
        let mut shown = Vec::new();
        // It prompts before the command and when it was carried out.
        while String::from_utf8_lossy(&shown).matches(PROMPT).count() < 2 {
            let mut part = [0; 256];
            let count = stream.read(&mut part)?;
            if count == 0 {
                break;
            }
            shown.extend_from_slice(&part[..count]);
        }
        Ok(String::from_utf8_lossy(&shown).into_owned())
    }
}
