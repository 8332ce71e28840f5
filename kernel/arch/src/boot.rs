//! From the firmware's jump to `kernel_main`.

/// What the first instructions found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct BootFacts {
    /// Physical address of the image's first byte.
    pub load_address: u64,
    /// What the firmware left in x0: a device tree's address, or anything.
    pub argument: u64,
    /// Exception level at entry, 1 or 2.
    pub entry_level: u64,
    /// MIDR_EL1 of the boot core (Arm ARM D24.2.122).
    pub midr: u64,
    /// MPIDR_EL1 of the boot core (Arm ARM D24.2.125).
    pub mpidr: u64,
}

#[cfg(target_os = "none")]
mod assembly {
    use crate::cores::{CORE_RECORDS, CoreRecord};
    use crate::exceptions::FaultFrame;
    use crate::page_table::Attributes;
    use crate::{mmu, table_plan as plan};
    use barellama_abi::layout::CORES_MAX;
    use core::mem::offset_of;

    core::arch::global_asm!(
        include_str!("assembly/boot.s"),
        cores = const CORES_MAX,
        tables = sym mmu::TABLES,
        table_pool_bytes = const plan::TABLES * 4096,
        user_level_1 = const plan::USER_LEVEL_1,
        identity_level_1 = const plan::IDENTITY_LEVEL_1,
        identity_level_2 = const plan::IDENTITY_LEVEL_2,
        identity_level_3 = const plan::IDENTITY_LEVEL_3,
        kernel_level_2 = const plan::KERNEL_LEVEL_2,
        kernel_level_3 = const plan::KERNEL_LEVEL_3,
        kernel_level_3_count = const plan::KERNEL_LEVEL_3_COUNT,
        window_level_3 = const plan::WINDOW_LEVEL_3,
        window_level_2_slot = const plan::WINDOW_LEVEL_2_SLOT,
        memory_attributes = const plan::MEMORY_ATTRIBUTES,
        translation_control = const plan::TRANSLATION_CONTROL,
        system_control = const plan::SYSTEM_CONTROL,
        text_attributes = const Attributes::KERNEL_TEXT.page_descriptor(0),
        constant_attributes = const Attributes::KERNEL_CONSTANTS.page_descriptor(0),
        data_attributes = const Attributes::KERNEL_DATA.page_descriptor(0),
        stack_slot_bytes = const plan::STACK_SLOT_BYTES,
        emergency_slot_bytes = const plan::EMERGENCY_SLOT_BYTES,
        core_records = sym CORE_RECORDS,
        record_stack_low = const offset_of!(CoreRecord, stack_low),
        record_emergency_top = const offset_of!(CoreRecord, emergency_top),
        fault_frame_bytes = const size_of::<FaultFrame>(),
        secondary_main = sym crate::cores::secondary_main,
    );
}
