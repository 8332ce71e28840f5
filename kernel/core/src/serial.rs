//! The serial line between the interrupt handler, which only moves bytes, and the kernel loop.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use barellama_arch::{interrupts, timer};
use heapless::Deque;
use spin::{Mutex, Once};

use crate::gaps::Gaps;
use crate::interrupt::LIVENESS;
use crate::platform::{Console, ReceivedByte};
use crate::response::Response;

/// Bytes that may wait to be read by the kernel loop: at 921600 bit/s it has 177 ms to come round.
const RECEIVE_BYTES: usize = 16 << 10;
/// Bytes that may wait for the wire.
const TRANSMIT_BYTES: usize = 32 << 10;

/// How many bytes the interrupt handler moves in each direction before it gives the core back.
const BYTES_PER_INTERRUPT: usize = 64;

static SERIAL: Once<Serial> = Once::new();
/// Apart from the rest, so that so much memory never lies on a stack.
static RINGS: Mutex<Rings> = Mutex::new(Rings {
    receive: Deque::new(),
    gaps: Gaps::new(),
    transmit: Deque::new(),
    received_ns: 0,
    response: Response::new(),
});

/// The serial line.
pub struct Serial {
    console: &'static dyn Console,
    received: AtomicU64,
    lost: AtomicU64,
    damaged: AtomicU64,
    has_break: AtomicBool,
    is_text_muted: AtomicBool,
}

struct Rings {
    receive: Deque<u8, RECEIVE_BYTES>,
    gaps: Gaps,
    transmit: Deque<u8, TRANSMIT_BYTES>,
    /// When a byte last came while none waited.
    received_ns: u64,
    response: Response,
}

/// What is read from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A byte.
    Byte(u8),
    /// Something is missing here: an overrun, or a byte with a framing error.
    Gap,
}

/// Takes the board's console into use. The first call counts.
pub fn start(console: &'static dyn Console) -> &'static Serial {
    SERIAL.call_once(|| Serial {
        console,
        received: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        damaged: AtomicU64::new(0),
        has_break: AtomicBool::new(false),
        is_text_muted: AtomicBool::new(false),
    })
}

/// The serial line, once [`start`] was called.
pub fn get() -> Option<&'static Serial> {
    SERIAL.get()
}

impl Serial {
    /// Moves bytes between the UART and the rings. Called by the interrupt handler of core 0.
    pub fn handle_interrupt(&self) {
        // Cleared first: a byte that arrives after the last look at the FIFO raises the interrupt again.
        let has_overrun = self.console.clear_interrupts();
        let mut rings = RINGS.lock();
        if has_overrun {
            rings.gaps.note_overrun();
        }
        self.take_received(&mut rings);
        self.refill(&mut rings);
    }

    /// The oldest byte that was received, or the gap in front of it.
    pub fn read(&self) -> Option<Input> {
        self.with_rings(|rings| {
            self.take_received(rings);
            if rings.gaps.take_next() {
                return Some(Input::Gap);
            }
            let byte = rings.receive.pop_front()?;
            rings.gaps.note_read();
            rings.response.take_in_hand();
            Some(Input::Byte(byte))
        })
    }

    /// When the bytes came that were read last, in nanoseconds since start.
    pub fn received_ns(&self) -> u64 {
        self.with_rings(|rings| rings.received_ns)
    }

    /// Whether there is something to read.
    pub fn has_input(&self) -> bool {
        self.with_rings(|rings| {
            self.take_received(rings);
            rings.gaps.is_next() || !rings.receive.is_empty()
        })
    }

    /// Whether received bytes wait here. The UART is not looked at: what comes there interrupts.
    pub fn has_received(&self) -> bool {
        self.with_rings(|rings| rings.gaps.is_next() || !rings.receive.is_empty())
    }

    /// How many bytes can be written without waiting for the wire.
    pub fn free_bytes(&self) -> usize {
        self.with_rings(|rings| rings.transmit.capacity() - rings.transmit.len())
    }

