//! QEMU tests: one file per behaviour.
