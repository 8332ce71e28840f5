//! Equality of JSON strings whatever their escapes.

use core::iter::from_fn;

/// Whether two JSON strings, given without their quotes, stand for the same text. Escapes that are none stand for themselves.
#[must_use]
pub fn equal(left: &str, right: &str) -> bool {
    if !left.contains('\\') && !right.contains('\\') {
        return left == right;
    }
    units(left).eq(units(right))
}

/// The text as UTF-16: that is what `\u` escapes count in.
fn units(text: &str) -> impl Iterator<Item = u16> {
    let mut characters = text.chars();
    let mut second: Option<u16> = None;
    from_fn(move || {
        if let Some(unit) = second.take() {
            return Some(unit);
        }
        let character = characters.next()?;
        if character == '\\'
            && let Some(unit) = escaped(&mut characters)
        {
            return Some(unit);
        }
        let mut pair = [0; 2];
        let encoded = character.encode_utf16(&mut pair);
        second = encoded.get(1).copied();
        encoded.first().copied()
    })
}

/// The unit that an escape behind its backslash stands for.
fn escaped(characters: &mut core::str::Chars<'_>) -> Option<u16> {
    let rest = characters.as_str();
    let unit = match characters.next()? {
        'b' => 8,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        '"' => 34,
        '\\' => 92,
        '/' => 47,
        'u' => {
            let digits = rest.get(1..5).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            *characters = rest.get(5..)?.chars();
            return u16::from_str_radix(digits, 16).ok();
        }
        _ => {
            *characters = rest.chars();
            return None;
        }
    };
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_matter() {
        for (left, right) in [
            ("", ""),
            ("abc", "a\\u0062c"),
            ("\\n\\t\\/\\\"", "\\u000A\\u0009/\\u0022"),
            ("🥧", "\\ud83e\\udd67"),
            ("é\\\\", "\\u00e9\\u005c"),
        ] {
            assert!(equal(left, right), "{left} {right}");
        }
        for (left, right) in [("a", "b"), ("a", ""), ("\\u0061", "b"), ("\\n", "n"), ("\\u00", "\\u0000"), ("x\\", "x")]
        {
            assert!(!equal(left, right), "{left} {right}");
        }
    }
}
