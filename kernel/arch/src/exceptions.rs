//! What happens when the kernel itself takes an exception: interrupts are handed on, faults are reported.
//!
//! ```text
//! kernel fault on core 0: data abort of the kernel, translation fault (write)
//!   ESR 96000045  FAR 0000000000000000  ELR ffffff8000204a1c  SPSR 600003c5  SP ffffff80008c7f50
//!   x0  ...
//!   called from ffffff8000204a88
//! ```

use crate::hook::Hook;
use crate::syndrome::Syndrome;
use crate::table_plan::{EMERGENCY_SLOT_BYTES, STACK_SLOT_BYTES};
use crate::{cores, image, kept, masked, timer};
use barellama_abi::layout::CORES_MAX;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The registers at an exception of the kernel, as vectors.s stores them.
#[repr(C)]
pub(crate) struct FaultFrame {
    x: [u64; 31],
    sp: u64,
    elr: u64,
    spsr: u64,
    esr: u64,
    far: u64,
    vector: u64,
    /// Keeps the stack pointer a multiple of 16.
    padding: u64,
}

const VECTOR_NAMES: [&str; 16] = [
    "synchronous exception on SP_EL0",
    "IRQ on SP_EL0",
    "FIQ on SP_EL0",
    "SError on SP_EL0",
    "synchronous exception",
    "IRQ",
    "FIQ",
    "SError",
    "synchronous exception of EL0",
    "IRQ of EL0",
    "FIQ of EL0",
    "SError of EL0",
    "synchronous exception of 32-bit EL0",
    "IRQ of 32-bit EL0",
    "FIQ of 32-bit EL0",
    "SError of 32-bit EL0",
];
const VECTOR_SYNCHRONOUS: u64 = 4;
const BACKTRACE_FRAMES_MAX: usize = 24;

static REPORT_WRITER: Hook<fn(u8)> = Hook::new();
static HALT: Hook<fn() -> !> = Hook::new();
static INTERRUPT_HANDLER: Hook<fn(usize)> = Hook::new();
static CALL_OTHERS: Hook<fn(usize)> = Hook::new();
/// The core that reports, or [`NOBODY`].
static REPORTER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// The cores that stand still while another one reports, a bit each.
static STANDING: AtomicUsize = AtomicUsize::new(0);
/// How long a report waits for the other cores to stand still: one of them may be what is wrong.
const STANDING_NS: u64 = 250_000_000;

/// Sets where reports go, byte by byte: a function that waits until the byte is taken and works in any context.
pub fn set_report_writer(write: fn(u8)) {
    REPORT_WRITER.set(write);
}

/// Sets what follows a report, for instance a blink code and a halt. Without it the core only stops.
pub fn set_halt_hook(halt: fn() -> !) {
    HALT.set(halt);
}

/// Sets what an interrupt calls, with the number of the core, interrupts masked.
pub fn set_interrupt_handler(handle: fn(core: usize)) {
    INTERRUPT_HANDLER.set(handle);
}

/// Sets what interrupts all cores but the given one: while a core reports, the others stand still, so that nothing falls into the report.
pub fn set_call_to_others(call: fn(core: usize)) {
    CALL_OTHERS.set(call);
}

/// Where reports go, for text of one's own before the console works. Newlines become carriage return and newline.
#[must_use]
pub fn report_writer() -> ReportWriter {
    ReportWriter
}

/// See [`report_writer`].
#[derive(Clone, Copy, Debug)]
pub struct ReportWriter;

impl Write for ReportWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if REPORTER.load(Ordering::Relaxed) == cores::current() {
            kept::push(text.as_bytes());
        }
        let Some(write) = REPORT_WRITER.get() else { return Ok(()) };
        for byte in text.bytes() {
            if byte == b'\n' {
                write(b'\r');
            }
            write(byte);
        }
        Ok(())
    }
}

