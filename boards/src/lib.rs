//! Chip drivers and boards.
#![no_std]
