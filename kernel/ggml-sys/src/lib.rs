//! ggml's arithmetic kernels, compiled freestanding.
#![no_std]
