//! How figures are printed.

/// A line with one figure.
pub fn row(figure: &str, value: impl AsRef<str>) {
    println!("{figure:<58} {:>16}", value.as_ref());
}

/// `12.3 M` of 12,345,678.
pub fn millions(instructions: u64) -> String {
    format!("{:.1} M", instructions as f64 / 1e6)
}