/// Reports a panic of the kernel, then halts.
pub fn report_panic(info: &PanicInfo<'_>) -> ! {
    begin_report();
    let core = cores::current();
    // The writer never fails.
    let _ = write!(ReportWriter, "\nkernel panic on core {core}: {}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(ReportWriter, " ({}:{})", location.file(), location.line());
    }
    let _ = writeln!(ReportWriter);
    let frame: u64;
    // SAFETY: reads the frame pointer and nothing else.
    unsafe { core::arch::asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    write_backtrace(core, frame);
    finish_report()
}

/// Stops this core for good.
pub fn stop_core() -> ! {
    crate::interrupts::disable();
    loop {
        crate::interrupts::wait_for_interrupt();
    }
}

/// Called by the vectors. Returns only if the fault was repaired: the frame then says where execution goes on.
extern "C" fn kernel_fault(frame: &mut FaultFrame) {
    if repair(frame) {
        return;
    }
    begin_report();
    write_report(frame);
    finish_report()
}

extern "C" fn kernel_interrupt() {
    masked::begin();
    let core = cores::current();
    wait_for_report_of_another(core);
    match INTERRUPT_HANDLER.get() {
        Some(handle) => {
            handle(core);
            masked::end();
        }
        None => panic!("an interrupt came before its handler was set"),
    }
}

/// Repairs what is allowed to fault: accesses to EL0's memory, and the semihosting instruction.
fn repair(frame: &mut FaultFrame) -> bool {
    let syndrome = frame.syndrome();
    if frame.vector != VECTOR_SYNCHRONOUS {
        return false;
    }
    if syndrome.is_kernel_data_abort() && is_user_access(frame.elr) && frame.far < 1 << 39 {
        frame.x[0] = 1;
        frame.x[1] = frame.far;
        frame.elr = frame.x[30];
        return true;
    }
    if syndrome.is_unknown_instruction() && frame.elr == semihosting_instruction as *const () as u64 {
        frame.elr += 4;
        return true;
    }
    false
}

unsafe extern "C" {
    fn user_access_start();
    fn user_access_end();
    fn semihosting_instruction();
}

fn is_user_access(instruction: u64) -> bool {
    (user_access_start as *const () as u64..user_access_end as *const () as u64).contains(&instruction)
}

/// A report ends in a reset. Should it fail, the others go on, and notice that a core stands still.
fn wait_for_report_of_another(core: usize) {
    let is_reporting = || ![NOBODY, core].contains(&REPORTER.load(Ordering::Acquire));
    if !is_reporting() {
        return;
    }
    STANDING.fetch_or(1 << core, Ordering::AcqRel);
    while is_reporting() {
        core::hint::spin_loop();
    }
    STANDING.fetch_and(!(1 << core), Ordering::AcqRel);
}

/// Lets the other cores stand still, as far as they do: what they write to the UART meanwhile would fall into the report.
fn hold_others(core: usize) {
    let Some(call) = CALL_OTHERS.get() else { return };
    call(core);
    let is_other = |other: &usize| *other != core && (*other == 0 || cores::has_checked_in(*other));
    let others = (0..CORES_MAX).filter(is_other).fold(0, |others, other| others | 1 << other);
    let start_ns = timer::now_ns();
    let is_patient = || timer::now_ns().saturating_sub(start_ns) < STANDING_NS;
    while STANDING.load(Ordering::Acquire) & others != others && is_patient() {
        core::hint::spin_loop();
    }
}

/// One core reports; another that fails meanwhile, often of the same cause, stops without a word. A second fault on a core while it
/// reports the first cannot be reported: whoever notices that this core stands still makes a report of its own.
fn begin_report() {
    crate::interrupts::disable();
    let core = cores::current();
    // Acquire and release hand what is kept on from the core that gave up to the next.
    match REPORTER.compare_exchange(NOBODY, core, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            kept::begin();
            hold_others(core);
        }
        Err(reporter) if reporter == core => {
            let _ = writeln!(ReportWriter, "\nkernel fault inside a fault report: this core stops");
            REPORTER.store(NOBODY, Ordering::Release);
            stop_core();
        }
        Err(_) => {
            STANDING.fetch_or(1 << core, Ordering::AcqRel);
            stop_core();
        }
    }
}

fn finish_report() -> ! {
    match HALT.get() {
        Some(halt) => halt(),
        None => stop_core(),
    }
}

