//! Cards for the tests.

use std::path::{Path, PathBuf};

use barellama::card::{CardSize, Entry, make};
use tempfile::TempDir;

/// A card image in a directory of its own, which goes away with it.
pub struct Card {
    directory: TempDir,
}

impl Card {
    /// A card with these files in its root: name on the card and where it comes from.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_files(size: CardSize, files: &[(&str, &Path)]) -> Self {
        let card = Self::directory_only();
        let entries =
            files.iter().map(|(name, source)| Entry { source: (*source).to_owned(), name: (*name).to_owned() });
        make(&card.path(), size, &entries.collect::<Vec<_>>()).expect("the card can be made");
        card
    }

    /// A card of 64 MiB with a model and texts.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_model_and_texts(model: &Path, texts: &[(&str, &str)]) -> Self {
        let sources = tempfile::tempdir().expect("a directory can be made");
        let written = texts.iter().map(|(name, text)| {
            let path = sources.path().join(name);
            std::fs::write(&path, text).expect("a file can be written");
            (*name, path)
        });
        let written = written.collect::<Vec<_>>();
        let mut files = vec![("model.gguf", model)];
        files.extend(written.iter().map(|(name, path)| (*name, path.as_path())));
        Self::with_files(CardSize::Auto, &files)
    }

    /// A card of 64 MiB with these bytes at its start and zeros behind them.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_bytes(bytes: &[u8]) -> Self {
        let card = Self::directory_only();
        std::fs::write(card.path(), bytes).expect("the card can be written");
        let file = std::fs::OpenOptions::new().write(true).open(card.path()).expect("the card can be opened");
        file.set_len(64 << 20).expect("the card can grow");
        card
    }

    /// Where the image is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("card.img")
    }

    fn directory_only() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory can be made") }
    }
}
