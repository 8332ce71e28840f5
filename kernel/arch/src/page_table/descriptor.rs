//! Descriptors: what a leaf of the tables allows, and of which memory it is.

pub(super) const BLOCK: u64 = 2 << 20;
pub(super) const VALID: u64 = 1;
pub(super) const TABLE_OR_PAGE: u64 = 2;
pub(super) const ADDRESS_BITS: u64 = 0x0000_FFFF_FFFF_F000;

/// What EL0 and EL1 may do with a part of the engine's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAccess {
    /// EL0 reads and executes, EL1 reads.
    ReadExecute,
    /// Both read.
    ReadOnly,
    /// Both read and write.
    ReadWrite,
    /// EL1 reads and writes, EL0 has no access.
    KernelReadWrite,
}

impl UserAccess {
    /// The descriptor bits that stand for it.
    #[must_use]
    pub const fn attributes(self) -> Attributes {
        match self {
            Self::ReadExecute => Attributes::USER_TEXT,
            Self::ReadOnly => Attributes::USER_CONSTANTS,
            Self::ReadWrite => Attributes::USER_DATA,
            Self::KernelReadWrite => Attributes::KERNEL_DATA,
        }
    }
}

/// Memory type and permissions of a descriptor (Arm ARM D8.3.2: AttrIndx 4:2, AP 7:6, SH 9:8, AF 10, PXN 53, UXN 54).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    const ACCESSED: u64 = 1 << 10;
    const NORMAL: u64 = 3 << 8;
    const DEVICE: u64 = 1 << 2;
    const USER: u64 = 1 << 6;
    const READ_ONLY: u64 = 1 << 7;
    const NO_KERNEL_EXECUTION: u64 = 1 << 53;
    pub(super) const NO_USER_EXECUTION: u64 = 1 << 54;
    const NO_EXECUTION: u64 = Self::NO_KERNEL_EXECUTION | Self::NO_USER_EXECUTION;

    /// Kernel: read and execute.
    pub const KERNEL_TEXT: Self = Self(Self::ACCESSED | Self::NORMAL | Self::READ_ONLY | Self::NO_USER_EXECUTION);
    /// Kernel: read.
    pub const KERNEL_CONSTANTS: Self = Self(Self::ACCESSED | Self::NORMAL | Self::READ_ONLY | Self::NO_EXECUTION);
    /// Kernel: read and write.
    pub const KERNEL_DATA: Self = Self(Self::ACCESSED | Self::NORMAL | Self::NO_EXECUTION);
    /// Kernel: device registers, Device-nGnRE.
    pub const KERNEL_DEVICE: Self = Self(Self::ACCESSED | Self::DEVICE | Self::NO_EXECUTION);
    /// Engine: read and execute; never executable at EL1.
    pub const USER_TEXT: Self =
        Self(Self::ACCESSED | Self::NORMAL | Self::USER | Self::READ_ONLY | Self::NO_KERNEL_EXECUTION);
    /// Engine: read.
    pub const USER_CONSTANTS: Self =
        Self(Self::ACCESSED | Self::NORMAL | Self::USER | Self::READ_ONLY | Self::NO_EXECUTION);
    /// Engine: read and write.
    pub const USER_DATA: Self = Self(Self::ACCESSED | Self::NORMAL | Self::USER | Self::NO_EXECUTION);

    /// A level-3 descriptor.
    #[must_use]
    pub const fn page_descriptor(self, physical: u64) -> u64 {
        (physical & ADDRESS_BITS) | self.0 | TABLE_OR_PAGE | VALID
    }

    /// A level-2 block descriptor.
    #[must_use]
    pub const fn block_descriptor(self, physical: u64) -> u64 {
        (physical & ADDRESS_BITS & !(BLOCK - 1)) | self.0 | VALID
    }
}

/// What the valid leaves of a half allow, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Pages and blocks.
    pub leaves: u32,
    /// Those that EL0 may reach.
    pub for_user: u32,
    /// Those that EL0 may execute.
    pub user_executable: u32,
    /// Those that EL1 may execute.
    pub kernel_executable: u32,
    /// Those that are writable and executable at some level: there must be none.
    pub writable_and_executable: u32,
}

impl Scan {
    /// AP[2:1] (7:6) says who may write, PXN (53) and UXN (54) who may not execute (Arm ARM D8.4.1).
    pub(super) fn note(&mut self, descriptor: u64) {
        let has = |bits: u64| descriptor & bits != 0;
        let is_executable = !has(Attributes::NO_USER_EXECUTION) || !has(Attributes::NO_KERNEL_EXECUTION);
        self.leaves += 1;
        self.for_user += u32::from(has(Attributes::USER));
        self.user_executable += u32::from(!has(Attributes::NO_USER_EXECUTION));
        self.kernel_executable += u32::from(!has(Attributes::NO_KERNEL_EXECUTION));
        self.writable_and_executable += u32::from(is_executable && !has(Attributes::READ_ONLY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_have_the_bits_of_the_manual() {
        assert_eq!(Attributes::KERNEL_TEXT.page_descriptor(0x8_0000), 0x0040_0000_0008_0783);
        assert_eq!(Attributes::KERNEL_DATA.page_descriptor(0x8_0000), 0x0060_0000_0008_0703);
        assert_eq!(Attributes::KERNEL_DEVICE.block_descriptor(0xFE00_0000), 0x0060_0000_FE00_0405);
        assert_eq!(UserAccess::ReadExecute.attributes().page_descriptor(0x1000), 0x0020_0000_0000_17C3);
        assert_eq!(UserAccess::ReadOnly.attributes().page_descriptor(0x1000), 0x0060_0000_0000_17C3);
        assert_eq!(UserAccess::ReadWrite.attributes().page_descriptor(0x1000), 0x0060_0000_0000_1743);
        assert_eq!(UserAccess::KernelReadWrite.attributes(), Attributes::KERNEL_DATA);
    }

    #[test]
    fn nothing_is_writable_and_executable() {
        for access in
            [UserAccess::ReadExecute, UserAccess::ReadOnly, UserAccess::ReadWrite, UserAccess::KernelReadWrite]
        {
            let bits = access.attributes().page_descriptor(0);
            let is_read_only = bits & (1 << 7) != 0;
            let is_executable = bits & (1 << 54) == 0 || bits & (1 << 53) == 0;
            assert!(is_read_only || !is_executable, "{access:?}");
            assert_ne!(bits & (1 << 53), 0, "{access:?} must not be executable at EL1");
        }
    }
}
