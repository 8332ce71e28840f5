//! SD card, partition, FAT, extents, bytes, progress.
#![no_std]
