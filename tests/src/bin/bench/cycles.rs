//! Cycles per block of 32 weights in the hot loops, as llvm-mca estimates them from the engine's machine code.
//!
//! An estimate of the processor alone: no cache, no memory. Loops are found in the functions that the kernels are: the innermost
//! ones that multiply. One turn of a loop multiplies 32 weights (or several times as many) of eight rows.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::elf::read_engine;

const OBJDUMP: &str = "llvm-objdump-19";
const MCA: &str = "llvm-mca-19";
/// Processors of the Pi 3, 4 and 5. For the A76 it is the Neoverse N1, which is the same core: what llvm-mca 19 has for
/// `cortex-a76` is the model of the A57.
const PROCESSORS: [&str; 3] = ["cortex-a53", "cortex-a72", "neoverse-n1"];
const ITERATIONS: f64 = 100.0;
/// Rows that one turn of a loop multiplies.
const ROWS: f64 = 8.0;

/// An instruction: where it lies, its text, where it may jump to.
struct Instruction {
    address: u64,
    text: String,
    target: Option<u64>,
}

/// Prints the table.
pub fn measure() -> Outcome {
    println!(
        "| kernel | loop | instructions per block | {} |",
        PROCESSORS.map(|name| format!("cycles per block, {name}")).join(" | ")
    );
    println!("|---|---|---|---|---|---|");
    for (kernel, code) in kernels()? {
        for body in innermost_loops(&code) {
            let Some(blocks) = blocks_of_eight_rows(body) else { continue };
            let per_block = |count: f64| count / (blocks * ROWS);
            let uses_dot_products = body.iter().any(|one| one.text.starts_with("sdot"));
            let cycles = PROCESSORS.map(|processor| {
                if uses_dot_products && processor != "neoverse-n1" {
                    return Ok("-".to_owned());
                }
                cycles(body, processor).map(|cycles| format!("{:.2}", per_block(cycles)))
            });
            let cycles = cycles.into_iter().collect::<Result<Vec<_>, Box<dyn Error>>>()?;
            let instructions = per_block(body.len() as f64);
            println!("| {kernel} | {} | {instructions:.2} | {} |", kind(body), cycles.join(" | "));
        }
    }
    Ok(())
}

/// The functions of the kernels, by a short name.
fn kernels() -> Result<BTreeMap<String, Vec<Instruction>>, Box<dyn Error>> {
    let listing = read_engine(OBJDUMP, &["--disassemble", "--demangle", "--no-show-raw-insn"])?;
    let mut kernels: BTreeMap<String, Vec<Instruction>> = BTreeMap::new();
    let mut current = None;
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            current = short_name(name);
        } else if let (Some(name), Some(instruction)) = (&current, instruction(line)) {
            kernels.entry(name.clone()).or_default().push(instruction);
        }
    }
    if kernels.is_empty() {
        return Err("there are no kernels in the engine".into());
    }
    Ok(kernels)
}

/// `Q4_0` and `Q4_0 sdot` of the products' long names.
fn short_name(function: &str) -> Option<String> {
    let (path, block) = function.strip_suffix('>')?.split_once("::product::<")?;
    let format = block.rsplit("::").next()?;
    let is_kernel = path.contains("kernels::neon");
    let suffix = if block.contains("::dot::") { " sdot" } else { "" };
    is_kernel.then(|| format!("{format}{suffix}"))
}

/// `  41217c: ldr x0, [x1]` or `  412180: b.ne 0x41217c <...>`.
fn instruction(line: &str) -> Option<Instruction> {
    let (address, text) = line.trim_start().split_once(':')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let text = text.trim().replace('\t', " ");
    let is_branch = ["b", "b.", "cb", "tb"].iter().any(|name| text.starts_with(name)) && text.contains(" <");
    let target = text.split(" <").next().and_then(|text| text.rsplit("0x").next()).filter(|_| is_branch);
    Some(Instruction { address, target: target.and_then(|hex| u64::from_str_radix(hex, 16).ok()), text })
}

/// Stretches that end with a jump back to their start and have no such stretch inside.
fn innermost_loops(code: &[Instruction]) -> Vec<&[Instruction]> {
    let mut loops: Vec<&[Instruction]> = Vec::new();
    for (end, last) in code.iter().enumerate() {
        let Some(target) = last.target.filter(|target| *target <= last.address) else { continue };
        let Some(start) = code.iter().position(|one| one.address == target) else { continue };
        let holds = |one: &&[Instruction]| one.first().is_some_and(|first| first.address >= target);
        if !loops.iter().any(holds) {
            loops.push(&code[start..=end]);
        }
    }
    loops
}

/// How many blocks of 32 weights of eight rows a loop multiplies; none if it does something else.
fn blocks_of_eight_rows(body: &[Instruction]) -> Option<f64> {
    let count = |is_one: fn(&str) -> bool| body.iter().filter(|one| is_one(&one.text)).count() as f64;
    // Eight products each in 16-bit lanes (those in 32-bit lanes multiply sums with scales), or 16.
    let narrow =
        count(|text| (text.starts_with("smull") || text.starts_with("smlal")) && first_operand(text).ends_with(".8h"));
    let blocks = narrow / 32.0 + count(|text| text.starts_with("sdot")) / 16.0;
    (blocks >= 1.0).then_some(blocks)
}

/// What an instruction writes.
fn first_operand(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}

/// A loop over tokens puts its sums back; one over blocks keeps those of its token in registers.
fn kind(body: &[Instruction]) -> &'static str {
    if body.iter().any(|one| one.text.starts_with("st") && !one.text.contains("[sp")) { "gemm" } else { "gemv" }
}

/// llvm-mca's cycles of one turn.
fn cycles(body: &[Instruction], processor: &str) -> Result<f64, Box<dyn Error>> {
    let mut text = String::from("turn:\n");
    for one in body {
        let words = one.text.split(" <").next().unwrap_or_default();
        let words = match (one.target, words.rfind("0x")) {
            (Some(_), Some(at)) => format!("{}turn", &words[..at]),
            _ => words.to_owned(),
        };
        text.push_str(&words);
        text.push('\n');
    }
    let mut child = Command::new(MCA)
        .args(["--march=aarch64", &format!("--mcpu={processor}"), "--instruction-info=0"])
        .args(["--resource-pressure=0", &format!("--iterations={ITERATIONS}"), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{MCA}: {error}; run `make setup`"))?;
    child.stdin.take().ok_or("no input")?.write_all(text.as_bytes())?;
    let report = String::from_utf8(child.wait_with_output()?.stdout)?;
    let total = report.lines().find_map(|line| line.strip_prefix("Total Cycles:")).ok_or("llvm-mca told no cycles")?;
    Ok(total.trim().parse::<f64>()? / ITERATIONS)
}
