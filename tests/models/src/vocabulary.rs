//! A vocabulary with its merges or scores, taken from another GGUF file.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use barellama_gguf::{Gguf, GgufError, Value};

use crate::file::KeyValue;

/// The tokenizer's part of the metadata.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    entries: Vec<KeyValue>,
    tokens: usize,
}

/// Why there is no vocabulary.
#[derive(Debug)]
pub enum VocabularyError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// The file is broken.
    Gguf(PathBuf, GgufError),
    /// The file has no tokens.
    NoTokens(PathBuf),
}

impl fmt::Display for VocabularyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::Gguf(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::NoTokens(path) => write!(formatter, "{} has no tokenizer.ggml.tokens", path.display()),
        }
    }
}

impl std::error::Error for VocabularyError {}

impl Vocabulary {
    /// Takes the vocabulary of a GGUF file, without its chat template.
    ///
    /// # Errors
    /// If the file cannot be read, is broken, or has no vocabulary.
    pub fn from_file(path: &Path) -> Result<Self, VocabularyError> {
        let file = fs::read(path).map_err(|error| VocabularyError::File(path.to_owned(), error))?;
        let gguf = Gguf::parse(&file).map_err(|error| VocabularyError::Gguf(path.to_owned(), error))?;
        let Some(Value::Array(tokens)) = gguf.get("tokenizer.ggml.tokens") else {
            return Err(VocabularyError::NoTokens(path.to_owned()));
        };
        let keys = gguf.keys().filter(|key| key.starts_with("tokenizer.ggml."));
        let entries = keys.filter_map(|key| Some(KeyValue::new(key, &gguf.get(key)?))).collect();
        Ok(Self { entries, tokens: tokens.len() })
    }

    /// The reference file of that name in `tests/reference/vocab`.
    ///
    /// # Errors
    /// If the file cannot be read, is broken, or has no vocabulary.
    pub fn reference(name: &str) -> Result<Self, VocabularyError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/vocab");
        Self::from_file(&folder.join(name))
    }

    /// Number of tokens.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.tokens
    }

    pub(crate) fn entries(&self) -> &[KeyValue] {
        &self.entries
    }
}
