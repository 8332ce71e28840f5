//! What runs on the PC: card maker, console.

fn main() {}
