//! GIC-400: "Arm Generic Interrupt Controller Architecture Specification, version 2.0", Arm IHI 0048.
//!
//! Driven from the non-secure side, where the firmware has put all interrupts into group 1, or from the only side of a controller
//! without security extensions, where all are in group 0 (QEMU). In both, bit 0 of the control registers enables them, as long as
//! nobody writes GICD_IGROUPR.

use crate::drivers::mmio::Mmio;
use barellama_kernel::platform::{Interrupt, InterruptController};
use core::sync::atomic::{Ordering, fence};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// Distributor registers (4.1.2). Word 0 of the per-interrupt arrays is banked per core.
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    DistributorRegisters {
        (0x000 => control: ReadWrite<u32>),
        (0x004 => kind: ReadOnly<u32>),
        (0x008 => _reserved_0),
        (0x100 => set_enable: [ReadWrite<u32>; 32]),
        (0x180 => clear_enable: [ReadWrite<u32>; 32]),
        (0x200 => _reserved_1),
        (0x280 => clear_pending: [ReadWrite<u32>; 32]),
        (0x300 => _reserved_2),
        (0x380 => clear_active: [ReadWrite<u32>; 32]),
        (0x400 => priority: [ReadWrite<u32>; 256]),
        (0x800 => target: [ReadWrite<u32>; 256]),
        (0xC00 => configuration: [ReadWrite<u32>; 64]),
        (0xD00 => _reserved_3),
        (0xF00 => software_interrupt: WriteOnly<u32>),
        (0xF04 => @END),
    }
}

register_structs! {
    /// CPU interface registers (4.1.3).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    CoreRegisters {
        (0x00 => control: ReadWrite<u32>),
        (0x04 => priority_mask: ReadWrite<u32>),
        (0x08 => _reserved_0),
        (0x0C => acknowledge: ReadOnly<u32>),
        (0x10 => end: WriteOnly<u32>),
        (0x14 => @END),
    }
}

/// GICD_CTLR and GICC_CTLR, bit 0.
const ENABLE: u32 = 1;
/// All equal: nothing nests. In the lower-urgency half that the non-secure side owns.
const PRIORITY: u32 = 0xA0A0_A0A0;
const PRIORITY_MASK: u32 = 0xF0;
const TARGET_CORE_0: u32 = 0x0101_0101;
const WAKE: u32 = 0;
const SOFTWARE_INTERRUPTS: u32 = 16;
/// From here on: nothing pending, or not for this side (3.2.3).
const FIRST_SPURIOUS: u32 = 1020;
const ID_MASK: u32 = 0x3FF;

/// A GIC-400.
pub struct Gic400 {
    distributor: Mmio<DistributorRegisters>,
    core: Mmio<CoreRegisters>,
    timer_interrupt: u32,
    console_interrupt: u32,
}

impl Gic400 {
    /// The controller whose distributor and CPU interface appear at these addresses; the interrupts that the kernel knows by name.
    ///
    /// # Safety
    /// The registers are mapped at these addresses for good, and nobody else drives them. `console_interrupt` is below 1020.
    #[must_use]
    pub unsafe fn new(distributor: usize, core: usize, timer_interrupt: u32, console_interrupt: u32) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        let (distributor, core) = unsafe { (Mmio::new(distributor), Mmio::new(core)) };
        Self { distributor, core, timer_interrupt, console_interrupt }
    }

    fn enable(&self, id: u32) {
        if let Some(word) = self.distributor.set_enable.get(id as usize / 32) {
            word.set(1 << (id % 32));
        }
    }

    /// Number of 32-interrupt words that the distributor has (GICD_TYPER.ITLinesNumber, 4.3.2).
    fn words(&self) -> usize {
        ((self.distributor.kind.get() & 0x1F) + 1) as usize
    }

    /// Brings the interrupts of one word to a known state: off, idle, of the one priority.
    fn reset_word(&self, word: usize) {
        let distributor = &self.distributor;
        let registers = [&distributor.clear_enable, &distributor.clear_pending, &distributor.clear_active];
        for register in registers.into_iter().filter_map(|array| array.get(word)) {
            register.set(u32::MAX);
        }
        for priority in distributor.priority.iter().skip(word * 8).take(8) {
            priority.set(PRIORITY);
        }
    }
}

impl InterruptController for Gic400 {
    fn start(&self) {
        self.distributor.control.set(0);
        for word in 1..self.words() {
            self.reset_word(word);
            for target in self.distributor.target.iter().skip(word * 8).take(8) {
                target.set(TARGET_CORE_0);
            }
            // Level-sensitive.
            for configuration in self.distributor.configuration.iter().skip(word * 2).take(2) {
                configuration.set(0);
            }
        }
        self.distributor.control.set(ENABLE);
    }

    fn start_core(&self, core: usize) {
        self.reset_word(0);
        self.enable(WAKE);
        self.enable(self.timer_interrupt);
        self.core.priority_mask.set(PRIORITY_MASK);
        self.core.control.set(ENABLE);
        if core == 0 {
            self.enable(self.console_interrupt);
        }
    }

    /// The token is the whole value of GICC_IAR: for software interrupts it names the sender, and GICC_EOIR wants it back (4.4.4).
    fn acknowledge(&self) -> Option<(Interrupt, u32)> {
        let token = self.core.acknowledge.get();
        let interrupt = match token & ID_MASK {
            FIRST_SPURIOUS.. => return None,
            id if id == self.timer_interrupt => Interrupt::Timer,
            id if id == self.console_interrupt => Interrupt::Console,
            id if id < SOFTWARE_INTERRUPTS => Interrupt::Wake,
            id => Interrupt::Other(id),
        };
        Some((interrupt, token))
    }

    fn end(&self, token: u32) {
        self.core.end.set(token);
    }

    fn wake(&self, core_mask: u32) {
        // What was written before must be visible to the cores that wake: a barrier before the doorbell.
        fence(Ordering::SeqCst);
        self.distributor.software_interrupt.set((core_mask & 0xFF) << 16 | WAKE);
    }
}
