//! A debugger's hand in a running machine: QEMU's GDB stub, as far as the tests need it.
//!
//! This is how the tests make the kernel itself fail although nothing in it does: registers and memory are changed from outside, and
//! the kernel stays byte for byte the shipped one. Source of the protocol: GDB manual, appendix E "Remote Serial Protocol".

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);
/// Numbers of AArch64 registers in the protocol: x0 to x30, SP, PC.
const REGISTER_SP: u32 = 0x1F;
const REGISTER_PC: u32 = 0x20;

/// A connection; the machine stands still while it is open.
pub struct Debugger {
    stream: UnixStream,
}

impl Debugger {
    /// Connects, which stops all cores.
    ///
    /// # Panics
    /// If the stub does not answer.
    #[must_use]
    pub fn attach(socket: &Path) -> Self {
        let deadline = Instant::now() + TIMEOUT;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => panic!("{}: {error}", socket.display()),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(TIMEOUT)).expect("a socket takes a timeout");
        let mut debugger = Self { stream };
        // Why it stopped; QEMU answers once all cores stand.
        debugger.command("?");
        debugger
    }

    /// Chooses the core whose registers and address space are meant from now on.
    #[must_use]
    pub fn on_core(mut self, core: usize) -> Self {
        self.choose(core);
        self
    }

    /// The same, for looking around.
    ///
    /// # Panics
    /// If there is no such core.
    pub fn choose(&mut self, core: usize) -> &mut Self {
        // Threads count from 1.
        let answer = self.command(&format!("Hg{:x}", core + 1));
        assert_eq!(answer, "OK", "core {core}");
        self
    }

    /// The program counter.
    pub fn program_counter(&mut self) -> u64 {
        let answer = self.command(&format!("p{REGISTER_PC:x}"));
        let digits = u64::from_str_radix(&answer, 16).unwrap_or_else(|_| panic!("no program counter: {answer}"));
        digits.swap_bytes()
    }

    /// Sets the program counter.
    #[must_use]
    pub fn set_program_counter(self, address: u64) -> Self {
        self.set_register(REGISTER_PC, address)
    }

    /// Sets the stack pointer of the current exception level.
    #[must_use]
    pub fn set_stack_pointer(self, address: u64) -> Self {
        self.set_register(REGISTER_SP, address)
    }

    /// Sets one of the registers `x0` to `x30`.
    #[must_use]
    pub fn set_general(self, number: u32, value: u64) -> Self {
        self.set_register(number, value)
    }

    /// Reads a byte.
    pub fn read(&mut self, address: u64) -> u8 {
        let answer = self.command(&format!("m{address:x},1"));
        u8::from_str_radix(&answer, 16).unwrap_or_else(|_| panic!("{address:#x} cannot be read: {answer}"))
    }

    /// Writes a byte, whatever the translation tables allow.
    #[must_use]
    pub fn write(mut self, address: u64, value: u8) -> Self {
        let answer = self.command(&format!("M{address:x},1:{value:02x}"));
        assert_eq!(answer, "OK", "{address:#x} cannot be written");
        self
    }

    /// Writes an instruction, or four other bytes.
    #[must_use]
    pub fn write_word(self, address: u64, value: u32) -> Self {
        (address..).zip(value.to_le_bytes()).fold(self, |debugger, (address, byte)| debugger.write(address, byte))
    }

    /// Reads four bytes.
    pub fn read_word(&mut self, address: u64) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|index| self.read(address + index as u64)))
    }

    /// Lets the machine run on.
    pub fn detach(mut self) {
        self.command("D");
    }

    fn set_register(mut self, register: u32, value: u64) -> Self {
        let digits: String = value.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let answer = self.command(&format!("P{register:x}={digits}"));
        assert_eq!(answer, "OK", "register {register:#x}");
        self
    }

    /// Sends a packet and returns the answer's text.
    fn command(&mut self, text: &str) -> String {
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        self.stream.write_all(format!("${text}#{sum:02x}").as_bytes()).expect("the stub takes packets");
        let mut answer = Vec::new();
        while self.next_byte() != b'$' {}
        loop {
            match self.next_byte() {
                b'#' => break,
                byte => answer.push(byte),
            }
        }
        // Two digits of a checksum, then the packet is acknowledged.
        let _ = (self.next_byte(), self.next_byte());
        self.stream.write_all(b"+").expect("the stub takes acknowledgements");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn next_byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the stub answers");
        byte[0]
    }
}
