//! The models on the card: the list of `/models` and the menu at boot.

use super::units::megabytes;
use core::fmt::{Result, Write};

/// Columns of the path, so that a row fits a screen of 80.
const PATH_COLUMNS: usize = 54;

/// A model on the card.
#[derive(Clone, Copy, Debug)]
pub struct ModelRow<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Whether it is in memory now.
    pub is_loaded: bool,
}

/// What the list of the card's models does not show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Omitted {
    /// Models that it has no room for.
    pub models: u32,
    /// Folders that were not looked into.
    pub folders: u32,
}

/// Writes the list, numbered from 1, and what it does not show.
///
/// # Errors
/// Those of `out`.
pub fn model_table<'a>(
    models: impl Iterator<Item = ModelRow<'a>> + Clone,
    omitted: Omitted,
    out: &mut dyn Write,
) -> Result {
    let columns = models.clone().map(|model| model.path.chars().count()).max().unwrap_or(0).min(PATH_COLUMNS);
    for (index, model) in models.enumerate() {
        write!(out, "{:>4}  ", index + 1)?;
        write_path(model.path, columns, out)?;
        let loaded = if model.is_loaded { "  loaded" } else { "" };
        match model.bytes {
            0 => write!(out, "  {:>10}{loaded}\r\n", "empty")?,
            bytes @ ..100_000 => write!(out, "  {:>7} kB{loaded}\r\n", bytes.div_ceil(1000))?,
            bytes => write!(out, "  {:>7} MB{loaded}\r\n", megabytes(bytes))?,
        }
    }
    if omitted.models != 0 {
        write!(
            out,
            "      and {} more, which the list has no room for: /load takes a path or a name\r\n",
            omitted.models
        )?;
    }
    match omitted.folders {
        0 => Ok(()),
        1 => write!(out, "      1 folder was not looked into: /load takes the path of a model there\r\n"),
        count => write!(out, "      {count} folders were not looked into: /load takes the path of a model there\r\n"),
    }
}

/// Writes the row of a model that the firmware placed in memory, which is in no list of the card.
///
/// # Errors
/// Those of `out`.
pub fn placed_model(bytes: u64, out: &mut dyn Write) -> Result {
    write!(out, "   -  placed in memory by the firmware, {} MB, loaded\r\n", megabytes(bytes))
}

/// Writes the menu: the list, and what a person can do within `seconds`. Without an answer the first one with bytes is taken.
///
/// # Errors
/// Those of `out`.
pub fn model_menu<'a>(
    models: impl Iterator<Item = ModelRow<'a>> + Clone,
    omitted: Omitted,
    seconds: u64,
    out: &mut dyn Write,
) -> Result {
    let first = models.clone().position(|model| model.bytes != 0).map_or(1, |index| index + 1);
    write!(out, "The card has {} models:\r\n", models.clone().count() + omitted.models as usize)?;
    model_table(models, omitted, out)?;
    write!(out, "Type a number and Enter; without an answer number {first} is loaded in {seconds} s.\r\n")
}

/// The path in so many columns; a long one loses its middle, since its start tells the folder and its end the type.
fn write_path(path: &str, columns: usize, out: &mut dyn Write) -> Result {
    let length = path.chars().count();
    if length <= columns {
        return write!(out, "{path:<columns$}");
    }
    let kept = columns.saturating_sub(3);
    let start = kept / 2;
    let end = length - (kept - start);
    for (index, character) in path.chars().enumerate() {
        match index {
            _ if index < start || index >= end => out.write_char(character)?,
            _ if index == start => out.write_str("...")?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;

    const MODELS: [ModelRow<'_>; 2] = [
        ModelRow { path: "tiny.gguf", bytes: 321_000, is_loaded: false },
        ModelRow { path: "models/a larger one.gguf", bytes: 98_362_432, is_loaded: true },
    ];

    #[test]
    fn the_list_is_aligned() {
        assert_eq!(
            rows(|out| model_table(MODELS.into_iter(), Omitted::default(), out)),
            ["   1  tiny.gguf                     0.3 MB", "   2  models/a larger one.gguf     98.3 MB  loaded",]
        );
    }

    #[test]
    fn small_files_keep_their_size() {
        let small = |bytes| ModelRow { path: "a", bytes, is_loaded: false };
        let rows =
            rows(|out| model_table([small(0), small(38_000), small(100_000)].into_iter(), Omitted::default(), out));
        assert_eq!(rows, ["   1  a       empty", "   2  a       38 kB", "   3  a      0.1 MB"]);
    }

    #[test]
    fn long_paths_keep_start_and_end() {
        let path = ["models/", &"x".repeat(90), "-Q4_K_M.gguf"].concat();
        let omitted = Omitted { models: 3, folders: 5 };
        let rows = rows(|out| model_table([ModelRow { path: &path, ..MODELS[1] }].into_iter(), omitted, out));
        assert!(
            rows[0].contains("models/x") && rows[0].contains("...") && rows[0].contains("-Q4_K_M.gguf"),
            "{rows:?}"
        );
        assert_eq!(rows[1], "      and 3 more, which the list has no room for: /load takes a path or a name");
        assert_eq!(rows[2], "      5 folders were not looked into: /load takes the path of a model there");
    }

    #[test]
    fn the_menu_says_what_to_do() {
        let rows = rows(|out| model_menu(MODELS.into_iter(), Omitted { models: 2, folders: 0 }, 5, out));
        assert_eq!(rows[0], "The card has 4 models:");
        assert_eq!(rows[4], "Type a number and Enter; without an answer number 1 is loaded in 5 s.");
    }
}
