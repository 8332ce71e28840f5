//! Interrupts of the BCM2836 and BCM2837: "Quad-A7 control" (QA7_rev3.4) for what belongs to the cores (timers, mailboxes), and
//! behind it the legacy controller for the peripherals ("BCM2835 ARM Peripherals", chapter 7).
//!
//! All of them are levels: an interrupt ends when its cause is taken away. Peripherals interrupt core 0 only.

use crate::drivers::mmio::Mmio;
use barellama_arch::cores;
use barellama_kernel::platform::{Interrupt, InterruptController};
use core::sync::atomic::{Ordering, fence};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// Registers of the cores (QA7 4): one word or one row of mailboxes per core.
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    LocalRegisters {
        (0x00 => _reserved_0),
        (0x0C => peripheral_routing: ReadWrite<u32>),
        (0x10 => _reserved_1),
        (0x40 => timer_control: [ReadWrite<u32>; 4]),
        (0x50 => mailbox_control: [ReadWrite<u32>; 4]),
        (0x60 => source: [ReadOnly<u32>; 4]),
        (0x70 => _reserved_2),
        (0x80 => mailbox_set: [[WriteOnly<u32>; 4]; 4]),
        (0xC0 => mailbox_clear: [[ReadWrite<u32>; 4]; 4]),
        (0x100 => @END),
    }
}

register_structs! {
    /// Registers of the legacy controller, from 0xB200 (BCM2835 7.5).
    #[allow(missing_docs, reason = "the macro makes private padding fields and takes no docs for them")]
    LegacyRegisters {
        (0x00 => _basic_pending: ReadOnly<u32>),
        (0x04 => pending: [ReadOnly<u32>; 2]),
        (0x0C => fast_control: ReadWrite<u32>),
        (0x10 => enable: [WriteOnly<u32>; 2]),
        (0x18 => _enable_basic: WriteOnly<u32>),
        (0x1C => disable: [WriteOnly<u32>; 2]),
        (0x24 => disable_basic: WriteOnly<u32>),
        (0x28 => @END),
    }
}

/// Bit of the virtual timer in a core's timer control and source words.
const VIRTUAL_TIMER: u32 = 1 << 3;
/// Bits of the mailboxes in a core's source word.
const MAILBOXES: u32 = 0xF << 4;
/// Bit of the legacy controller in core 0's source word.
const PERIPHERALS: u32 = 1 << 8;
/// Mailbox 0 of each core wakes it.
const WAKE_MAILBOX: u32 = 1;

/// Both controllers.
pub struct Bcm2836Interrupts {
    local: Mmio<LocalRegisters>,
    legacy: Mmio<LegacyRegisters>,
    console_interrupt: u32,
}

impl Bcm2836Interrupts {
    /// The controllers whose registers appear at these addresses; `console_interrupt` counts the legacy controller's 64.
    ///
    /// # Safety
    /// The registers are mapped at these addresses for good, and nobody else drives them.
    #[must_use]
    pub unsafe fn new(local: usize, legacy: usize, console_interrupt: u32) -> Self {
        // SAFETY: the caller says that the registers are there for good; all fields are register cells.
        let (local, legacy) = unsafe { (Mmio::new(local), Mmio::new(legacy)) };
        Self { local, legacy, console_interrupt }
    }

    /// The peripheral that interrupts. One that nobody asked for is switched off, since it would come again for ever.
    fn peripheral(&self) -> Option<Interrupt> {
        for (index, (pending, disable)) in self.legacy.pending.iter().zip(&self.legacy.disable).enumerate() {
            let bits = pending.get();
            if bits != 0 {
                let id = index as u32 * 32 + bits.trailing_zeros();
                if id == self.console_interrupt {
                    return Some(Interrupt::Console);
                }
                disable.set(1 << bits.trailing_zeros());
                return Some(Interrupt::Other(id));
            }
        }
        None
    }
}

impl InterruptController for Bcm2836Interrupts {
    fn start(&self) {
        self.legacy.fast_control.set(0);
        for disable in &self.legacy.disable {
            disable.set(u32::MAX);
        }
        self.legacy.disable_basic.set(u32::MAX);
        // IRQ and FIQ of the peripherals to core 0.
        self.local.peripheral_routing.set(0);
        for (timer, mailbox) in self.local.timer_control.iter().zip(&self.local.mailbox_control) {
            timer.set(0);
            mailbox.set(0);
        }
    }

    fn start_core(&self, core: usize) {
        let local = &self.local;
        let (Some(timer), Some(mailbox)) = (local.timer_control.get(core), local.mailbox_control.get(core)) else {
            return;
        };
        timer.set(VIRTUAL_TIMER);
        mailbox.set(WAKE_MAILBOX);
        if core == 0
            && let Some(enable) = self.legacy.enable.get(self.console_interrupt as usize / 32)
        {
            enable.set(1 << (self.console_interrupt % 32));
        }
    }

    /// Each cause is its own token's worth: levels need no end, so the token says nothing. A wake-up is taken back here, before what
    /// it announces is looked at: the next one is not lost.
    fn acknowledge(&self) -> Option<(Interrupt, u32)> {
        let core = cores::current();
        let (Some(source), Some(mailboxes)) = (self.local.source.get(core), self.local.mailbox_clear.get(core)) else {
            return None;
        };
        let source = source.get();
        let interrupt = if source & VIRTUAL_TIMER != 0 {
            Interrupt::Timer
        } else if source & MAILBOXES != 0 {
            for mailbox in mailboxes {
                mailbox.set(u32::MAX);
            }
            Interrupt::Wake
        } else if source & PERIPHERALS != 0 {
            self.peripheral()?
        } else {
            return None;
        };
        // The manual (BCM2835 1.3) asks for a barrier between accesses to different peripherals.
        fence(Ordering::SeqCst);
        Some((interrupt, 0))
    }

    fn end(&self, _token: u32) {
        fence(Ordering::SeqCst);
    }

    fn wake(&self, core_mask: u32) {
        // What was written before must be visible to the cores that wake: a barrier before the doorbell.
        fence(Ordering::SeqCst);
        for (core, mailboxes) in self.local.mailbox_set.iter().enumerate() {
            if core_mask & 1 << core != 0
                && let Some(mailbox) = mailboxes.first()
            {
                mailbox.set(1);
            }
        }
    }
}
