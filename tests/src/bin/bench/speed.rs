//! Executed instructions per token on one core, next to those of llama.cpp built for the same core.
//!
//! The machines are `raspi4b` (Cortex-A72) and `virt` with a Cortex-A76, side by side. Instructions of parked cores are none: they
//! sleep. Each model is booted as the loader places it.

use std::path::{Path, PathBuf};
use std::thread;

use barellama_models::Mix;
use barellama_tests::machine::Setup;
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::count::{Measured, POSITIONS, count};
use crate::tinyllama::{self, Files};

/// What llama.cpp needs, in millions of instructions for a prompt token and for a generated one: built for the same core,
/// counted under QEMU (for which position was not recorded). Nobody counted it for every file.
type Peer = Option<(f64, f64)>;

/// A model file and what the peer needs for it on an A72 and on an A76.
struct Subject {
    name: &'static str,
    peers: [Peer; 2],
    files: Source,
}

enum Source {
    Whole(PathBuf),
    Layers(Files),
}

/// Prints the table.
pub fn measure() -> Outcome {
    let models = artifacts::smollm2();
    let folder = models.parent().unwrap_or(Path::new("."));
    let subjects = [
        subject("SmolLM2 Q4_1", [Some((118.9, 147.0)), Some((93.2, 100.6))], Source::Whole(models.clone())),
        tinyllama("TinyLlama Q4_0", "Q4_0", [Some((876.8, 980.2)), Some((126.9, 306.4))], folder)?,
        tinyllama("TinyLlama Q4_K_M", "Q4_K_M", [Some((844.7, 948.6)), Some((224.3, 425.5))], folder)?,
        tinyllama("TinyLlama Q8_0", "Q8_0", [None, None], folder)?,
    ];
    println!("| file | core | position | prompt token | peer | ratio | generated token | peer | ratio | MB read |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let cores = [("A72", Machine::raspi4b()), ("A76", Machine::virt("cortex-a76"))];
    let mut spread: f64 = 0.0;
    for subject in &subjects {
        let measured = thread::scope(|scope| {
            cores.each_ref().map(|(_, setup)| scope.spawn(|| subject.count(setup))).map(|thread| thread.join())
        });
        for ((measured, (core, _)), peer) in measured.into_iter().zip(&cores).zip(subject.peers) {
            let measured = measured.map_err(|_| "a machine failed")?.map_err(|error| error.to_string())?;
            subject.print(core, peer, &measured)?;
            spread = spread.max(measured.spread);
        }
    }
    let verdict = if spread <= 0.001 { "as they must" } else { "more than the 0.1 % allowed" };
    println!("two runs differ by at most {:.4} %: {verdict}", spread * 100.0);
    Ok(())
}

fn subject(name: &'static str, peers: [Peer; 2], files: Source) -> Subject {
    Subject { name, peers, files }
}

fn tinyllama(
    name: &'static str,
    mix: &str,
    peers: [Peer; 2],
    folder: &Path,
) -> Result<Subject, Box<dyn std::error::Error>> {
    let files = Files::write(mix.parse::<Mix>()?, folder).map_err(|error| error.to_string())?;
    Ok(subject(name, peers, Source::Layers(files)))
}

impl Subject {
    fn count(&self, setup: &Setup) -> Result<Measured, Box<dyn std::error::Error + Send + Sync>> {
        match &self.files {
            Source::Whole(path) => count(setup.clone(), path),
            Source::Layers(files) => files.count(setup),
        }
    }

    fn print(&self, core: &str, peer: Peer, measured: &Measured) -> Outcome {
        for (counts, position) in measured.at.iter().zip(POSITIONS) {
            let [prompt, generated] = [counts.prompt, counts.generated].map(|count| count / 1e6);
            let compared = |ours: f64, peers: Option<f64>| match peers {
                Some(peers) => format!("{ours:.1} M | {peers:.1} M | {:.3}", ours / peers),
                None => format!("{ours:.1} M | not measured | not measured"),
            };
            println!(
                "| {} | {core} | {position} | {} | {} | {:.1} |",
                self.name,
                compared(prompt, peer.map(|peer| peer.0)),
                compared(generated, peer.map(|peer| peer.1)),
                self.bytes_read(position)? as f64 / 1e6,
            );
        }
        Ok(())
    }

    /// Bytes of weights and KV cache that a generated token reads.
    fn bytes_read(&self, position: usize) -> Result<usize, Box<dyn std::error::Error>> {
        match &self.files {
            Source::Whole(path) => tinyllama::bytes_read_by_a_token_of(path, position),
            Source::Layers(files) => {
                let weights = files.weight_bytes().map_err(|error| error.to_string())?;
                Ok(weights + tinyllama::cache_bytes(position))
            }
        }
    }
}
