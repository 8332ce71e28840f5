//! Line editor and console commands.
#![no_std]
