//! Registers of a card, as far as reading needs them (SD Physical Layer chapter 5).

use super::error::CardError;
use crate::host::Response;

/// Bits of a 128-bit register, at most 32 of them; the response has the least significant word first.
fn bits(response: &Response, low: u32, count: u32) -> u32 {
    let words = response.words.map(u64::from);
    let index = (low / 32) as usize;
    let below = words.get(index).copied().unwrap_or(0);
    let above = words.get(index + 1).copied().unwrap_or(0);
    let shifted = (above << 32 | below) >> (low % 32);
    (shifted & ((1 << count) - 1)) as u32
}

/// Number of 512-byte blocks by the CSD (5.3).
///
/// # Errors
/// [`CardError::UnknownCsd`] for a structure version that is not 1.0 or 2.0; [`CardError::NoCapacity`] for a size of nothing.
pub fn block_count(csd: &Response) -> Result<u32, CardError> {
    let blocks = match bits(csd, 126, 2) {
        0 => {
            let units = u64::from(bits(csd, 62, 12)) + 1;
            let unit_blocks = 1_u64 << (bits(csd, 47, 3) + 2);
            (units * unit_blocks) << bits(csd, 80, 4) >> 9
        }
        1 => (u64::from(bits(csd, 48, 22)) + 1) * 1024,
        version => return Err(CardError::UnknownCsd { version }),
    };
    match u32::try_from(blocks) {
        Ok(0) => Err(CardError::NoCapacity),
        Ok(blocks) => Ok(blocks),
        Err(_) => Ok(u32::MAX),
    }
}

/// What the SCR (5.6) says; the card sends it as 8 bytes, the most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The card can use four data lines (SD_BUS_WIDTHS bit 2).
    pub has_four_lines: bool,
    /// The card knows CMD6 (SD_SPEC 1 or above: version 1.10).
    pub has_switch: bool,
}

impl Configuration {
    /// Reads the SCR.
    #[must_use]
    pub fn parse(scr: &[u8; 8]) -> Self {
        let [first, second, ..] = *scr;
        Self { has_four_lines: second & 0b0100 != 0, has_switch: first & 0x0F >= 1 }
    }
}

/// Whether CMD6's 64-byte status (4.3.10.4) lists high speed among the functions of group 1 (bits 415:400).
#[must_use]
pub fn supports_high_speed(status: &[u8; 64]) -> bool {
    status.get(13).is_some_and(|functions| functions & 0b10 != 0)
}

/// Whether CMD6's status says that group 1 is now at high speed (bits 379:376).
#[must_use]
pub fn is_high_speed(status: &[u8; 64]) -> bool {
    status.get(16).is_some_and(|selected| selected & 0x0F == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register from its bytes, most significant first, as data sheets print them.
    fn register(bytes: [u8; 16]) -> Response {
        let value = u128::from_be_bytes(bytes);
        Response { words: [0, 32, 64, 96].map(|shift| (value >> shift) as u32) }
    }

    #[test]
    fn capacity_of_a_standard_card() {
        // 2 GB card with READ_BL_LEN 10, C_SIZE 3795, C_SIZE_MULT 7.
        let csd = register([0x00, 0x26, 0x00, 0x32, 0x5F, 0x5A, 0x83, 0xB4, 0xED, 0xB7, 0xFF, 0xBF, 0x16, 0x80, 0, 0]);
        assert_eq!(bits(&csd, 80, 4), 10);
        assert_eq!(bits(&csd, 62, 12), 3795);
        assert_eq!(bits(&csd, 47, 3), 7);
        assert_eq!(block_count(&csd), Ok(3796 * 512 * 2));
    }

    #[test]
    fn capacity_of_a_high_capacity_card() {
        // 8 GB: C_SIZE 0x3B37 (SD Physical Layer 5.3.3).
        let csd = register([0x40, 0x0E, 0x00, 0x32, 0x5B, 0x59, 0x00, 0x00, 0x3B, 0x37, 0x7F, 0x80, 0x0A, 0x40, 0, 0]);
        assert_eq!(block_count(&csd), Ok(0x3B38 * 1024));
    }

    #[test]
    fn unknown_csd_is_refused() {
        assert_eq!(block_count(&register([0x80; 16])), Err(CardError::UnknownCsd { version: 2 }));
    }

    #[test]
    fn configuration_of_a_common_card() {
        let configuration = Configuration::parse(&[0x02, 0x35, 0x80, 0, 0, 0, 0, 0]);
        assert_eq!(configuration, Configuration { has_four_lines: true, has_switch: true });
        let configuration = Configuration::parse(&[0x00, 0x11, 0, 0, 0, 0, 0, 0]);
        assert_eq!(configuration, Configuration { has_four_lines: false, has_switch: false });
    }
}
