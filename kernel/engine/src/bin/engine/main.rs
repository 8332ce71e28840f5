//! The program that runs at EL0: enters on every core, maps the library onto system calls and planned memory.
#![no_std]
#![no_main]

extern crate alloc;

mod calls;
mod heap;
mod memory;
mod panic;

use barellama_abi::boot_info::BootInfo;
use barellama_engine::compute::linear::{Arithmetic, RowLayout};
use barellama_engine::compute::team::{Crew, Team};
use barellama_engine::interleave;
use barellama_engine::kernels::{Fetch, Interleaving};
use barellama_engine::machine::Machine;
use barellama_engine::prepare::{self, Prepared, area};
use barellama_engine::{serve, template};

use crate::calls::Syscalls;
use crate::heap::HEAP;
use crate::memory::Memory;

/// All cores. The kernel starts the engine with zeroed and restored data, so this is fresh after every restart.
static TEAM: Team = Team::new(barellama_abi::layout::CORES_MAX);

barellama_el0::entry!(enter);

/// Every core comes here with its index.
extern "C" fn enter(core: usize) -> ! {
    if core == 0 {
        run_model();
    } else {
        TEAM.work(&Syscalls, core, &|| true);
    }
    panic!("a core of the engine has nothing left to do");
}

/// Core 0: prepares the model and serves requests.
fn run_model() {
    let memory = Memory::take();
    let boot = *memory.boot();
    match prepared(&boot, &memory) {
        Ok(prepared) => serve_model(&prepared, &memory, boot.cores as usize),
        Err(why) => serve::refuse_all(&Syscalls, &why),
    }
}

/// Interleaves, checks and plans the model; reports and seals it. What a previous run sealed is checked and planned alone.
fn prepared<'m>(boot: &BootInfo, memory: &'m Memory) -> Result<Prepared<'m>, alloc::string::String> {
    HEAP.start(memory.arena_start(), boot.arena_bytes);
    let heap_bytes = || HEAP.extent();
    let order = Interleaving::for_processor(boot.id_aa64isar0_el1);
    let layout = RowLayout::Interleaved(order, Fetch::for_processor(boot.midr_el1));
    if !boot.model_is_sealed {
        let crew = Crew { team: &TEAM, kernel: &Syscalls, cores: boot.cores as usize };
        memory.with_arriving_file(|file| interleave::interleave_weights(&crew, order, file))?;
    }
    let file = memory.model_file();
    let mut prepared = prepare::prepare(&Syscalls, boot, file, Arithmetic::Product, layout, &heap_bytes)?;
    if boot.model_is_sealed {
        prepare::check_sealed(&prepared, memory.sealed_descriptor())?;
    } else {
        memory.with_descriptor(|descriptor| prepare::seal(&Syscalls, &prepared, descriptor))?;
    }
    prepared.memory = template::Memory::new(|| HEAP.left());
    Ok(prepared)
}

fn serve_model(prepared: &Prepared<'_>, memory: &Memory, cores: usize) {
    let heap = prepared.plan.areas.iter().find(|area| area.name == area::HEAP).map_or(0, |area| area.bytes);
    HEAP.limit_to(heap);
    match Machine::new(&Syscalls, &TEAM, cores, prepared, memory.arena_behind(heap)) {
        Some(mut machine) => serve::serve(&mut machine, prepared),
        None => serve::refuse_all(&Syscalls, "the arena is smaller than its plan"),
    }
}
