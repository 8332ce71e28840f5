//! Nothing but its tests: the files of engine and kernel that hold the protocols between the cores, compiled with loom's atomics.
