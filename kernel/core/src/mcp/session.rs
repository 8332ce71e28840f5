//! Received bytes by the mode of the line, and clients that come and go.

use barellama_arch::timer;
use barellama_mcp::wire::{FRAME_BYTES_MAX, Mode, Received, detect_plain_start};
use heapless::Vec;

use crate::kernel_loop::Kernel;
use crate::serial::Input;

impl Kernel {
    /// What was received goes where the mode of the line says. Frames tell by themselves what is missing, and people see it.
    pub fn route(&mut self, input: Input, now_ns: u64) {
        match input {
            Input::Byte(byte) => self.route_byte(byte, now_ns),
            Input::Gap if self.mcp.mode == Mode::Plain => self.mcp.take_gap(),
            Input::Gap => {}
        }
    }

    fn route_byte(&mut self, byte: u8, now_ns: u64) {
        if self.mcp.mode == Mode::Plain {
            return self.receive_plain(byte, now_ns);
        }
        self.mcp.link.hold(!self.mcp.outbox.has_room_to_receive());
        // Copied out of the link, so that the kernel is free to act on them.
        let mut text = Vec::<u8, FRAME_BYTES_MAX>::new();
        let is_hello = match self.mcp.link.receive(byte, now_ns) {
            None | Some(Received::Ready | Received::PeerRestarted | Received::Log { .. }) => return,
            Some(Received::LogWanted) => return self.begin_console_log(),
            Some(Received::FrameRest) => return self.drop_frame_rest(),
            Some(Received::Hello) => true,
            Some(Received::Text(bytes)) => {
                // Cannot fail: the link holds back at most a frame.
                let _ = text.extend_from_slice(bytes);
                false
            }
            Some(Received::Message { bytes, is_end }) => {
                let _ = text.extend_from_slice(bytes);
                return self.receive_message(&text, is_end);
            }
        };
        match (is_hello, self.mcp.mode) {
            (true, _) => self.begin_session(Mode::Checked),
            (false, Mode::Checked) => self.receive_outside_frames(&text),
            (false, _) => text.iter().for_each(|byte| self.receive(*byte)),
        }
    }

    /// `barellama console` is on the line, so no client is, whatever one left behind.
    fn begin_console_log(&mut self) {
        if self.mcp.mode != Mode::Console {
            self.end_session();
        }
        self.mcp.begin_console_log();
    }

    /// What stands in the row came from a bridge that does not know that the board was reset: nobody typed it.
    fn drop_frame_rest(&mut self) {
        const KILL_ROW: u8 = 0x15;
        match self.mcp.mode {
            Mode::Console => self.receive(KILL_ROW),
            Mode::Checked | Mode::Plain => self.mcp.commands.clear(),
        }
    }

    /// Takes a line typed on the console if it starts plain mode. Returns whether it did.
    pub fn begin_by_message(&mut self, line: &str) -> bool {
        let bytes = line.as_bytes();
        if !detect_plain_start(bytes) {
            return false;
        }
        self.begin_plain_mode();
        self.mcp.server.receive_line(bytes, timer::now_ns(), &mut self.mcp.outbox);
        true
    }

    /// Messages instead of text from now on.
    pub fn begin_plain_mode(&mut self) {
        self.begin_session(Mode::Plain);
    }

    /// The line was held low: back to the console.
    pub fn receive_break(&mut self) {
        if self.mcp.mode == Mode::Plain {
            self.end_session();
        }
    }

    /// A bridge or a console on the PC may come to a line that a program left in plain mode: their frames are no JSON.
    fn receive_plain(&mut self, byte: u8, now_ns: u64) {
        match self.mcp.link.receive(byte, now_ns) {
            Some(Received::Hello) => return self.begin_session(Mode::Checked),
            Some(Received::LogWanted) => return self.begin_console_log(),
            _ => {}
        }
        if self.mcp.ends_console_command(byte) {
            return self.end_session();
        }
        self.mcp.take_line(byte, self.serial);
    }

    fn receive_message(&mut self, bytes: &[u8], is_end: bool) {
        for byte in bytes {
            self.mcp.take_line(*byte, self.serial);
        }
        if is_end {
            self.mcp.take_line(b'\n', self.serial);
        }
    }

    /// It may be the rest of a damaged frame, so nothing of it is carried out but the way back to the console.
    fn receive_outside_frames(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| self.mcp.ends_console_command(*byte)) {
            self.end_session();
        }
    }

    fn begin_session(&mut self, mode: Mode) {
        log::info!("mcp: a client, {mode:?} mode");
        self.drop_calls();
        self.mcp.mode = mode;
        self.mcp.console_log_position = None;
        self.serial.mute_text(mode == Mode::Plain);
        self.ask_for_description();
    }

    fn end_session(&mut self) {
        log::info!("mcp: back to the console");
        self.mcp.server.close(&mut self.mcp.outbox);
        self.mcp.pump(self.serial, timer::now_ns());
        self.drop_calls();
        self.mcp.link.close();
        self.mcp.mode = Mode::Console;
        self.serial.mute_text(false);
        self.open_console();
    }

    /// The calls of the client before are of no use to anybody.
    fn drop_calls(&mut self) {
        self.mcp.forget_client();
        while let Some(work) = self.mcp.server.next_work() {
            self.take_work(work);
        }
    }
}
