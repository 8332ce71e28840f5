//! Chip drivers, one file each. They know registers; who makes one says where the chip is.

#[cfg(target_os = "none")]
pub mod bcm2711_gpio;
#[cfg(target_os = "none")]
pub mod bcm2835_mailbox;
#[cfg(target_os = "none")]
pub mod bcm2835_power;
#[cfg(target_os = "none")]
pub mod firmware;
#[cfg(target_os = "none")]
pub mod gic400;
#[cfg(target_os = "none")]
pub mod led;
#[cfg(target_os = "none")]
pub mod mmio;
pub mod pl011;
pub mod sdhci;
#[cfg(target_os = "none")]
pub mod spin_table;
