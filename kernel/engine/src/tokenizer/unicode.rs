//! Character classes as the pre-tokenizers' regular expressions name them.

use unicode_general_category::{GeneralCategory, get_general_category};

/// What the rules ask of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `\s`: the property `White_Space`.
    Space,
    /// `\p{L}`.
    Letter,
    /// `\p{N}`.
    Number,
    /// `\p{P}`.
    Punctuation,
    /// Anything else: symbols, marks, controls, unassigned.
    Other,
}

/// Class of a character in Unicode 15.1, the version of llama.cpp's tables.
pub(super) fn class_of(character: char) -> Class {
    match character {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Number,
        // CJK extension I: the only difference between 15.1 and 15.0, which the crate knows.
        '\u{2EBF0}'..='\u{2EE5D}' => Class::Letter,
        _ if character.is_whitespace() => Class::Space,
        _ => class_of_category(get_general_category(character)),
    }
}

fn class_of_category(category: GeneralCategory) -> Class {
    use GeneralCategory as Category;
    match category {
        Category::UppercaseLetter
        | Category::LowercaseLetter
        | Category::TitlecaseLetter
        | Category::ModifierLetter
        | Category::OtherLetter => Class::Letter,
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Class::Number,
        Category::ConnectorPunctuation
        | Category::DashPunctuation
        | Category::OpenPunctuation
        | Category::ClosePunctuation
        | Category::InitialPunctuation
        | Category::FinalPunctuation
        | Category::OtherPunctuation => Class::Punctuation,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// CRC-32 of one letter per code point (W, L, N, P, o), written by a program around llama.cpp's `unicode.cpp`.
    const LLAMA_CPP_CRC: u32 = 0x4505_704D;

    #[test]
    fn every_code_point_has_the_class_that_llama_cpp_gives_it() {
        let letters: Vec<u8> = (0..=0x10_FFFF)
            .map(|code| match char::from_u32(code).map(class_of) {
                Some(Class::Space) => b'W',
                Some(Class::Letter) => b'L',
                Some(Class::Number) => b'N',
                Some(Class::Punctuation) => b'P',
                Some(Class::Other) | None => b'o',
            })
            .collect();
        assert_eq!(crc32fast::hash(&letters), LLAMA_CPP_CRC);
    }
}
