//! EL0: running it, and what comes back.

use crate::syndrome::Syndrome;

/// The integer state of EL0 on one core. Vector registers stay in the core: the kernel never touches them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct UserContext {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp: u64,
    /// The program counter.
    pub pc: u64,
    /// SPSR_EL1; of what is set here only the flags N, Z, C and V reach EL0.
    pub flags: u64,
    /// TPIDR_EL0.
    pub tpidr: u64,
}

/// Why EL0 stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It made a system call: `svc #0`.
    Call,
    /// An interrupt came; it was handled before this is returned if interrupts were enabled.
    Interrupt,
    /// It did what it must not.
    Fault(Syndrome),
}

#[cfg(target_os = "none")]
pub use entry::{reset_vector_state, run};

#[cfg(target_os = "none")]
mod entry {
    use super::{Exit, UserContext};
    use crate::syndrome::Syndrome;
    use crate::{cores, executed, interrupts, masked};
    use aarch64_cpu::registers::{ESR_EL1, FAR_EL1, Readable};

    pub(crate) const CAUSE_SYNCHRONOUS: u64 = 0;
    pub(crate) const CAUSE_INTERRUPT: u64 = 1;
    pub(crate) const CAUSE_ERROR: u64 = 2;
    const FLAGS: u64 = 0xF000_0000;

    unsafe extern "C" {
        fn enter_user(context: *mut UserContext) -> u64;
        fn reset_vector_registers();
    }

    /// Runs EL0 on this core, with interrupts unmasked there, until it takes an exception. The caller's interrupt mask is kept: if
    /// it is off, a pending interrupt is handled before this returns.
    pub fn run(context: &mut UserContext) -> Exit {
        context.flags &= FLAGS;
        let masked = interrupts::mask();
        masked::end();
        // SAFETY: (1) the context is exclusive for the call, which only reads and writes its fields (offsets checked below);
        // (2) interrupts are masked, as the assembly asks; (3) EL0 reaches only what TTBR0 maps for it.
        let cause = unsafe { enter_user(core::ptr::from_mut(context)) };
        masked::begin();
        executed::note(cores::current());
        // Read before interrupts come back: a later exception would overwrite them.
        let syndrome = Syndrome { esr: ESR_EL1.get(), far: FAR_EL1.get(), elr: context.pc };
        drop(masked);
        match cause {
            CAUSE_INTERRUPT => Exit::Interrupt,
            CAUSE_SYNCHRONOUS if syndrome.is_call() => Exit::Call,
            _ => Exit::Fault(syndrome),
        }
    }

    /// Zeroes V0 to V31, FPCR and FPSR of this core, before EL0 starts anew.
    pub fn reset_vector_state() {
        // SAFETY: the kernel is built without vector registers, so nothing of its own is lost.
        unsafe { reset_vector_registers() };
    }

    const _: () = {
        use core::mem::offset_of;
        assert!(offset_of!(UserContext, sp) == 248);
        assert!(offset_of!(UserContext, pc) == 256);
        assert!(offset_of!(UserContext, flags) == 264);
        assert!(offset_of!(UserContext, tpidr) == 272);
    };
}

#[cfg(target_os = "none")]
pub(crate) use entry::{CAUSE_ERROR, CAUSE_INTERRUPT, CAUSE_SYNCHRONOUS};
