// From the firmware's jump to the first Rust function, for the boot core and for the others.
//
// Everything up to `high_primary` and `high_secondary` runs at its physical address with MMU and caches off: it is
// position-independent, uses no stack and makes aligned accesses only. It fits one page, the only one that is mapped one to one.
//
// x19 firmware's x0, x20 exception level at entry, x21 physical address of `_start`, x22 number of this core.

.macro core_number register, scratch
    // Affinity level 0, or level 1 where level 0 counts threads (MT, bit 24: Cortex-A76).
    mrs     \register, mpidr_el1
    ubfx    \scratch, \register, #8, #8
    tst     \register, #(1 << 24)
    and     \register, \register, #0xFF
    csel    \register, \register, \scratch, eq
.endm

// Vectors first: without them an early fault would be a jump into nowhere.
.macro set_early_vectors
    adr     x9, early_vectors
    mrs     x20, CurrentEL
    lsr     x20, x20, #2
    msr     vbar_el1, x9
    cmp     x20, #2
    b.lo    8f
    b.hi    park
    msr     vbar_el2, x9
8:  isb
    adr     x21, _start
.endm

.section .text.boot, "ax"
.global _start
_start:
    mov     x19, x0
    set_early_vectors
    core_number x22, x9
    cbnz    x22, park
    bl      enter_el1
    bl      build_tables
    bl      enable_mmu
    ldr     x9, high_primary_address
    br      x9

.global secondary_entry
secondary_entry:
    set_early_vectors
    core_number x22, x9
    cmp     x22, #{cores}
    b.hs    park
    bl      enter_el1
    bl      enable_mmu
    ldr     x9, high_secondary_address
    br      x9

park:
    wfi
    b       park

// Leaves EL2 for EL1h with everything masked; at EL1 already, only returns.
enter_el1:
    cmp     x20, #2
    b.ne    3f

    // Errata and cluster coherency. A firmware that keeps these registers for itself makes the access trap: the early vector
    // then skips the instruction.
    mrs     x10, midr_el1
    ubfx    x10, x10, #4, #12
early_skip_start:
    mov     w11, #0xD08
    cmp     w10, w11
    b.ne    1f
    // Cortex-A72 859971: no instruction prefetch across page ends (CPUACTLR_EL1[32]).
    mrs     x11, S3_1_C15_C2_0
    orr     x11, x11, #(1 << 32)
    msr     S3_1_C15_C2_0, x11
    b       2f
1:  mov     w11, #0xD03
    cmp     w10, w11
    b.ne    4f
    // Cortex-A53 855873: a clean by address must also invalidate (CPUACTLR_EL1[44], ENDCCASCI).
    mrs     x11, S3_1_C15_C2_0
    orr     x11, x11, #(1 << 44)
    msr     S3_1_C15_C2_0, x11
    // Both: CPUECTLR_EL1.SMPEN has to be set before the caches are.
2:  mrs     x11, S3_1_C15_C2_1
    tbnz    x11, #6, 4f
    orr     x11, x11, #(1 << 6)
    msr     S3_1_C15_C2_1, x11
    isb
4:
early_skip_end:

    // Timers and counters are EL1's, virtual time is physical time.
    mrs     x10, cnthctl_el2
    orr     x10, x10, #3
    msr     cnthctl_el2, x10
    msr     cntvoff_el2, xzr
    mrs     x10, midr_el1
    msr     vpidr_el2, x10
    mrs     x10, mpidr_el1
    msr     vmpidr_el2, x10
    // Nothing traps to EL2: floating point, CP15, debug; all event counters belong to EL1.
    mov     x10, #0x33FF
    msr     cptr_el2, x10
    msr     hstr_el2, xzr
    mrs     x10, pmcr_el0
    ubfx    x10, x10, #11, #5
    msr     mdcr_el2, x10
    // EL1 is AArch64; interrupts are not routed to EL2.
    mov     x10, #(1 << 31)
    msr     hcr_el2, x10
    mov     x10, #0x0800
    movk    x10, #0x30D0, lsl #16
    msr     sctlr_el1, x10
    mov     x10, #0x3C5
    msr     spsr_el2, x10
    msr     elr_el2, x30
    isb
    eret
3:  ret

