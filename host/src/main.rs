//! The command line of `barellama`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use barellama::card::{self, CardSize};
use barellama::line::Line;
use barellama::{bridge, checks, console, image};
use clap::{Args, Parser, Subcommand};

/// Host tools of barellama, the bare-metal llama for the Raspberry Pi.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Packs kernel and engine into one kernel8.img.
    Image {
        /// ELF file of the kernel.
        #[arg(long)]
        kernel: PathBuf,
        /// ELF file of the engine.
        #[arg(long)]
        engine: PathBuf,
        /// The image to write.
        #[arg(long)]
        output: PathBuf,
    },
    /// Makes an SD card image: a partition table and one FAT32 partition with the files in its root.
    Card {
        /// The card image to write.
        #[arg(long)]
        output: PathBuf,
        /// Size: `auto`, or a power of two such as 64M or 2G.
        #[arg(long, default_value = "auto")]
        size: CardSize,
        /// Directory with the board's firmware, copied with its subdirectories.
        #[arg(long)]
        firmware: Option<PathBuf>,
        /// Files for the root directory; PATH=NAME gives another name there.
        #[arg(required = true)]
        files: Vec<String>,
    },
    /// Connects this terminal to the board; goes on when the board is reset or the line comes back. Ctrl-] quits.
    #[command(after_long_help = console::EXAMPLES)]
    Console {
        #[command(flatten)]
        line: LineArguments,
        /// File for the board's log, which is shown dimmed between the rows otherwise; `-` for standard error.
        #[arg(long)]
        log: Option<PathBuf>,
    },
    /// Connects an MCP client to the board: messages on standard input and output, everything else on standard error.
    #[command(after_long_help = bridge::EXAMPLES)]
    Mcp {
        #[command(flatten)]
        line: LineArguments,
        /// How many seconds answers may still take when standard input has ended.
        #[arg(long, default_value_t = 1)]
        drain_s: u32,
    },
    /// Checks that the kernel's ELF touches no vector register and holds no part of the GGUF reader.
    CheckKernel {
        /// ELF file of the kernel, with symbols.
        #[arg(long)]
        kernel: PathBuf,
    },
    /// Checks the direction of the dependencies between the crates of this workspace.
    CheckDependencies,
}

/// Where the board's serial line is.
#[derive(Args)]
struct LineArguments {
    #[command(flatten)]
    place: Place,
    /// Bit rate of the serial device, the same as `baud` in the board's barellama.txt.
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
}

/// Exactly one of them.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Serial device, e.g. /dev/ttyUSB0 or /dev/cu.usbserial-0001.
    #[arg(long)]
    port: Option<String>,
    /// HOST:PORT or unix:PATH, for a serial line that a program offers.
    #[arg(long, value_parser = Line::from_address)]
    connect: Option<Line>,
}

impl LineArguments {
    fn into_line(self) -> Result<Line, &'static str> {
        let Self { place, baud } = self;
        let serial = place.port.map(|device| Line::Serial { device, baud });
        place.connect.or(serial).ok_or("either --port or --connect is needed")
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("barellama: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Image { kernel, engine, output } => {
            let summary = image::pack_files(&kernel, &engine, &output)?;
            println!("{}: {summary}", output.display());
        }
        Command::Card { output, size, firmware, files } => {
            let mut entries = files.iter().map(|argument| card::Entry::from_argument(argument)).collect::<Vec<_>>();
            if let Some(directory) = firmware {
                entries.extend(card::directory_entries(&directory)?);
            }
            let card = card::make(&output, size, &entries)?;
            println!("{}: {card}", output.display());
        }
        Command::Console { line, log } => console::run(&line.into_line()?, log.as_deref())?,
        Command::Mcp { line, drain_s } => {
            let drain = Duration::from_secs(drain_s.into());
            bridge::run(&line.into_line()?, drain, std::io::stdin(), &mut std::io::stdout(), &mut std::io::stderr())?;
        }
        Command::CheckKernel { kernel } => println!("{}: {}", kernel.display(), checks::kernel::check(&kernel)?),
        Command::CheckDependencies => println!("{}", checks::dependencies::check()?),
    }
    Ok(())
}
