//! The nearest known name to one that is not known.

/// Longest name that is looked at, in bytes; known names are shorter.
const NAME_BYTES_MAX: usize = 24;
/// The known name that is fewest edits away from `name`, if it is near enough.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let (edits, best) = known.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|pair| pair.0)?;
    // More edits than half of the name are another word, not a slip.
    (edits * 2 <= name.len()).then_some(best)
}

/// Levenshtein distance in bytes, case-insensitive, with one row of the table.
fn distance(a: &str, b: &str) -> usize {
    let mut row = [0usize; NAME_BYTES_MAX + 1];
    for (index, cell) in row.iter_mut().enumerate() {
        *cell = index;
    }
    for (line, &left) in b.as_bytes().iter().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, &right) in row.iter_mut().skip(1).zip(a.as_bytes()) {
            let substitute = diagonal + usize::from(!left.eq_ignore_ascii_case(&right));
            diagonal = *cell;
            *cell = substitute.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
    }
    row.get(a.len()).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("status", "status"), 0);
        assert_eq!(distance("stauts", "status"), 2);
        assert_eq!(distance("help", ""), 4);
        assert_eq!(distance("HELP", "help"), 0);
    }

    #[test]
    fn only_near_names_are_offered() {
        let known = ["help", "status", "reset"];
        assert_eq!(nearest("hlep", known.into_iter()), Some("help"));
        assert_eq!(nearest("rest", known.into_iter()), Some("reset"));
        assert_eq!(nearest("temperature", known.into_iter()), None);
        assert_eq!(nearest("x", known.into_iter()), None);
        assert_eq!(nearest("", known.into_iter()), None);
    }
}