// Writes the kernel's final tables and the one-page identity map. The plan of tables is arch/src/table_plan.rs.
build_tables:
    adrp    x1, {tables}
    mov     x2, #{table_pool_bytes}
    add     x2, x1, x2
    mov     x3, x1
1:  stp     xzr, xzr, [x3], #16
    cmp     x3, x2
    b.lo    1b

    // Kernel: level 1 -> level 2 -> eight level-3 tables in a row, and the window's level-3 table.
    add     x3, x1, #({kernel_level_2} * 4096)
    orr     x4, x3, #3
    str     x4, [x1]
    add     x4, x1, #({kernel_level_3} * 4096)
    orr     x4, x4, #3
    add     x5, x3, #8
    mov     x6, #{kernel_level_3_count}
2:  str     x4, [x5], #8
    add     x4, x4, #1, lsl #12
    subs    x6, x6, #1
    b.ne    2b
    add     x4, x1, #({window_level_3} * 4096)
    orr     x4, x4, #3
    str     x4, [x3, #({window_level_2_slot} * 8)]

    // Each part of the image with its own permissions.
    add     x3, x1, #({kernel_level_3} * 4096)
    adr     x5, image_parts
    ldr     x6, kernel_base_address
3:  ldp     x7, x8, [x5], #16
    cbz     x7, 5f
    ldr     x9, [x5], #8
    sub     x7, x7, x6
    sub     x8, x8, x6
4:  cmp     x7, x8
    b.hs    3b
    add     x10, x21, x7
    orr     x10, x10, x9
    lsr     x11, x7, #12
    str     x10, [x3, x11, lsl #3]
    add     x7, x7, #1, lsl #12
    b       4b

    // Guards: the lowest page of each stack slot.
5:  adr     x5, guarded_slots
6:  ldp     x7, x8, [x5], #16
    cbz     x7, 8f
    sub     x7, x7, x6
    mov     x9, #{cores}
7:  lsr     x11, x7, #12
    str     xzr, [x3, x11, lsl #3]
    add     x7, x7, x8
    subs    x9, x9, #1
    b.ne    7b
    b       6b

    // The boot page one to one, for the moment in which the MMU goes on.
8:  add     x3, x1, #({identity_level_1} * 4096)
    add     x4, x1, #({identity_level_2} * 4096)
    add     x5, x1, #({identity_level_3} * 4096)
    ubfx    x6, x21, #30, #9
    orr     x7, x4, #3
    str     x7, [x3, x6, lsl #3]
    ubfx    x6, x21, #21, #9
    orr     x7, x5, #3
    str     x7, [x4, x6, lsl #3]
    ubfx    x6, x21, #12, #9
    ldr     x8, text_attributes
    orr     x7, x21, x8
    str     x7, [x5, x6, lsl #3]

    // Written past the caches: drop clean lines that were speculated in before (hardware.md 3.2, Linux head.S).
    dmb     sy
9:  dc      ivac, x1
    add     x1, x1, #64
    cmp     x1, x2
    b.lo    9b
    dsb     sy
    ret

enable_mmu:
    // EL0 and EL1 may use vector registers (the kernel does not); EL0 sees no counter and no timer, no performance counter (the
    // register is unknown after a reset, Arm ARM D24.5.13) and not the debugger's channel (MDSCR_EL1.TDCC).
    mov     x10, #(3 << 20)
    msr     cpacr_el1, x10
    msr     cntkctl_el1, xzr
    msr     pmuserenr_el0, xzr
    mov     x10, #(1 << 12)
    msr     mdscr_el1, x10

    dsb     sy
    tlbi    vmalle1
    dsb     nsh
    isb

    adrp    x1, {tables}
    ldr     x10, memory_attributes
    msr     mair_el1, x10
    ldr     x10, translation_control
    mrs     x11, id_aa64mmfr0_el1
    and     x11, x11, #0xF
    mov     x12, #5
    cmp     x11, x12
    csel    x11, x11, x12, lo
    bfi     x10, x11, #32, #3
    msr     tcr_el1, x10
    add     x11, x1, #({identity_level_1} * 4096)
    msr     ttbr0_el1, x11
    msr     ttbr1_el1, x1
    isb

    ic      iallu
    dsb     nsh
    isb

    // Where the core has it (ID_AA64MMFR1_EL1.PAN), the kernel's own loads and stores never reach EL0's memory: PAN is set now,
    // and by each exception since SPAN (bit 23, RES1 elsewhere) is clear. LDTR and STTR are not affected.
    ldr     x10, system_control
    mrs     x11, id_aa64mmfr1_el1
    ubfx    x11, x11, #20, #4
    cbz     x11, 1f
    bic     x10, x10, #(1 << 23)
    .arch_extension pan
    msr     pan, #1
    .arch_extension nopan
1:  msr     sctlr_el1, x10
    isb
    ret

.balign 8
high_primary_address:   .quad high_primary
high_secondary_address: .quad high_secondary
kernel_base_address:    .quad __kernel_start
memory_attributes:      .quad {memory_attributes}
translation_control:    .quad {translation_control}
system_control:         .quad {system_control}
text_attributes:        .quad {text_attributes}

image_parts:
    .quad   __text_start, __text_end, {text_attributes}
    .quad   __rodata_start, __rodata_end, {constant_attributes}
    .quad   __data_start, __data_end, {data_attributes}
    .quad   __payload_start, __payload_end, {constant_attributes}
    .quad   __bss_start, __kernel_end, {data_attributes}
    .quad   0, 0
guarded_slots:
    .quad   __stacks_start, {stack_slot_bytes}
    .quad   __emergency_stacks_start, {emergency_slot_bytes}
    .quad   0, 0

// An access to an implementation-defined register that the firmware keeps for itself is skipped; nothing else can be helped here.
early_synchronous:
    mrs     x17, CurrentEL
    cmp     x17, #(2 << 2)
    b.ne    park
    mrs     x17, elr_el2
    adr     x18, early_skip_start
    cmp     x17, x18
    b.lo    park
    adr     x18, early_skip_end
    cmp     x17, x18
    b.hs    park
    add     x17, x17, #4
    msr     elr_el2, x17
    eret

// Until the real vectors stand nobody can be told about a fault: the core stops.
.balign 0x800
early_vectors:
    .rept   4
    b       park
    .balign 0x80
    .endr
    b       early_synchronous
    .balign 0x80
    .rept   11
    b       park
    .balign 0x80
    .endr

// From here on at the linked address, with MMU, caches and the final tables.

// This core's stack (zeroed, so that its deepest use can be seen), its record, the real vectors, no identity map.
.macro core_setup
    ldr     x9, =__stacks_start
    mov     x10, #{stack_slot_bytes}
    madd    x9, x22, x10, x9
    add     x11, x9, #1, lsl #12
    add     x12, x9, x10
    mov     x9, x11
7:  stp     xzr, xzr, [x9], #16
    cmp     x9, x12
    b.lo    7b
    mov     sp, x12
    ldr     x9, =__emergency_stacks_start
    mov     x10, #{emergency_slot_bytes}
    madd    x9, x22, x10, x9
    add     x9, x9, x10
    adrp    x10, {core_records}
    add     x10, x10, :lo12:{core_records}
    add     x10, x10, x22, lsl #6
    add     x11, x11, #{fault_frame_bytes}
    stp     x11, x12, [x10, #{record_stack_low}]
    str     x9, [x10, #{record_emergency_top}]
    msr     tpidr_el1, x10
    ldr     x9, =exception_vectors
    msr     vbar_el1, x9
    mrs     x9, ttbr1_el1
    add     x9, x9, #({user_level_1} * 4096)
    msr     ttbr0_el1, x9
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    // A wrong access that is reported late (SError) shall be reported near its cause.
    msr     daifclr, #4
    mov     x29, xzr
    mov     x30, xzr
.endm

.section .text
high_primary:
    ldr     x9, =__bss_start
    ldr     x10, =__bss_end
1:  stp     xzr, xzr, [x9], #16
    cmp     x9, x10
    b.lo    1b
    core_setup
    // BootFacts, in the order of its fields.
    sub     sp, sp, #48
    stp     x21, x19, [sp]
    mrs     x9, midr_el1
    stp     x20, x9, [sp, #16]
    mrs     x9, mpidr_el1
    str     x9, [sp, #32]
    mov     x0, sp
    bl      kernel_main
    b       .

high_secondary:
    core_setup
    mov     x0, x22
    bl      {secondary_main}
    b       .
