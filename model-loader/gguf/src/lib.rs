//! GGUF reader and arena plan.
#![no_std]
