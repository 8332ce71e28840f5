//! kernel8: what the firmware loads. Recognises the board and hands it to the kernel.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bare {
    use barellama_arch::boot::BootFacts;
    use barellama_arch::{exceptions, timer};
    use barellama_boards::machines;
    use core::panic::PanicInfo;

    /// Called by the boot assembly on core 0, with the kernel's tables, vectors and stack in place and interrupts masked.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_main(facts: &'static BootFacts) -> ! {
        timer::start();
        match machines::recognise(facts) {
            Some(machine) => barellama_kernel::boot::start(machine, facts),
            // Without a board there is nothing to write to.
            None => exceptions::stop_core(),
        }
    }

    #[panic_handler]
    fn panic(info: &PanicInfo<'_>) -> ! {
        exceptions::report_panic(info)
    }
}

/// On the host this binary says what it is for, so that the whole workspace builds there.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("kernel8 runs on a board or in QEMU: see `make run`");
}
