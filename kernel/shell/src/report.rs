//! Everything people look at on the console, from plain facts to rows of at most 80 columns.
//!
//! Each function writes whole rows that end with `\r\n` and returns the errors of its sink. Arithmetic is on integers: the
//! kernel has no floating-point unit at hand.

mod answer;
mod bench;
mod boot;
mod fault;
mod load;
mod models;
mod self_test;
mod settings_table;
mod status;
mod units;
mod verification;

pub use answer::answer_statistics;
pub use bench::{BenchRow, bench_foot, bench_head, bench_row};
pub use boot::{Access, BannerFacts, MemoryRow, banner, memory_map};
pub use fault::{Consequence, FaultFacts, Registers, fault};
pub use load::{LoadFacts, load_done, load_progress};
pub use models::{ModelRow, Omitted, model_menu, model_table, placed_model};
pub use self_test::{self_test, self_test_summary, trap_table};
pub use settings_table::settings_table;
pub use status::{ModelFacts, StatusFacts, status};
pub use verification::{PartRow, PartState, StackRow, verification};

#[cfg(test)]
fn rows(write: impl FnOnce(&mut dyn core::fmt::Write) -> core::fmt::Result) -> alloc::vec::Vec<alloc::string::String> {
    let mut text = alloc::string::String::new();
    write(&mut text).unwrap();
    assert!(text.ends_with("\r\n") && text.matches('\n').count() == text.matches('\r').count());
    let rows: alloc::vec::Vec<_> = text.lines().map(alloc::string::String::from).collect();
    for row in &rows {
        assert!(row.chars().count() <= 80, "wider than 80 columns: {row}");
        assert!(!row.ends_with(' '), "blanks at the end: {row:?}");
    }
    rows
}
