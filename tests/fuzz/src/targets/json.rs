//! The scanners that bound a JSON text, against a reader that counts for itself.

use std::collections::HashSet;
use std::fmt;

use barellama_mcp::json::{BoundsError, DEPTH_MAX, ELEMENTS_MAX, KEYS_MAX, Quoted, check, equal, quoted_bytes};
use barellama_shell::json::{Limits, check_bounds};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// What a text really has.
#[derive(Debug, Default)]
struct Counts {
    depth: usize,
    depth_max: usize,
    /// As the scanners count: the text, each container, each comma.
    elements: usize,
    open_keys: usize,
    open_keys_max: usize,
    has_duplicates: bool,
}

/// Any text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_quoting(&text);
    let verdict = check(&text);
    let mut counts = Counts { elements: 1, ..Counts::default() };
    let mut reader = serde_json::Deserializer::from_str(&text);
    let is_json = Counting(&mut counts).deserialize(&mut reader).is_ok() && reader.end().is_ok();
    if !is_json {
        return;
    }
    let expected = counts.depth_max <= DEPTH_MAX
        && counts.elements <= ELEMENTS_MAX
        && counts.open_keys_max <= KEYS_MAX
        && !counts.has_duplicates;
    assert_eq!(verdict.is_ok(), expected, "{verdict:?}, really {counts:?}");
    if verdict == Err(BoundsError::DuplicateKey) {
        assert!(counts.has_duplicates, "{counts:?}");
    }
    let limits = Limits { bytes: usize::MAX, depth: 3, elements: 16 };
    let is_small = counts.depth_max <= limits.depth && counts.elements <= limits.elements;
    assert_eq!(check_bounds(&text, &limits).is_ok(), is_small, "{counts:?}");
}

fn check_quoting(text: &str) {
    let quoted = Quoted(text).to_string();
    assert_eq!(quoted.len(), quoted_bytes(text) + 2);
    assert_eq!(serde_json::from_str::<String>(&quoted).ok().as_deref(), Some(text));
    let content = &quoted[1..quoted.len() - 1];
    assert!(equal(content, content));
}

struct Counting<'c>(&'c mut Counts);

impl<'de> DeserializeSeed<'de> for Counting<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Counting<'_> {
    fn enter(&mut self) {
        self.0.elements += 1;
        self.0.depth += 1;
        self.0.depth_max = self.0.depth_max.max(self.0.depth);
    }
}

impl<'de> Visitor<'de> for Counting<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.enter();
        let mut count = 0;
        while items.next_element_seed(Counting(self.0))?.is_some() {
            count += 1;
            self.0.elements += usize::from(count > 1);
        }
        self.0.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.enter();
        let mut keys = HashSet::new();
        let outer_keys = self.0.open_keys;
        while let Some(key) = members.next_key::<String>()? {
            self.0.elements += usize::from(!keys.is_empty());
            self.0.open_keys += 1;
            self.0.open_keys_max = self.0.open_keys_max.max(self.0.open_keys);
            self.0.has_duplicates |= !keys.insert(key);
            members.next_value_seed(Counting(self.0))?;
        }
        self.0.open_keys = outer_keys;
        self.0.depth -= 1;
        Ok(())
    }
}
