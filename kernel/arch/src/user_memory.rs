//! The one checked door for addresses that come from EL0.
//!
//! Such an address is an allegation. It is used with EL0's own rights (LDTR, STTR), and a fault comes back as an error.

use core::fmt;

/// First address behind the engine's half.
const USER_END: u64 = 1 << 39;

/// A range of EL0's memory that was not looked at yet. It lies within EL0's half; whether it is mapped, the copy will tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSlice {
    address: u64,
    bytes: usize,
}

/// The range is not within EL0's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUserRange;

/// EL0 could not have made this access itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFault {
    /// Where it failed.
    pub address: u64,
}

impl fmt::Display for UserFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the engine may not access {:#x}", self.address)
    }
}

impl UserSlice {
    /// A range of any alignment, also an empty one.
    ///
    /// # Errors
    /// [`BadUserRange`] if it reaches beyond EL0's half or wraps around.
    pub fn new(address: u64, bytes: u64) -> Result<Self, BadUserRange> {
        match address.checked_add(bytes) {
            Some(end) if end <= USER_END => {
                Ok(Self { address, bytes: usize::try_from(bytes).map_err(|_| BadUserRange)? })
            }
            _ => Err(BadUserRange),
        }
    }

    /// First address.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Length in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(target_os = "none")]
pub use access::{load_u32, store_u32};

#[cfg(target_os = "none")]
mod access {
    use super::{USER_END, UserFault, UserSlice};

    /// What the assembly returns: x0 tells whether a fault came, x1 where, or what was loaded.
    #[repr(C)]
    struct Outcome {
        has_faulted: u64,
        value: u64,
    }

    unsafe extern "C" {
        fn user_copy_from(destination: *mut u8, source: u64, bytes: usize) -> Outcome;
        fn user_copy_to(destination: u64, source: *const u8, bytes: usize) -> Outcome;
        fn user_load_u32(address: u64) -> Outcome;
        fn user_store_u32(address: u64, value: u32) -> Outcome;
    }

    impl UserSlice {
        /// Copies EL0's bytes out, as many as both sides have.
        ///
        /// # Errors
        /// [`UserFault`] where EL0 may not read; `destination` is partly written then.
        pub fn copy_from(&self, destination: &mut [u8]) -> Result<(), UserFault> {
            let bytes = self.bytes.min(destination.len());
            // SAFETY: (1) `destination` has room for `bytes`; (2) the source is in EL0's half, where no Rust object lives, and is
            // read with EL0's rights; (3) a data abort inside the function is repaired by the fault handler.
            result(unsafe { user_copy_from(destination.as_mut_ptr(), self.address, bytes) }).map(drop)
        }

        /// Copies bytes to EL0, as many as both sides have.
        ///
        /// # Errors
        /// [`UserFault`] where EL0 may not write; a part may have been written.
        pub fn copy_to(&self, source: &[u8]) -> Result<(), UserFault> {
            let bytes = self.bytes.min(source.len());
            // SAFETY: as for `copy_from`, with the sides exchanged.
            result(unsafe { user_copy_to(self.address, source.as_ptr(), bytes) }).map(drop)
        }
    }

    /// Reads a word of EL0's memory; accesses behind it stay behind it.
    ///
    /// # Errors
    /// [`UserFault`] if EL0 may not read it or the address is not a multiple of 4.
    pub fn load_u32(address: u64) -> Result<u32, UserFault> {
        check_word(address)?;
        // SAFETY: an aligned address in EL0's half, read with EL0's rights; a data abort is repaired by the fault handler.
        result(unsafe { user_load_u32(address) }).map(|value| value as u32)
    }

    /// Writes a word of EL0's memory; accesses before it stay before it.
    ///
    /// # Errors
    /// [`UserFault`] if EL0 may not write it or the address is not a multiple of 4.
    pub fn store_u32(address: u64, value: u32) -> Result<(), UserFault> {
        check_word(address)?;
        // SAFETY: as for `load_u32`.
        result(unsafe { user_store_u32(address, value) }).map(drop)
    }

    fn check_word(address: u64) -> Result<(), UserFault> {
        if address < USER_END && address.is_multiple_of(4) { Ok(()) } else { Err(UserFault { address }) }
    }

    fn result(outcome: Outcome) -> Result<u64, UserFault> {
        match outcome.has_faulted {
            0 => Ok(outcome.value),
            _ => Err(UserFault { address: outcome.value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_within_the_half_are_taken() {
        assert_eq!(UserSlice::new(0x1001, 3).map(|slice| (slice.address(), slice.bytes())), Ok((0x1001, 3)));
        assert!(UserSlice::new(USER_END - 1, 1).is_ok());
        assert!(UserSlice::new(USER_END, 0).is_ok());
    }

    #[test]
    fn ranges_that_leave_the_half_or_wrap_are_refused() {
        assert_eq!(UserSlice::new(USER_END, 1), Err(BadUserRange));
        assert_eq!(UserSlice::new(USER_END - 1, 2), Err(BadUserRange));
        assert_eq!(UserSlice::new(0xFFFF_FF80_0020_0000, 8), Err(BadUserRange));
        assert_eq!(UserSlice::new(u64::MAX, 2), Err(BadUserRange));
        assert_eq!(UserSlice::new(8, u64::MAX), Err(BadUserRange));
    }
}