fn write_report(frame: &FaultFrame) {
    let core = cores::current();
    let syndrome = frame.syndrome();
    let mut out = ReportWriter;
    // The writer never fails.
    let _ = write!(out, "\nkernel fault on core {core}: {}", syndrome.class_name());
    if !syndrome.status_name().is_empty() {
        let _ = write!(out, ", {}", syndrome.status_name());
    }
    if syndrome.is_kernel_data_abort() {
        let _ = write!(out, " ({})", if syndrome.is_write() { "write" } else { "read" });
    }
    let _ = writeln!(out, " [{}]", VECTOR_NAMES.get(frame.vector as usize).unwrap_or(&"unknown vector"));
    if is_stack_overflow(core, frame) {
        let _ = writeln!(out, "  the kernel's stack of this core is used up");
    }
    let _ = writeln!(
        out,
        "  ESR {:08x}  FAR {:016x}  ELR {:016x}  SPSR {:08x}  SP {:016x}",
        frame.esr, frame.far, frame.elr, frame.spsr, frame.sp
    );
    for (row, registers) in frame.x.chunks(4).enumerate() {
        for (column, value) in registers.iter().enumerate() {
            let _ = write!(out, "  x{:<2} {value:016x}", row * 4 + column);
        }
        let _ = writeln!(out);
    }
    write_backtrace(core, frame.x[29]);
}

/// Whether the stack pointer or the access is in (or just above) the guard below this core's stack.
fn is_stack_overflow(core: usize, frame: &FaultFrame) -> bool {
    let (low, _) = image::stack(core.min(CORES_MAX - 1));
    let guard = low as u64 - 4096..low as u64 + size_of::<FaultFrame>() as u64;
    guard.contains(&frame.sp) || frame.syndrome().far_if_valid().is_some_and(|far| guard.contains(&far))
}

/// Follows the frame records (x29: previous record, return address), as long as they lie in this core's stacks and ascend.
fn write_backtrace(core: usize, first_record: u64) {
    let mut record = first_record;
    for _ in 0..BACKTRACE_FRAMES_MAX {
        if !is_in_stacks(core, record) {
            return;
        }
        let address = record as *const u64;
        // SAFETY: the record lies, aligned and whole, in a mapped stack of this core, which runs this very code.
        let (previous, caller) = unsafe { (address.read_volatile(), address.add(1).read_volatile()) };
        if caller == 0 {
            return;
        }
        let _ = writeln!(ReportWriter, "  called from {caller:016x}");
        if previous <= record {
            return;
        }
        record = previous;
    }
}

fn is_in_stacks(core: usize, record: u64) -> bool {
    let core = core.min(CORES_MAX - 1);
    let holds = |(low, high): (usize, usize)| (low as u64..high as u64 - 15).contains(&record);
    record.is_multiple_of(8) && (holds(image::stack(core)) || holds(image::emergency_stack(core)))
}

impl FaultFrame {
    const fn syndrome(&self) -> Syndrome {
        Syndrome { esr: self.esr, far: self.far, elr: self.elr }
    }
}

mod assembly {
    use super::{FaultFrame, kernel_fault, kernel_interrupt};
    use crate::cores::CoreRecord;
    use crate::user::{CAUSE_ERROR, CAUSE_INTERRUPT, CAUSE_SYNCHRONOUS};
    use core::mem::offset_of;

    core::arch::global_asm!(
        include_str!("assembly/vectors.s"),
        cause_synchronous = const CAUSE_SYNCHRONOUS,
        cause_interrupt = const CAUSE_INTERRUPT,
        cause_error = const CAUSE_ERROR,
        record_stack_low = const offset_of!(CoreRecord, stack_low),
        record_stack_high = const offset_of!(CoreRecord, stack_high),
        record_emergency_top = const offset_of!(CoreRecord, emergency_top),
        record_scratch = const offset_of!(CoreRecord, scratch),
        record_vector = const offset_of!(CoreRecord, vector),
        fault_frame_bytes = const size_of::<FaultFrame>(),
        kernel_fault = sym kernel_fault,
        kernel_interrupt = sym kernel_interrupt,
    );

    const _: () = {
        assert!(offset_of!(FaultFrame, sp) == 248);
        assert!(offset_of!(FaultFrame, elr) == 256);
        assert!(offset_of!(FaultFrame, esr) == 272);
        assert!(offset_of!(FaultFrame, vector) == 288);
    };
}

const _: () = assert!(STACK_SLOT_BYTES > 4096 && EMERGENCY_SLOT_BYTES > 4096);
