//! What the kernel's ELF must not contain: vector instructions and the GGUF reader.
//!
//! The kernel saves no vector registers at an interrupt, so one instruction on them would change the engine's values. It may
//! only zero them (`movi vN.2d, #0`), which it does before the engine starts.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

const DISASSEMBLERS: [&str; 3] = ["llvm-objdump-19", "llvm-objdump", "rust-objdump"];
/// Part of the mangled name of everything in the crate `barellama-gguf`.
const GGUF_MARK: &str = "barellama_gguf";
/// How many offenders are listed.
const LISTED_MAX: usize = 10;

/// Why the check failed.
#[derive(Debug, Error)]
pub enum KernelError {
    /// No disassembler is installed.
    #[error("none of {DISASSEMBLERS:?} is installed; run `make setup`")]
    NoDisassembler,
    /// The disassembler failed.
    #[error("{path}: {message}")]
    Disassembler {
        /// The kernel.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// The file has no code: the check would prove nothing.
    #[error("{0}: no instruction was found")]
    Empty(PathBuf),
    /// The kernel uses vector registers.
    #[error("the kernel has {count} instructions on vector registers, for example:\n{examples}")]
    Vector {
        /// How many.
        count: usize,
        /// The first of them.
        examples: String,
    },
    /// The kernel holds the GGUF reader.
    #[error("the kernel has symbols of the GGUF reader:\n{0}")]
    Gguf(String),
}

/// Checks a kernel's ELF file.
///
/// # Errors
/// [`KernelError`] with the first offenders.
pub fn check(path: &Path) -> Result<String, KernelError> {
    let listing = objdump(path, &["--disassemble", "--no-show-raw-insn"])?;
    let instructions = listing.lines().filter(|line| instruction(line).is_some()).count();
    if instructions == 0 {
        return Err(KernelError::Empty(path.to_owned()));
    }
    let offenders = listing.lines().filter(|line| instruction(line).is_some_and(touches_vectors)).collect::<Vec<_>>();
    if !offenders.is_empty() {
        let examples = offenders.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join("\n");
        return Err(KernelError::Vector { count: offenders.len(), examples });
    }
    let symbols = objdump(path, &["--syms"])?;
    let readers = symbols.lines().filter(|line| line.contains(GGUF_MARK)).take(LISTED_MAX).collect::<Vec<_>>();
    if !readers.is_empty() {
        return Err(KernelError::Gguf(readers.join("\n")));
    }
    Ok(format!("{instructions} instructions, none on a vector register; no symbol of the GGUF reader"))
}

fn objdump(path: &Path, arguments: &[&str]) -> Result<String, KernelError> {
    for name in DISASSEMBLERS {
        let output = match Command::new(name).args(arguments).arg(path).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(KernelError::Disassembler { path: path.to_owned(), message: error.to_string() }),
            Ok(output) => output,
        };
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(KernelError::Disassembler { path: path.to_owned(), message });
        }
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(KernelError::NoDisassembler)
}

/// Mnemonic and operands of a line of the listing such as `   80000: \tmrs\tx0, MPIDR_EL1 <sym>`.
fn instruction(line: &str) -> Option<&str> {
    let (address, rest) = line.split_once(':')?;
    let address = address.trim();
    let is_address = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    let rest = rest.trim();
    // The listing marks constants between the instructions by `.word` and the like.
    let is_instruction = !rest.is_empty() && !rest.starts_with('<') && !rest.contains("\t.");
    (is_address && is_instruction).then_some(rest)
}

fn touches_vectors(instruction: &str) -> bool {
    let (mnemonic, operands) = instruction.split_once(char::is_whitespace).unwrap_or((instruction, ""));
    let operands = operands.split(['<', '/']).next().unwrap_or_default();
    if mnemonic == "movi" && operands.trim_end().ends_with("#0x0") | operands.trim_end().ends_with("#0000000000000000")
    {
        return false;
    }
    operands.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').any(is_vector_register)
}

fn is_vector_register(word: &str) -> bool {
    let mut characters = word.chars();
    let is_kind = matches!(characters.next(), Some('v' | 'q' | 'd' | 's' | 'h' | 'b' | 'z'));
    let number = characters.as_str();
    let is_number = !number.is_empty() && number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_kind && is_number && number.parse::<u8>().is_ok_and(|number| number < 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_instructions_are_found() {
        for line in
            ["  80004: \tldr\tq0, [x1]", "80: fmov\td8, x0", "80:\tadd\tv1.4s, v2.4s, v3.4s", "80:\tstr\tb31, [sp]"]
        {
            assert!(touches_vectors(instruction(line).unwrap()), "{line}");
        }
    }

    #[test]
    fn integer_instructions_and_zeroing_pass() {
        for line in [
            "  80004: \tldr\tx0, [x1, #0xd8]",
            "80:\tmsr\tS3_1_C15_C2_1, x0",
            "80:\tb\t0x84 <d8+0x4>",
            "80:\tmovi\tv0.2d, #0000000000000000",
            "80:\tmovi\td1, #0000000000000000",
            "80:\t<unknown>",
            "80: 19 35 19 b5  \t.word\t0xb5193519",
            "80:\tbl\t0xffffff8000d8d8d8 <_ZN2s1E>",
        ] {
            assert!(!instruction(line).is_some_and(touches_vectors), "{line}");
        }
    }

    #[test]
    fn headings_are_no_instructions() {
        assert_eq!(instruction("0000000000080000 <_start>:"), None);
        assert_eq!(instruction("kernel8:\tfile format elf64-littleaarch64"), None);
        assert_eq!(instruction(""), None);
    }
}
