//! `make fit MODEL=file.gguf`: how much memory a model needs, and on which boards it fits with which context.
//!
//! The engine's own plan, made on the PC; the files' sizes and the boards' memory as the kernel counts them.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::AtomicU32;

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{BLOCK_BYTES, DESCRIPTOR_BYTES};
use barellama_abi::outcome::Outcome;
use barellama_abi::syscall::{CallError, EmitKind, Phase};
use barellama_engine::compute::linear::{Arithmetic, RowLayout};
use barellama_engine::kernel_calls::{Kernel, Work};
use barellama_engine::kernels::{Fetch, Interleaving};
use barellama_engine::prepare::{Prepared, prepare};

const MIB: u64 = 1 << 20;
/// Kernel and engine, by `/mem` on the Pi 4 in QEMU (`make bench ONLY=boot`).
const KERNEL_BYTES: u64 = 7639 << 10;
/// The same with the parts of 2 MiB blocks that nothing else can use, on a board whose model comes from the card.
const KERNEL_BLOCKS_BYTES: u64 = 8 * MIB;
/// The engine's tables of a file: an index over its keys, tensors and tokens. TinyLlama's take 1.3 MiB in QEMU.
const TABLES_BYTES: u64 = 13 * MIB / 10;
/// The Arm's memory, in MiB: with `gpu_mem=16`, as barellama's config.txt asks for, and in QEMU, which gives the VideoCore 64 MiB.
const BOARDS: [(&str, u64); 8] = [
    ("Zero 2 W, 3A+ (512 MB)", 496),
    ("3B, 3B+, 4 (1 GB)", 1008),
    ("4 (2 GB)", 2032),
    ("4 (4 GB)", 4016),
    ("4 (8 GB)", 8112),
    ("QEMU raspi3ap", 448),
    ("QEMU raspi3b", 960),
    ("QEMU raspi4b", 1984),
];

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("which model? make fit MODEL=file.gguf");
        return ExitCode::FAILURE;
    }
    for path in paths {
        let shown = std::fs::read(&path).map_err(Box::from).and_then(|file| show(&path, &file));
        if let Err(error) = shown {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn show(path: &str, file: &[u8]) -> Result<(), Box<dyn Error>> {
    // A terabyte holds every plan: this one tells what the model's own context takes.
    let whole = plan(file, 1 << 40)?;
    let region = (file.len() as u64).next_multiple_of(BLOCK_BYTES) + DESCRIPTOR_BYTES;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    println!("{path}: {:.1} MB", megabytes(file.len() as u64));
    for area in &whole.plan.areas {
        println!("  {:<12} {:>8.1} MB", area.name, megabytes(area.bytes));
    }
    let all = file.len() as u64 + whole.plan.used_bytes + KERNEL_BYTES;
    println!("  in all with kernel and engine {:.1} MB at {} tokens", megabytes(all), whole.plan.context);
    for (board, mib) in BOARDS {
        let arena = (mib * MIB).saturating_sub(region + KERNEL_BLOCKS_BYTES);
        let verdict = match plan(file, arena) {
            _ if arena == 0 => "no: the file alone is too large".to_owned(),
            Ok(prepared) => format!("{} tokens", prepared.plan.context),
            Err(error) => format!("no: {error}"),
        };
        println!("  {board:<24} {mib:>5} MiB  {verdict}");
    }
    Ok(())
}

fn plan(file: &[u8], arena_bytes: u64) -> Result<Prepared<'_>, String> {
    let boot =
        BootInfo { model_file_bytes: file.len() as u64, arena_bytes, cores: 4, sessions: 1, ..BootInfo::default() };
    prepare(
        &Nothing,
        &boot,
        file,
        Arithmetic::Product,
        RowLayout::Interleaved(Interleaving::Rows, Fetch::Core),
        &|| TABLES_BYTES,
    )
}

/// A kernel under a plan: it is told about progress and asked for nothing.
struct Nothing;

impl Kernel for Nothing {
    fn wait_for_work(&self) -> Result<Work, CallError> {
        Err(CallError::NotAllowed)
    }

    fn poll_for_work(&self) -> Result<Work, CallError> {
        Err(CallError::WouldBlock)
    }

    fn read_request(&self, _: Work, _: &mut Vec<u8>) {}

    fn control(&self, _: usize) -> u32 {
        0
    }

    fn emit(&self, _: u32, _: EmitKind, _: &[u8]) {}

    fn clock_ns(&self) -> u64 {
        0
    }

    fn progress(&self, _: u32, _: Phase, _: u64, _: u64) {}

    fn finish(&self, _: u32, _: &Outcome) {}

    fn seal(&self, _: usize) -> Result<(), CallError> {
        Err(CallError::NotAllowed)
    }

    fn park(&self, _: &AtomicU32, _: u32) {}

    fn wake(&self, _: u32) {}
}
