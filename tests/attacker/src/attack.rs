//! The attacks. Each does what the architecture must not let an engine do; none comes back if the kernel holds.

use core::arch::asm;

use barellama_abi::layout::{
    ARENA_BASE, ENGINE_BASE, KERNEL_HALF_START, MODEL_BASE, REQUEST_SLOTS_ADDRESS, STACK_BYTES, STACK_SLOT_BYTES,
    STACKS_BASE,
};

/// An address in the kernel's code.
pub const KERNEL_ADDRESS: u64 = KERNEL_HALF_START + 0x20_0000;
/// Nothing is ever mapped there.
const UNMAPPED_ADDRESS: u64 = 8;
/// Where the PL011 lies physically; EL0 has no such mapping.
const DEVICE_ADDRESS: u64 = 0xFE20_1000;
const UNKNOWN_CALL: u64 = 0x1234;
/// `ret`
const RETURN_INSTRUCTION: u32 = 0xD65F_03C0;

/// What can be done wrong, by number.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Attack {
    /// Read the kernel's code.
    ReadKernel,
    /// Write to it.
    WriteKernel,
    /// Jump into it.
    ExecuteKernel,
    /// Read an address where nothing is.
    ReadUnmapped,
    /// Read a register of a device at its physical address.
    ReadDevice,
    /// Write to the own code.
    WriteCode,
    /// Write to the sealed model.
    WriteModel,
    /// Write an instruction into the arena and jump there.
    ExecuteArena,
    /// The same with the pages shared with the kernel.
    ExecuteRings,
    /// The same with the stack.
    ExecuteStack,
    /// Use more stack than there is.
    OverflowStack,
    /// Make a system call that does not exist.
    UnknownCall,
    /// Read a register of EL1.
    Privileged,
    /// Execute an undefined instruction.
    Undefined,
    /// Give up, as a panic does.
    Panic,
    /// Compute for ever.
    Loop,
}

const NAMES: [(&str, Attack); 16] = [
    ("read kernel", Attack::ReadKernel),
    ("write kernel", Attack::WriteKernel),
    ("execute kernel", Attack::ExecuteKernel),
    ("read unmapped", Attack::ReadUnmapped),
    ("read device", Attack::ReadDevice),
    ("write code", Attack::WriteCode),
    ("write model", Attack::WriteModel),
    ("execute arena", Attack::ExecuteArena),
    ("execute rings", Attack::ExecuteRings),
    ("execute stack", Attack::ExecuteStack),
    ("overflow stack", Attack::OverflowStack),
    ("unknown call", Attack::UnknownCall),
    ("privileged", Attack::Privileged),
    ("undefined", Attack::Undefined),
    ("panic", Attack::Panic),
    ("loop", Attack::Loop),
];

impl Attack {
    /// The attack of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, attack)| *attack)
    }

    /// The attack of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        NAMES.iter().map(|(_, attack)| *attack).find(|attack| *attack as u32 == number)
    }

    /// Does it.
    pub fn run(self) {
        match self {
            Self::ReadKernel => read(KERNEL_ADDRESS),
            Self::WriteKernel => write(KERNEL_ADDRESS),
            Self::ExecuteKernel => jump(KERNEL_ADDRESS),
            Self::ReadUnmapped => read(UNMAPPED_ADDRESS),
            Self::ReadDevice => read(DEVICE_ADDRESS),
            Self::WriteCode => write(ENGINE_BASE),
            Self::WriteModel => write(MODEL_BASE),
            Self::ExecuteArena => plant_and_jump(ARENA_BASE),
            Self::ExecuteRings => plant_and_jump(REQUEST_SLOTS_ADDRESS),
            Self::ExecuteStack => plant_and_jump(stack_address()),
            Self::OverflowStack => overflow_stack(),
            Self::UnknownCall => drop(crate::calls::call(UNKNOWN_CALL, [0; 4])),
            Self::Privileged => read_privileged(),
            Self::Undefined => undefined(),
            Self::Panic => give_up(),
            Self::Loop => spin(),
        }
    }
}

fn read(address: u64) {
    // SAFETY: the load faults, or reads memory that nobody here relies on; the value is dropped. Written as assembly, so
    // that the compiler assumes nothing about the address.
    unsafe { asm!("ldr {value}, [{address}]", value = out(reg) _, address = in(reg) address, options(nostack)) }
}

fn write(address: u64) {
    // SAFETY: the store faults; if it did not, the test fails, and nothing here is relied on any more.
    unsafe { asm!("str xzr, [{address}]", address = in(reg) address, options(nostack)) }
}

fn jump(address: u64) {
    // SAFETY: the jump faults, or runs a `ret` that was planted there; both leave the registers of the caller as the C
    // calling convention has it.
    unsafe { asm!("blr {address}", address = in(reg) address, clobber_abi("C")) }
}

fn plant_and_jump(address: u64) {
    // SAFETY: the address is 4-byte aligned memory that EL0 may write and that this program uses for nothing else.
    unsafe {
        asm!(
            "str {instruction:w}, [{address}]",
            "dsb ish",
            instruction = in(reg) RETURN_INSTRUCTION,
            address = in(reg) address,
            options(nostack),
        );
    }
    jump(address);
}

/// The lowest mapped address of core 0's stack, far below what is used of it.
const fn stack_address() -> u64 {
    STACKS_BASE + STACK_SLOT_BYTES - STACK_BYTES
}

/// What the deepest frame would do: write below the stack.
fn overflow_stack() {
    write(stack_address() - 16);
}

fn read_privileged() {
    // SAFETY: the instruction is undefined at EL0.
    unsafe { asm!("mrs {value}, ttbr0_el1", value = out(reg) _, options(nostack)) }
}

fn undefined() {
    // SAFETY: the instruction is permanently undefined.
    unsafe { asm!("udf #0", options(nostack)) }
}

fn spin() {
    // SAFETY: a branch to itself touches nothing.
    unsafe { asm!("2: b 2b", options(nomem, nostack)) }
}

/// Ends as an engine's panic does.
pub fn give_up() -> ! {
    // SAFETY: the breakpoint goes to the kernel, which does not return here.
    unsafe { asm!("brk #1", options(noreturn)) }
}
