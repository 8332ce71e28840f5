//! Exit of an emulator by semihosting (Arm semihosting specification, SYS_EXIT).

const SYS_EXIT: u64 = 0x18;
const APPLICATION_EXIT: u64 = 0x2_0026;

unsafe extern "C" {
    fn semihosting_call(operation: u64, argument: *const u64);
}

/// Ends an emulator with `status`. Returns where nobody listens: the instruction, undefined then, is skipped by the fault handler.
pub fn exit(status: u32) {
    let block = [APPLICATION_EXIT, u64::from(status)];
    // SAFETY: SYS_EXIT reads the two words of the block and nothing else; a fault of its one instruction is repaired.
    unsafe { semihosting_call(SYS_EXIT, block.as_ptr()) };
}
