//! The storage against a card and file systems made in memory.

mod corruption;
mod directories;
mod fake_card;
mod images;
mod loading;
mod partitions;
mod reading;
mod starting;
mod whole_way;
