// The exception vectors of EL1, and the way to EL0 and back.

.section .text.vectors, "ax"

// An exception of the kernel itself. `tpidrro_el0` (zero for EL0) and the core's record are scratch until a stack is known good.
.macro fault_vector index
    .balign 0x80
    msr     tpidrro_el0, x0
    mrs     x0, tpidr_el1
    str     x1, [x0, #{record_scratch}]
    mov     x1, #\index
    b       fault_entry
.endm

.macro interrupt_vector
    .balign 0x80
    b       interrupt_entry
.endm

// An exception of EL0: SP is where `enter_user` left it, with the context's address on top and room for one register.
.macro user_vector cause
    .balign 0x80
    str     x0, [sp, #8]
    ldr     x0, [sp]
    str     x1, [x0, #8]
    mov     x1, #\cause
    b       leave_user
.endm

.balign 0x800
.global exception_vectors
exception_vectors:
    fault_vector 0
    fault_vector 1
    fault_vector 2
    fault_vector 3
    fault_vector 4
    interrupt_vector
    fault_vector 6
    fault_vector 7
    user_vector {cause_synchronous}
    user_vector {cause_interrupt}
    user_vector {cause_error}
    user_vector {cause_error}
    fault_vector 12
    fault_vector 13
    fault_vector 14
    fault_vector 15
    .balign 0x80

fault_entry:
    str     x1, [x0, #{record_vector}]
    // Is SP within this core's stack, with room for the frame?
    ldr     x1, [x0, #{record_stack_low}]
    cmp     sp, x1
    b.lo    1f
    ldr     x1, [x0, #{record_stack_high}]
    cmp     sp, x1
    b.hi    1f
    mov     x1, sp
    b       2f
1:  mov     x1, sp
    ldr     x0, [x0, #{record_emergency_top}]
    mov     sp, x0
2:  sub     sp, sp, #{fault_frame_bytes}
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    stp     x30, x1, [sp, #240]
    mrs     x2, tpidr_el1
    ldr     x1, [x2, #{record_scratch}]
    ldr     x3, [x2, #{record_vector}]
    mrs     x0, tpidrro_el0
    stp     x0, x1, [sp]
    msr     tpidrro_el0, xzr
    mrs     x4, elr_el1
    mrs     x5, spsr_el1
    stp     x4, x5, [sp, #256]
    mrs     x4, esr_el1
    mrs     x5, far_el1
    stp     x4, x5, [sp, #272]
    str     x3, [sp, #288]
    mov     x0, sp
    bl      {kernel_fault}

    // Only a repaired fault returns, and that was taken on the core's own stack.
    ldp     x4, x5, [sp, #256]
    msr     elr_el1, x4
    msr     spsr_el1, x5
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    add     sp, sp, #{fault_frame_bytes}
    eret

// What the called Rust code may change; a stack that ends here makes the first store fault, which is reported as an overflow.
interrupt_entry:
    sub     sp, sp, #192
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x29, x30, [sp, #144]
    mrs     x0, elr_el1
    mrs     x1, spsr_el1
    stp     x18, x0, [sp, #160]
    str     x1, [sp, #176]
    add     x29, sp, #144
    bl      {kernel_interrupt}
    ldp     x18, x0, [sp, #160]
    ldr     x1, [sp, #176]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x29, x30, [sp, #144]
    add     sp, sp, #192
    eret

// enter_user(context: *mut UserContext) -> cause. Called with everything masked; returns so when EL0 takes an exception.
.global enter_user
.type enter_user, %function
enter_user:
    sub     sp, sp, #112
    stp     x19, x20, [sp]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    sub     sp, sp, #16
    str     x0, [sp]
    ldp     x1, x2, [x0, #248]
    msr     sp_el0, x1
    msr     elr_el1, x2
    ldp     x1, x2, [x0, #264]
    msr     spsr_el1, x1
    msr     tpidr_el0, x2
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    eret
    // Nothing behind an exception return may be executed speculatively.
    dsb     nsh
    isb

leave_user:
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    ldr     x2, [sp, #8]
    str     x2, [x0]
    mrs     x2, sp_el0
    stp     x30, x2, [x0, #240]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [x0, #256]
    mrs     x2, tpidr_el0
    str     x2, [x0, #272]
    mov     x0, x1
    add     sp, sp, #16
    ldp     x19, x20, [sp]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    add     sp, sp, #112
    // The exception that ended the stay masked SError: what the kernel does wrong shall be reported here, not in the engine later.
    msr     daifclr, #4
    ret
.size enter_user, . - enter_user

// reset_vector_registers(): the only instructions of the kernel that touch vector registers, and they read none.
.arch_extension fp
.arch_extension simd
.global reset_vector_registers
.type reset_vector_registers, %function
reset_vector_registers:
    .irp    number, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    movi    v\number\().2d, #0
    .endr
    msr     fpcr, xzr
    msr     fpsr, xzr
    isb
    ret
.size reset_vector_registers, . - reset_vector_registers
.arch_extension nosimd
.arch_extension nofp

// Accesses to EL0's memory with EL0's rights. A data abort between `user_access_start` and `user_access_end` returns to the
// caller with x0 = 1 and x1 = the address that faulted; otherwise x0 = 0.
.global user_access_start
user_access_start:

// user_copy_from(destination, user_source, bytes)
.global user_copy_from
.type user_copy_from, %function
user_copy_from:
1:  cmp     x2, #8
    b.lo    2f
    ldtr    x3, [x1]
    add     x1, x1, #8
    str     x3, [x0], #8
    sub     x2, x2, #8
    b       1b
2:  cbz     x2, 3f
    ldtrb   w3, [x1]
    add     x1, x1, #1
    strb    w3, [x0], #1
    sub     x2, x2, #1
    b       2b
3:  mov     x0, xzr
    mov     x1, xzr
    ret
.size user_copy_from, . - user_copy_from

// user_copy_to(user_destination, source, bytes)
.global user_copy_to
.type user_copy_to, %function
user_copy_to:
1:  cmp     x2, #8
    b.lo    2f
    ldr     x3, [x1], #8
    sttr    x3, [x0]
    add     x0, x0, #8
    sub     x2, x2, #8
    b       1b
2:  cbz     x2, 3f
    ldrb    w3, [x1], #1
    sttrb   w3, [x0]
    add     x0, x0, #1
    sub     x2, x2, #1
    b       2b
3:  mov     x0, xzr
    mov     x1, xzr
    ret
.size user_copy_to, . - user_copy_to

// user_load_u32(address) -> x1, ordered before everything that follows
.global user_load_u32
.type user_load_u32, %function
user_load_u32:
    ldtr    w1, [x0]
    dmb     ishld
    mov     x0, xzr
    ret
.size user_load_u32, . - user_load_u32

// user_store_u32(address, value), ordered behind everything before
.global user_store_u32
.type user_store_u32, %function
user_store_u32:
    dmb     ish
    sttr    w1, [x0]
    mov     x0, xzr
    mov     x1, xzr
    ret
.size user_store_u32, . - user_store_u32

.global user_access_end
user_access_end:

// semihosting_call(operation, argument): skipped where no debugger or emulator answers.
.global semihosting_call
.type semihosting_call, %function
semihosting_call:
.global semihosting_instruction
semihosting_instruction:
    hlt     #0xF000
    ret
.size semihosting_call, . - semihosting_call
