//! Chip drivers, one file each. They know registers; who makes one says where the chip is.

#[cfg(target_os = "none")]
pub mod bcm2835_mailbox;
pub mod bcm2835_power;
pub mod bcm2835_sdhost;
#[cfg(target_os = "none")]
pub mod bcm2836_interrupts;
#[cfg(target_os = "none")]
pub mod bcm_gpio;
pub mod dma;
#[cfg(target_os = "none")]
pub mod firmware;
#[cfg(target_os = "none")]
pub mod gic400;
#[cfg(target_os = "none")]
pub mod led;
#[cfg(target_os = "none")]
pub mod mmio;
#[cfg(target_os = "none")]
pub mod nothing;
pub mod pci;
pub mod pl011;
#[cfg(target_os = "none")]
pub mod psci;
pub mod sdhci;
#[cfg(target_os = "none")]
pub mod spin_table;
