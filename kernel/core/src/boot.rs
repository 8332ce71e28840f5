//! The order of things from the recognised board to the prompt. Read it like a list of contents.

use barellama_arch::boot::BootFacts;
use barellama_arch::{canary, cores, interrupts, mmu, probe, registers, timer};
use barellama_shell::report::{self, BannerFacts};
use static_cell::StaticCell;

use crate::autorun::Autorun;
use crate::bench::Bench;
use crate::console::Console;
use crate::engine::memory::{EngineMemory, MemoryError};
use crate::engine::worker;
use crate::facts::{MachineFacts, processor_name};
use crate::kernel_loop::Kernel;
use crate::led::Light;
use crate::lifecycle::Lifecycle;
use crate::loading::Loading;
use crate::mcp::Mcp;
use crate::memory_plan::FreeMemory;
use crate::payload::{EngineImage, PayloadError};
use crate::platform::{Clock, Machine, PhysicalRange};
use crate::requests::RequestTable;
use crate::serial::{self, SerialWriter};
use crate::turns::Turns;
use crate::verification::Verification;
use crate::{heap, interrupt, last_run, logging, protection};

/// How long the other cores have to come up. They need microseconds; an emulator whose host is busy may need much more.
const CHECK_IN_NS: u64 = 5_000_000_000;

/// Too large for a stack.
static KERNEL: StaticCell<Kernel> = StaticCell::new();

/// Why the engine cannot be run at all.
enum NoEngine {
    /// The image holds none.
    Payload(PayloadError),
    /// It does not fit.
    Memory(MemoryError),
}

/// Takes the machine over; never returns. Called once on core 0, with the final tables in use and interrupts masked.
pub fn start(machine: Machine, facts: &BootFacts) -> ! {
    let watchdog = machine.watchdog;
    let kernel = set_up(machine, facts);
    kernel.test_at_boot();
    interrupt::watch(watchdog, kernel.facts.cores);
    kernel.run()
}

/// Everything up to the prompt. Not part of [`start`], whose frame stays on the stack for good: half of the stack would be lost to
/// what is only needed to put the kernel together.
#[inline(never)]
fn set_up(mut machine: Machine, facts: &BootFacts) -> &'static mut Kernel {
    heap::start();
    logging::start();
    canary::plant();
    probe::write_guard_words(0);
    let serial = serial::start(machine.console);
    interrupt::start(machine.interrupts);
    let light = Light::new(machine.led);
    let arm_hz = machine.firmware.raise_arm_clock();
    let core_count = start_cores(&machine);
    let console = Console::new(SerialWriter(serial));
    let mut free = plan_memory(&machine);
    let engine = map_engine(&mut free);
    protection::note(0);
    last_run::reboot_after_faults(machine.power);
    interrupts::enable();

    let machine_facts = MachineFacts::new(&machine, core_count, facts, arm_hz);
    print_banner(&machine_facts, &console);
    let hosts = core::mem::take(&mut machine.sd_hosts);
    let (memory, problem) = match engine {
        Ok(memory) => (Some(memory), None),
        Err(problem) => (None, Some(problem)),
    };
    let kernel = KERNEL.init_with(|| Kernel {
        loading: Loading::new(hosts, free, machine.placed_file),
        engine: Lifecycle::new(memory, core_count, machine_facts.is_emulator),
        facts: machine_facts,
        serial,
        console,
        requests: RequestTable::new(),
        bench: Bench::new(),
        verification: Verification::new(),
        mcp: Mcp::new(),
        autorun: Autorun::new(),
        light,
        next_check_ns: 0,
        turns: Turns::new(),
    });
    match problem {
        Some(NoEngine::Payload(error)) => kernel.say(format_args!("{error}.")),
        Some(NoEngine::Memory(error)) => kernel.say(format_args!("The engine could not be set up: {error}.")),
        None => {}
    }
    kernel.tell_last_run();
    logging::keep_boot();
    kernel.open_console();
    log::info!("kernel entry to prompt: {} us", timer::now_ns() / 1000);
    kernel
}

/// Starts the other cores; returns how many cores there are then.
fn start_cores(machine: &Machine) -> usize {
    let entry = cores::prepare_secondaries(worker::run);
    let mut count = 1;
    for core in 1..machine.cores {
        let is_up = machine.core_starter.start(core, entry) && cores::wait_for_check_in(core, CHECK_IN_NS);
        if !is_up {
            log::error!("core {core} did not start");
            break;
        }
        count += 1;
    }
    count
}

/// RAM without what is taken: firmware, device tree, kernel, the placed file.
fn plan_memory(machine: &Machine) -> FreeMemory {
    let (start, bytes) = mmu::kernel_physical_range();
    let mut reserved = machine.reserved.clone();
    // The machine leaves room in its list for these two.
    let _ = reserved.push(PhysicalRange { start, bytes });
    if let Some(file) = machine.placed_file {
        let _ = reserved.push(file);
    }
    match FreeMemory::new(&machine.ram, &reserved) {
        Ok(free) => free,
        Err(error) => panic!("memory: {error}"),
    }
}

fn map_engine(free: &mut FreeMemory) -> Result<EngineMemory, NoEngine> {
    let window = mmu::payload().ok_or(NoEngine::Payload(PayloadError::NoPayload))?;
    let image = EngineImage::parse(window).map_err(NoEngine::Payload)?;
    EngineMemory::map(image, free).map_err(NoEngine::Memory)
}

fn print_banner(facts: &MachineFacts, console: &Console) {
    let boot = &facts.boot;
    let banner = BannerFacts {
        version: env!("CARGO_PKG_VERSION"),
        board: facts.name,
        processor: processor_name(boot.midr),
        cores: facts.cores,
        arm_hz: facts.arm_asked_hz.or_else(|| facts.firmware.clock_hz(Clock::Arm)),
        ram_bytes: facts.ram_bytes,
        baud: console.settings.baud,
        has_watchdog: facts.has_watchdog,
        is_emulator: facts.is_emulator,
    };
    let mut out = console.out;
    // The serial line takes everything.
    let _ = report::banner(&banner, &mut out);
    log::info!("loaded at {:#x}, entered at EL{}, MIDR {:#x}", boot.load_address, boot.entry_level, boot.midr);
    log::info!(
        "last reset: {}, PAN: {}",
        facts.power.reset_cause().name(),
        protection::pan_name(registers::privileged_access_never())
    );
}
