//! What every machine does on its way to a [`barellama_kernel::platform::Machine`].

use crate::device_tree::{self, TreeFacts};
use crate::drivers::bcm2835_dma::CHANNEL_BYTES;
use crate::drivers::pl011::Pl011;
use crate::drivers::sdhci::{DmaBuffers, KernelServices, MmioBus, Sdhci, SdhciSettings};
use crate::memory;
use barellama_arch::{cache, exceptions, mmu, timer, translate};
use barellama_kernel::platform::{Console, EXTENTS_MAX, PhysicalRange, Power};
use core::fmt::Write;
use heapless::Vec;
use spin::Once;
use static_cell::ConstStaticCell;

/// Lists leave this many places for the kernel's own entries.
const PLACES_KEPT: usize = 2;
const STATUS_KERNEL_FAULT: u32 = 101;

/// Bytes of registers that a controller's mapping has at least.
const PAGE: u64 = 4096;

/// What SD controllers need of the kernel.
pub(super) const KERNEL_SERVICES: KernelServices = KernelServices {
    now_ns: timer::now_ns,
    physical: translate::contiguous_physical,
    clean: cache::clean,
    clean_invalidate: cache::clean_invalidate,
};
/// For the one controller of a machine that has DMA.
static DMA_BUFFERS: ConstStaticCell<DmaBuffers> = ConstStaticCell::new(DmaBuffers::new());

static REPORT_CONSOLE: Once<&'static Pl011> = Once::new();
static EMULATOR_POWER: Once<&'static dyn Power> = Once::new();

/// Lets reports go to a console, from now on.
pub(super) fn report_to(console: &'static Pl011) {
    REPORT_CONSOLE.call_once(|| console);
    exceptions::set_report_writer(write_report);
    exceptions::set_halt_hook(halt_after_report);
}

/// Lets an emulator end after the report of a kernel fault; without it the core only stops.
pub(super) fn end_after_report(power: &'static dyn Power) {
    EMULATOR_POWER.call_once(|| power);
}

/// Reads the device tree that the firmware left, if there is one in RAM, and adds what it reserves. Returns where it lies, too.
pub(super) fn read_device_tree(
    address: u64,
    ram: &[PhysicalRange],
    reserved: &mut Vec<PhysicalRange, EXTENTS_MAX>,
) -> (TreeFacts, Option<PhysicalRange>) {
    let Some(bytes) = device_tree_bytes(address, ram) else { return (TreeFacts::default(), None) };
    let place = PhysicalRange { start: address, bytes: bytes as u64 };
    reserve(reserved, place);
    let Ok(Some(tree)) = mmu::with_physical(address, bytes, device_tree::read) else {
        say(format_args!("The device tree at {address:#x} is damaged: ignored.\n"));
        return (TreeFacts::default(), None);
    };
    for range in &tree.reserved {
        reserve(reserved, *range);
    }
    if tree.dropped != 0 {
        say(format_args!("The device tree has {} memory ranges too many.\n", tree.dropped));
    }
    (tree, Some(place))
}

/// Adds a range that is taken.
pub(super) fn reserve(reserved: &mut Vec<PhysicalRange, EXTENTS_MAX>, range: PhysicalRange) {
    if reserved.len() + PLACES_KEPT >= EXTENTS_MAX || reserved.push(range).is_err() {
        say(format_args!("Too many reserved ranges: {:#x} is not kept free.\n", range.start));
    }
}

/// The driver of an SD controller at a physical address. `None` if it cannot be mapped. Each controller gets one driver.
pub(super) fn sd_host(address: u64, settings: SdhciSettings) -> Option<Sdhci<MmioBus>> {
    let address = mmu::map_device(address, PAGE).ok()?;
    let channel = settings.engine.and_then(|engine| mmu::map_device(engine.address, CHANNEL_BYTES as u64).ok());
    // SAFETY: `map_device` mapped the registers for good; each machine asks once for each of its controllers, whose channel is its own.
    let bus = unsafe { MmioBus::new(address, channel, KERNEL_SERVICES) };
    let buffers = settings.reach.and_then(|_| DMA_BUFFERS.try_take());
    Some(Sdhci::new(bus, settings, buffers))
}

/// Writes to the console before the kernel does.
pub(super) fn say(text: core::fmt::Arguments<'_>) {
    // The writer never fails.
    let _ = exceptions::report_writer().write_fmt(text);
}

fn device_tree_bytes(address: u64, ram: &[PhysicalRange]) -> Option<usize> {
    if !memory::contains(ram, address, device_tree::HEADER_BYTES as u64) || !address.is_multiple_of(8) {
        return None;
    }
    let bytes = mmu::with_physical(address, device_tree::HEADER_BYTES, device_tree::length).ok()??;
    memory::contains(ram, address, bytes as u64).then_some(bytes)
}

fn write_report(byte: u8) {
    if let Some(console) = REPORT_CONSOLE.get() {
        console.write_blocking(byte);
    }
}

/// After a report of a kernel fault: the LED stays as it is; an emulator ends with a failure, a board stops until it is reset.
fn halt_after_report() -> ! {
    if let Some(console) = REPORT_CONSOLE.get() {
        console.flush();
    }
    match EMULATOR_POWER.get() {
        Some(power) => power.halt(STATUS_KERNEL_FAULT),
        None => exceptions::stop_core(),
    }
}
