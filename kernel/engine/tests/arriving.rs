//! A file that is interleaved while it arrives becomes what one becomes that was there from the start, and nothing is touched that is
//! not there yet.

mod support;

use barellama_engine::interleave::{ArrivingFile, interleave_weights};
use barellama_engine::kernels::Interleaving;
use support::{interleaved, plain_tiny_model, with_crew};

/// Comes in slices; what is not there yet is noise.
struct Slices {
    whole: Vec<u8>,
    memory: Vec<u8>,
    arrived: usize,
    slice: usize,
}

impl Slices {
    fn new(whole: Vec<u8>, slice: usize) -> Self {
        let memory = vec![0xA5; whole.len()];
        Self { whole, memory, arrived: 0, slice }
    }
}

impl ArrivingFile for Slices {
    fn bytes(&self) -> usize {
        self.whole.len()
    }

    fn first(&mut self, end: usize) -> &mut [u8] {
        while self.arrived < end {
            let next = (self.arrived + self.slice).min(self.whole.len());
            self.memory[self.arrived..next].copy_from_slice(&self.whole[self.arrived..next]);
            self.arrived = next;
        }
        &mut self.memory[..end]
    }

    fn arrived(&self) -> usize {
        self.arrived
    }
}

#[test]
fn slices_of_any_size_give_the_same_file() {
    for name in ["q4_0.gguf", "q4_k_m.gguf"] {
        let expected = interleaved(plain_tiny_model(name));
        for slice in [1 << 14, 100_001, 1 << 22] {
            let mut file = Slices::new(plain_tiny_model(name), slice);
            with_crew(3, |crew| interleave_weights(crew, Interleaving::Rows, &mut file)).unwrap();
            assert!(file.memory == expected, "{name} in slices of {slice} bytes");
        }
    }
}

#[test]
fn what_is_wrong_is_told_when_the_file_is_whole() {
    let mut whole = plain_tiny_model("q4_0.gguf");
    whole[30] ^= 0x55;
    let mut file = Slices::new(whole, 1 << 14);
    let result = with_crew(1, |crew| interleave_weights(crew, Interleaving::Rows, &mut file));
    assert!(result.is_err() && file.is_whole(), "{result:?}");
}
