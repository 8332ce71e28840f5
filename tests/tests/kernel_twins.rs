//! The vector kernels give the same bits as their scalar twins, and one token at a time the same as many at once.

use barellama_tests::machine::Setup;
use barellama_tests::{Machine, artifacts};

/// `orders` of interleaved rows have kernels for the machine's processor.
#[track_caller]
fn check(setup: Setup, orders: usize) {
    let mut machine = setup.image(artifacts::twins_image()).placed_model(&artifacts::tiny("q4_0")).boot();
    machine.expect_ready();
    for format in ["q4_0", "q4_1", "q8_0", "q4_K", "q5_K", "q6_K"] {
        let answer = machine.chat(format).text;
        let same = answer
            .strip_prefix(&format!("{orders} orders: "))
            .and_then(|rest| rest.strip_suffix(" outputs are the same"))
            .and_then(|count| count.parse::<usize>().ok());
        assert!(same.is_some_and(|count| count > 10_000 * orders), "{format}: {answer}");
    }
    assert_eq!(machine.chat("attention").text, "65760 numbers are the same");
    assert_eq!(machine.chat("f16").text, "5120 outputs are the same");
    assert_eq!(machine.chat("search").text, "12288 searches are the same");
    assert_eq!(machine.chat("q4_2").text, "there are no kernels for q4_2");
}

#[test]
fn every_format_has_the_bits_of_its_twin() {
    check(Machine::raspi4b(), 1);
}

#[test]
fn with_dot_products_too() {
    check(Machine::virt("cortex-a76"), 2);
}
