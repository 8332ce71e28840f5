//! `make bench`: the figures of the README, measured in QEMU. `make bench ONLY=speed` measures one topic.
//!
//! Instructions are counted by the guest's own clock, which under `-icount shift=0,sleep=off` advances one nanosecond with each
//! executed instruction of any core; with one computing core the others sleep and count nothing. Nothing here fails on a figure.

mod boot;
mod card;
mod cores;
mod count;
mod cycles;
mod elf;
mod machines;
mod mcp;
mod plugin;
mod response;
mod restart;
mod row;
mod sessions;
mod speed;
mod tinyllama;

use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;
/// A name for `ONLY=`, and what prints its figures.
type Topic = (&'static str, fn() -> Outcome);

/// What can be measured alone, in the order of the output. Each topic has a file.
const TOPICS: [Topic; 9] = [
    ("boot", boot::measure),
    ("speed", speed::measure),
    ("cores", cores::measure),
    ("cycles", cycles::measure),
    ("sessions", sessions::measure),
    ("restart", restart::measure),
    ("card", card::measure),
    ("mcp", mcp::measure),
    ("response", response::measure),
];

fn main() -> Outcome {
    let only: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = only.iter().find(|name| TOPICS.iter().all(|(topic, _)| topic != name)) {
        let names = TOPICS.map(|(topic, _)| topic).join(", ");
        return Err(format!("there is no topic {unknown:?}; the topics are: {names}").into());
    }
    for (topic, measure) in TOPICS {
        if only.is_empty() || only.iter().any(|name| name == topic) {
            measure().map_err(|error| format!("{topic}: {error}"))?;
        }
    }
    Ok(())
}
