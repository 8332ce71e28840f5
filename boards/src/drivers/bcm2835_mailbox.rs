//! The mailbox between Arm and VideoCore, property channel.
//!
//! github.com/raspberrypi/firmware, wiki "Mailboxes" and "Mailbox property interface". The VideoCore is not cache coherent: the
//! message is cleaned before the doorbell and dropped from the caches before the answer is read.

use crate::drivers::mmio::Mmio;
use barellama_arch::{cache, mmu, timer};
use core::sync::atomic::{AtomicU32, Ordering};
use spin::Mutex;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! [
    u32,
    STATUS [
        /// Nothing to read.
        EMPTY OFFSET(30) NUMBITS(1) [],
        /// No room to write.
        FULL OFFSET(31) NUMBITS(1) []
    ]
];

register_structs! {
    /// The registers of mailbox 0 (to the Arm) and 1 (to the VideoCore).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    Registers {
        (0x00 => read: ReadOnly<u32>),
        (0x04 => _reserved_0),
        (0x18 => read_status: ReadOnly<u32, STATUS::Register>),
        (0x1C => _reserved_1),
        (0x20 => write: WriteOnly<u32>),
        (0x24 => _reserved_2),
        (0x38 => write_status: ReadOnly<u32, STATUS::Register>),
        (0x3C => @END),
    }
}

const PROPERTY_CHANNEL: u32 = 8;
const RESPONSE_SUCCESS: u32 = 0x8000_0000;
const TAG_ANSWERED: u32 = 0x8000_0000;
/// The VideoCore's alias of RAM without its caches. It reaches the first GiB only.
const UNCACHED_ALIAS: u64 = 0xC000_0000;
const VIDEO_CORE_REACH: u64 = 0x4000_0000;
/// The firmware may take long over some tags.
const TIMEOUT_NS: u64 = 1_000_000_000;

/// Most words of a tag's value.
pub const VALUE_WORDS_MAX: usize = 8;
/// Size, request code, tag, value length, value code; and the end tag behind the value.
const HEADER_WORDS: usize = 5;

/// Whole cache lines: nothing else may share them.
#[repr(C, align(64))]
struct Message([AtomicU32; 16]);

static MESSAGE: Message = Message([const { AtomicU32::new(0) }; 16]);

/// The mailbox of a Raspberry Pi.
pub struct Bcm2835Mailbox {
    registers: Mmio<Registers>,
    /// One call at a time: there is one message.
    turn: Mutex<()>,
}

impl Bcm2835Mailbox {
    /// The mailbox whose registers appear at `address`. There is one on a board.
    ///
    /// # Safety
    /// The registers are mapped at `address` for good, and nobody else drives them.
    #[must_use]
    pub unsafe fn new(address: usize) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        Self { registers: unsafe { Mmio::new(address) }, turn: Mutex::new(()) }
    }

    /// Asks for one property with the value `request`; returns the first `N` words of the answer. `None` if the firmware does not
    /// answer in time, does not know the tag, or answers with fewer words. `request` and `N` have at most [`VALUE_WORDS_MAX`].
    pub fn property<const N: usize>(&self, tag: u32, request: &[u32]) -> Option<[u32; N]> {
        let _turn = self.turn.lock();
        let value_words = request.len().max(N);
        if value_words > VALUE_WORDS_MAX {
            return None;
        }
        write_message(tag, request, value_words);
        let address = mmu::physical_of(&MESSAGE);
        if address >= VIDEO_CORE_REACH {
            return None;
        }
        let doorbell = (address | UNCACHED_ALIAS) as u32 | PROPERTY_CHANNEL;
        cache::clean_invalidate(MESSAGE.0.as_ptr().addr(), size_of::<Message>());
        self.exchange(doorbell)?;
        cache::clean_invalidate(MESSAGE.0.as_ptr().addr(), size_of::<Message>());
        read_answer(tag)
    }

    /// Rings and waits for the answer to this very message; stale ones are thrown away.
    fn exchange(&self, doorbell: u32) -> Option<()> {
        let start = timer::now_ns();
        let is_late = || timer::now_ns().saturating_sub(start) > TIMEOUT_NS;
        while !self.registers.read_status.is_set(STATUS::EMPTY) && !is_late() {
            let _stale = self.registers.read.get();
        }
        while self.registers.write_status.is_set(STATUS::FULL) {
            if is_late() {
                return None;
            }
        }
        self.registers.write.set(doorbell);
        loop {
            if is_late() {
                return None;
            }
            if !self.registers.read_status.is_set(STATUS::EMPTY) && self.registers.read.get() == doorbell {
                return Some(());
            }
        }
    }
}

fn write_message(tag: u32, request: &[u32], value_words: usize) {
    let words = HEADER_WORDS + value_words + 1;
    let header = [words as u32 * 4, 0, tag, value_words as u32 * 4, 0];
    let value = request.iter().copied().chain(core::iter::repeat(0));
    for (place, word) in MESSAGE.0.iter().zip(header.into_iter().chain(value)) {
        place.store(word, Ordering::Relaxed);
    }
}

fn read_answer<const N: usize>(tag: u32) -> Option<[u32; N]> {
    let word = |at: usize| MESSAGE.0.get(at).map(|word| word.load(Ordering::Relaxed));
    let answer_bytes = (word(4)? & !TAG_ANSWERED) as usize;
    let is_good = word(1)? == RESPONSE_SUCCESS && word(2)? == tag && word(4)? & TAG_ANSWERED != 0;
    // An unknown tag is "answered" with length 0.
    if !is_good || answer_bytes < N * 4 || answer_bytes == 0 {
        return None;
    }
    let mut value = [0; N];
    for (index, place) in value.iter_mut().enumerate() {
        *place = word(HEADER_WORDS + index)?;
    }
    Some(value)
}

const _: () = assert!(HEADER_WORDS + VALUE_WORDS_MAX < 16);