    /// Writes all bytes; waits for the wire (interrupts stay enabled) where the ring is full.
    pub fn write(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.with_rings(|rings| {
                let count = rest.len().min(rings.transmit.capacity() - rings.transmit.len()).min(BYTES_PER_INTERRUPT);
                rings.response.answer_behind(rings.transmit.len());
                for byte in &rest[..count] {
                    // Cannot fail: `count` is at most the room there is.
                    let _ = rings.transmit.push_back(*byte);
                }
                self.refill(rings);
                count
            });
            rest = &rest[count..];
            // The wire is slow, not the loop.
            LIVENESS.beat();
        }
    }

    /// The kernel loop has done what received bytes asked for at once: those that got no answer are not waited for.
    pub fn end_round(&self) {
        self.with_rings(|rings| rings.response.give_up());
    }

    /// Longest time from a received byte to the first byte of its answer in the UART, in nanoseconds, and how many were answered.
    pub fn longest_response_ns(&self) -> (u64, u64) {
        self.with_rings(|rings| rings.response.longest_ns())
    }

    /// How many bytes wait for the wire.
    pub fn waiting_bytes(&self) -> usize {
        self.with_rings(|rings| rings.transmit.len())
    }

    /// Whether the line was held low since the last call.
    pub fn take_break(&self) -> bool {
        self.has_break.swap(false, Ordering::Relaxed)
    }

    /// Keeps text for people off the line, while a program that knows only messages has it.
    pub fn mute_text(&self, is_muted: bool) {
        self.is_text_muted.store(is_muted, Ordering::Relaxed);
    }

    /// Waits until everything written has left the wire.
    pub fn flush(&self) {
        while self.with_rings(|rings| {
            self.refill(rings);
            !rings.transmit.is_empty()
        }) {
            LIVENESS.beat();
        }
        self.console.flush();
    }

    /// Waits until what is in the UART has left the wire, whatever waits here: for the end of a report, on any core.
    pub fn drain(&self) {
        self.console.flush();
    }

    /// Sets the bit rate after what was written has left; returns the rate reached, in bit/s.
    pub fn set_baud(&self, baud: u32) {
        self.flush();
        self.console.set_baud(baud);
    }

    /// The rate that [`Self::set_baud`] would reach, in bit/s.
    pub fn nearest_baud(&self, baud: u32) -> u32 {
        self.console.nearest_baud(baud)
    }

    /// Bytes that came in since the start.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes lost on the way in since the start: overruns of the FIFO or of the ring.
    pub fn lost_bytes(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Bytes dropped for framing or parity errors.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Takes a bounded number of bytes from the UART. What is left there raises no interrupt any more, since that comes when
    /// the FIFO fills up to its level; the kernel loop takes it when it reads. A full ring leaves bytes in the FIFO, so that
    /// the UART counts the overrun (and an emulator waits).
    fn take_received(&self, rings: &mut Rings) {
        for _ in 0..BYTES_PER_INTERRUPT {
            if rings.receive.is_full() {
                return;
            }
            let byte = match self.console.receive() {
                None => return rings.gaps.note_fifo_empty(),
                Some(ReceivedByte::Byte(byte)) => byte,
                Some(ReceivedByte::AfterOverrun(byte)) => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    rings.gaps.note_overrun_mark();
                    byte
                }
                Some(ReceivedByte::Break) => {
                    self.has_break.store(true, Ordering::Relaxed);
                    continue;
                }
                Some(ReceivedByte::Damaged) => {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    rings.gaps.note_lost();
                    continue;
                }
            };
            if rings.receive.is_empty() {
                rings.received_ns = timer::now_ns();
            }
            rings.response.note_received();
            rings.gaps.note_received();
            self.received.fetch_add(1, Ordering::Relaxed);
            // Cannot fail: there is room.
            let _ = rings.receive.push_back(byte);
        }
    }

    fn refill(&self, rings: &mut Rings) {
        for _ in 0..BYTES_PER_INTERRUPT {
            let Some(byte) = rings.transmit.front().copied() else { break };
            if !self.console.transmit(byte) {
                break;
            }
            rings.transmit.pop_front();
            rings.response.note_sent();
        }
        self.console.set_transmit_interrupt(!rings.transmit.is_empty());
    }

    fn with_rings<R>(&self, work: impl FnOnce(&mut Rings) -> R) -> R {
        let _masked = interrupts::mask();
        work(&mut RINGS.lock())
    }
}

/// Text for people, as a [`fmt::Write`] that waits for the wire.
#[derive(Clone, Copy)]
pub struct SerialWriter(pub &'static Serial);

impl fmt::Write for SerialWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.0.is_text_muted.load(Ordering::Relaxed) {
            self.0.write(text.as_bytes());
        }
        Ok(())
    }
}
