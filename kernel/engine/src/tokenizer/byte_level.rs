//! How byte-pair vocabularies spell bytes: each as a printable character.
//!
//! Bytes that are printable in Latin-1 stand for themselves, the others are numbered from U+0100 on. Origin: `bytes_to_unicode`
//! of GPT-2's `encoder.py`.

/// The character for a byte.
pub(super) const fn char_of_byte(byte: u8) -> char {
    let code = match byte {
        0x00..=0x20 => 0x100 + byte as u32,
        0x7F..=0xA0 => 0x121 + (byte as u32 - 0x7F),
        0xAD => 0x143,
        _ => byte as u32,
    };
    match char::from_u32(code) {
        Some(character) => character,
        None => char::REPLACEMENT_CHARACTER,
    }
}

/// The byte that a character stands for.
pub(super) fn byte_of_char(character: char) -> Option<u8> {
    let byte = match character as u32 {
        code @ 0x100..=0x120 => code - 0x100,
        code @ 0x121..=0x142 => code - 0x121 + 0x7F,
        0x143 => 0xAD,
        code @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => code,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_are_paired_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(byte_of_char(char_of_byte(byte)), Some(byte));
        }
        let paired = (0..0x1000).filter_map(char::from_u32).filter_map(byte_of_char).count();
        assert_eq!(paired, 256);
        assert_eq!((char_of_byte(b' '), char_of_byte(b'\n'), char_of_byte(0xAD)), ('Ġ', 'Ċ', 'Ń'));
    }
}
