//! Pages that nobody writes after [`plant`]: one among the kernel's data, one among its zeroed data. A wild write of the kernel or of
//! a device may hit them, and a checksum then tells.

use crate::checksum::Checksum;
use core::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = 512;
/// The first word of a pattern in which no two words are alike.
const PATTERN: u64 = 0xC0FF_EE00_5AFE_0000;

#[repr(C, align(4096))]
struct Page([AtomicU64; WORDS]);

/// Not zero, so that it lies in .data.
static AMONG_DATA: Page = Page([const { AtomicU64::new(1) }; WORDS]);
static AMONG_ZEROED: Page = Page([const { AtomicU64::new(0) }; WORDS]);

/// Writes the pattern. Once, at boot.
pub fn plant() {
    for page in [&AMONG_DATA, &AMONG_ZEROED] {
        for (word, place) in (PATTERN..).zip(&page.0) {
            place.store(word, Ordering::Relaxed);
        }
    }
}

/// A checksum of both pages.
#[must_use]
pub fn checksum() -> u64 {
    let words = AMONG_DATA.0.iter().chain(&AMONG_ZEROED.0);
    words.fold(Checksum::new(), |sum, word| sum.word(word.load(Ordering::Relaxed))).value()
}
