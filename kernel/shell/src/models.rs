//! Which model of the card is meant: by its number in the list, by its path, by its name alone.

use crate::nearest::nearest;
use core::fmt;

/// Why no model was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindError<'a> {
    /// The list is empty.
    NoModels,
    /// The number is not in the list.
    NoSuchNumber {
        /// How many models there are.
        count: usize,
    },
    /// No model has the name.
    NoSuchName {
        /// One that is spelled almost like it.
        nearest: Option<&'a str>,
    },
    /// Several models have it, in different folders.
    Ambiguous {
        /// The first of them.
        first: &'a str,
        /// The second.
        second: &'a str,
    },
}

impl fmt::Display for FindError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModels => formatter.write_str("the card has no model"),
            Self::NoSuchNumber { count: 1 } => formatter.write_str("the card has one model, number 1"),
            Self::NoSuchNumber { count } => write!(formatter, "the card has models 1 to {count}"),
            Self::NoSuchName { nearest: Some(nearest) } => {
                write!(formatter, "the card has no model of this name; the nearest one is {nearest}")
            }
            Self::NoSuchName { nearest: None } => {
                formatter.write_str("the card has no model of this name; /models lists them")
            }
            Self::Ambiguous { first, second } => {
                write!(formatter, "{first} and {second} both have this name: give the whole path")
            }
        }
    }
}

/// Finds the index of a model in a list of paths: `wanted` is a number from 1, a path, or a file's name with or without its folder
/// and its `.gguf`. Case does not matter for ASCII letters, as on FAT.
///
/// # Errors
/// [`FindError`].
pub fn find<'a, I>(paths: I, wanted: &str) -> Result<usize, FindError<'a>>
where
    I: Iterator<Item = &'a str> + Clone,
{
    let count = paths.clone().count();
    if count == 0 {
        return Err(FindError::NoModels);
    }
    let wanted = wanted.trim().trim_start_matches('/');
    let exact = |path: &str| path.eq_ignore_ascii_case(wanted);
    if let Some(index) = paths.clone().position(exact) {
        return Ok(index);
    }
    if !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = wanted.parse::<usize>().unwrap_or(usize::MAX);
        return if (1..=count).contains(&number) { Ok(number - 1) } else { Err(FindError::NoSuchNumber { count }) };
    }
    let has_name = |path: &str| {
        let name = name_of(path);
        let stem = name.get(..name.len().saturating_sub(".gguf".len())).unwrap_or(name);
        name.eq_ignore_ascii_case(wanted) || stem.eq_ignore_ascii_case(wanted)
    };
    let mut named = paths.clone().enumerate().filter(|(_, path)| has_name(path));
    match (named.next(), named.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some((_, first)), Some((_, second))) => Err(FindError::Ambiguous { first, second }),
        (None, _) => Err(FindError::NoSuchName { nearest: nearest(wanted, paths.map(name_of)) }),
    }
}

/// The file's name behind its folders.
#[must_use]
pub fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const PATHS: [&str; 4] = ["tiny.gguf", "models/Big Model.gguf", "models/tiny.gguf", "a/b/other.gguf"];

    fn found(wanted: &str) -> Result<usize, FindError<'static>> {
        find(PATHS.into_iter(), wanted)
    }

    #[test]
    fn numbers_paths_and_names_are_found() {
        for (wanted, index) in [
            ("1", 0),
            ("4", 3),
            ("tiny.gguf", 0),
            ("/models/TINY.gguf", 2),
            ("big model", 1),
            ("Big Model.gguf", 1),
            ("other", 3),
        ] {
            assert_eq!(found(wanted), Ok(index), "{wanted}");
        }
    }

    #[test]
    fn what_is_not_there_is_explained() {
        for (wanted, sentence) in [
            ("0", "the card has models 1 to 4"),
            ("99999999999999999999999", "the card has models 1 to 4"),
            ("othre.gguf", "the card has no model of this name; the nearest one is other.gguf"),
            ("something else", "the card has no model of this name; /models lists them"),
            ("tiny", "tiny.gguf and models/tiny.gguf both have this name: give the whole path"),
        ] {
            assert_eq!(found(wanted).unwrap_err().to_string(), sentence);
        }
        assert_eq!(find([].into_iter(), "x"), Err(FindError::NoModels));
        assert_eq!(find(["x"].into_iter(), "2").unwrap_err().to_string(), "the card has one model, number 1");
    }
}
