//! QEMU's `virt` machine with a GICv2, for processors that no Pi machine of QEMU has: addresses and wiring.
//!
//! ```text
//! 0800_0000  GIC distributor    0801_0000  GIC core interface    0900_0000  PL011    1000_0000  PCI    4000_0000  RAM
//! ```
//! hw/arm/virt.c. There is no VideoCore: RAM and cores come from the device tree. A card may be behind an `sdhci-pci`, if PCI's
//! configuration space is among the low addresses (`-M virt,highmem-ecam=off`).

use super::common;
use crate::drivers::gic400::Gic400;
use crate::drivers::nothing::Nothing;
use crate::drivers::pci::{self, Bus0};
use crate::drivers::pl011::Pl011;
use crate::drivers::psci::Psci;
use crate::drivers::sdhci::{MmioBus, Sdhci, SdhciSettings};
use crate::memory;
use barellama_abi::layout::CORES_MAX;
use barellama_arch::boot::BootFacts;
use barellama_arch::psci::Conduit;
use barellama_arch::{mmu, timer};
use barellama_kernel::platform::{Machine, MemoryClaims, PhysicalRange};
use barellama_storage::SdHost;
use heapless::Vec;
use spin::Once;
use static_cell::StaticCell;

const INTERRUPT_DISTRIBUTOR: u64 = 0x0800_0000;
const INTERRUPT_CORE_INTERFACE: u64 = 0x0801_0000;
const UART: u64 = 0x0900_0000;
const UART_CLOCK_HZ: u32 = 24_000_000;
/// SPI 1.
const UART_INTERRUPT: u32 = 32 + 1;
const PAGE: u64 = 4096;
const BAUD: u32 = 115_200;
const RAM_START: u64 = 0x4000_0000;
/// Where RAM ends at the latest (VIRT_HIGH_GIC_REDIST2 begins there): the tree must lie below.
const RAM_END_MAX: u64 = 0x40_0000_0000;
/// What the machine has unless `-m` says otherwise; taken if there is no tree.
const RAM_DEFAULT_BYTES: u64 = 128 << 20;
/// Where devices on PCI appear, at the same addresses on the bus (VIRT_PCIE_MMIO).
const PCI_WINDOW: u32 = 0x1000_0000;
const EXCEPTION_LEVEL_2: u64 = 2;

struct Drivers {
    console: Pl011,
    interrupts: Gic400,
    psci: Psci,
}

static DRIVERS: Once<Drivers> = Once::new();
static SLOT: StaticCell<Sdhci<MmioBus>> = StaticCell::new();

/// Brings up the console and gathers what the kernel has to know. `None` only if the device registers cannot be mapped.
pub(super) fn machine(facts: &BootFacts) -> Option<Machine> {
    let drivers = drivers(facts)?;
    common::report_to(&drivers.console);
    drivers.console.start(UART_CLOCK_HZ, BAUD);
    common::end_after_report(&drivers.psci);

    let where_the_tree_may_be = [PhysicalRange { start: RAM_START, bytes: RAM_END_MAX - RAM_START }];
    let mut reserved = Vec::new();
    let (tree, device_tree) = common::read_device_tree(facts.argument, &where_the_tree_may_be, &mut reserved);
    let tree_bytes = memory::total_bytes(&tree.ram);
    let mut ram = tree.ram;
    if ram.is_empty() {
        common::say(format_args!("There is no device tree at {:#x}: 128 MiB are taken for granted.\n", facts.argument));
        // An empty list has room.
        let _ = ram.push(PhysicalRange { start: RAM_START, bytes: RAM_DEFAULT_BYTES });
    }
    let placed_file = tree.placed_file.filter(|file| memory::contains(&ram, file.start, file.bytes));
    Some(Machine {
        name: "QEMU virt",
        cores: tree.cores.clamp(1, CORES_MAX),
        chip_stepping: None,
        ram,
        reserved,
        memory_claims: MemoryClaims { tree_bytes: (tree_bytes != 0).then_some(tree_bytes), ..MemoryClaims::default() },
        console_address: UART,
        reference_clock: None,
        placed_file,
        device_tree,
        watchdog: None,
        is_emulator: true,
        console: &drivers.console,
        interrupts: &drivers.interrupts,
        firmware: &Nothing,
        power: &drivers.psci,
        led: &Nothing,
        core_starter: &drivers.psci,
        sd_hosts: tree.pci_configuration.and_then(sd_host).into_iter().collect(),
    })
}

/// The SD controller behind PCI, if there is one.
fn sd_host(configuration: PhysicalRange) -> Option<&'static mut dyn SdHost> {
    if configuration.bytes < pci::BUS_BYTES {
        return None;
    }
    let address = mmu::map_device(configuration.start, pci::BUS_BYTES).ok()?;
    // SAFETY: `map_device` mapped the configuration of bus 0 for good, where the tree says; this is called once, at boot.
    let mut bus = unsafe { Bus0::new(address) };
    let is_there = pci::place_sd_host(&mut bus, PCI_WINDOW);
    if !is_there {
        return None;
    }
    Some(SLOT.init(common::sd_host(PCI_WINDOW.into(), SdhciSettings::pci())?))
}

fn drivers(facts: &BootFacts) -> Option<&'static Drivers> {
    let distributor = mmu::map_device(INTERRUPT_DISTRIBUTOR, PAGE).ok()?;
    let core_interface = mmu::map_device(INTERRUPT_CORE_INTERFACE, PAGE).ok()?;
    let uart = mmu::map_device(UART, PAGE).ok()?;
    // With `virtualization=on` EL2 is the kernel's own, and PSCI lies above it.
    let conduit = if facts.entry_level == EXCEPTION_LEVEL_2 { Conduit::SecureMonitor } else { Conduit::Hypervisor };
    Some(DRIVERS.call_once(|| {
        // SAFETY: `map_device` mapped each chip's registers, at the machine's addresses; devices are never unmapped, and
        // `call_once` makes one driver of each.
        unsafe {
            Drivers {
                console: Pl011::new(uart),
                interrupts: Gic400::new(distributor, core_interface, timer::INTERRUPT_ID, UART_INTERRUPT),
                psci: Psci::new(conduit, true),
            }
        }
    }))
}
