//! What the kernel leaves for its next run: memory that neither the firmware's loader nor the boot code writes, so that a warm reset
//! keeps it. A record says how the last run ended, if by a fault of the kernel; its log is kept in [`crate::kept_log`].
//!
//! RAM usually survives the watchdog's reset (the firmware's overlay `ramoops` relies on that); what did not is seen by the magic and
//! the checksum. One core at a time writes: the one that reports the kernel's fault.

use crate::cache;
use crate::checksum::Checksum;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The most bytes of a record.
pub const RECORD_BYTES_MAX: usize = 7 << 10;
const MAGIC: u64 = u64::from_le_bytes(*b"LASTRUN1");

#[repr(C, align(4096))]
struct Kept {
    magic: AtomicU64,
    length: AtomicU64,
    /// Kernel faults since the last run that went well.
    faults: AtomicU64,
    sum: AtomicU64,
    bytes: [AtomicU8; RECORD_BYTES_MAX],
}

/// Not zeroed and not loaded: what it holds at the start is what the last run left.
#[unsafe(link_section = ".kept")]
static KEPT: Kept = Kept {
    magic: AtomicU64::new(0),
    length: AtomicU64::new(0),
    faults: AtomicU64::new(0),
    sum: AtomicU64::new(0),
    bytes: [const { AtomicU8::new(0) }; RECORD_BYTES_MAX],
};

/// Begins a record; the one before is gone.
pub fn begin() {
    let faults = if is_valid() { KEPT.faults.load(Ordering::Relaxed) } else { 0 };
    KEPT.magic.store(0, Ordering::Relaxed);
    KEPT.faults.store(faults, Ordering::Relaxed);
    KEPT.length.store(0, Ordering::Relaxed);
}

/// Adds bytes; what does not fit, or comes behind [`finish`], is left out.
pub fn push(bytes: &[u8]) {
    if KEPT.magic.load(Ordering::Relaxed) == MAGIC {
        return;
    }
    for byte in bytes {
        let at = KEPT.length.load(Ordering::Relaxed);
        let Some(place) = KEPT.bytes.get(at as usize) else { return };
        place.store(*byte, Ordering::Relaxed);
        KEPT.length.store(at + 1, Ordering::Relaxed);
    }
}

/// Ends the record and brings it to memory. Returns how many runs in a row ended like this.
pub fn finish() -> u64 {
    let faults = KEPT.faults.load(Ordering::Relaxed).saturating_add(1);
    KEPT.faults.store(faults, Ordering::Relaxed);
    seal();
    faults
}

/// How many bytes the record of the last run has; `None` if there is none. It can be read until [`begin`].
#[must_use]
pub fn length() -> Option<usize> {
    let length = KEPT.length.load(Ordering::Relaxed) as usize;
    (is_valid() && length > 0).then_some(length)
}

/// Copies bytes of the record from `offset` on; returns how many.
pub fn copy_to(offset: usize, destination: &mut [u8]) -> usize {
    let places = length().and_then(|length| KEPT.bytes.get(offset..length)).unwrap_or(&[]);
    for (byte, place) in destination.iter_mut().zip(places) {
        *byte = place.load(Ordering::Relaxed);
    }
    places.len().min(destination.len())
}

/// Empties the record; the count of faults stays.
pub fn empty() {
    if is_valid() {
        KEPT.length.store(0, Ordering::Relaxed);
        seal();
    }
}

/// Within a record: this run went well for a long time, so that its fault counts as the first one again.
pub fn forget_faults() {
    KEPT.faults.store(0, Ordering::Relaxed);
}

fn seal() {
    KEPT.magic.store(MAGIC, Ordering::Relaxed);
    KEPT.sum.store(sum(), Ordering::Relaxed);
    // A reset drops the caches: to memory, now.
    cache::clean(core::ptr::from_ref(&KEPT).addr(), size_of::<Kept>());
}

fn is_valid() -> bool {
    let length = KEPT.length.load(Ordering::Relaxed) as usize;
    KEPT.magic.load(Ordering::Relaxed) == MAGIC
        && length <= RECORD_BYTES_MAX
        && KEPT.sum.load(Ordering::Relaxed) == sum()
}

fn sum() -> u64 {
    let [length, faults] = [&KEPT.length, &KEPT.faults].map(|field| field.load(Ordering::Relaxed));
    let bytes = KEPT.bytes.iter().take(length as usize).map(|byte| u64::from(byte.load(Ordering::Relaxed)));
    bytes.fold(Checksum::new().word(length).word(faults), Checksum::word).value()
}
