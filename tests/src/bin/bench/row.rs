//! How figures are printed.

/// A line with one figure.
pub fn row(figure: &str, value: impl AsRef<str>) {
    println!("{figure:<58} {:>16}", value.as_ref());
}
