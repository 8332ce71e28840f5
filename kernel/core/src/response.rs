//! How long a person or a program waits for the first byte of an answer: from the interrupt that brought a byte to the answer's first
//! byte in the UART.

use barellama_arch::timer;

/// What becomes of the byte that is being measured.
#[derive(Clone, Copy)]
enum Stage {
    /// No byte is measured.
    None,
    /// It was received and waits for the kernel loop.
    Received { at_ns: u64 },
    /// The kernel loop has it: what is written next is the answer.
    InHand { at_ns: u64 },
    /// So many bytes are in front of the answer's first one.
    Answered { at_ns: u64, ahead: usize },
}

/// The measurement. One byte at a time: those that come meanwhile are not measured.
pub struct Response {
    stage: Stage,
    longest_ns: u64,
    answers: u64,
}

impl Response {
    /// Nothing was measured.
    pub const fn new() -> Self {
        Self { stage: Stage::None, longest_ns: 0, answers: 0 }
    }

    /// A byte came.
    pub fn note_received(&mut self) {
        if matches!(self.stage, Stage::None) {
            self.stage = Stage::Received { at_ns: timer::now_ns() };
        }
    }

    /// The kernel loop took a byte, the measured one or one behind it.
    pub fn take_in_hand(&mut self) {
        if let Stage::Received { at_ns } = self.stage {
            self.stage = Stage::InHand { at_ns };
        }
    }

    /// Something is written behind `ahead` bytes.
    pub fn answer_behind(&mut self, ahead: usize) {
        if let Stage::InHand { at_ns } = self.stage {
            self.stage = Stage::Answered { at_ns, ahead };
        }
    }

    /// A byte went into the UART.
    pub fn note_sent(&mut self) {
        let Stage::Answered { at_ns, ahead } = self.stage else { return };
        if let Some(ahead) = ahead.checked_sub(1) {
            self.stage = Stage::Answered { at_ns, ahead };
            return;
        }
        self.longest_ns = self.longest_ns.max(timer::now_ns().saturating_sub(at_ns));
        self.answers += 1;
        self.stage = Stage::None;
    }

    /// There was no answer.
    pub fn give_up(&mut self) {
        if let Stage::InHand { .. } = self.stage {
            self.stage = Stage::None;
        }
    }

    /// The longest time, and how many answers it is the longest of.
    pub const fn longest_ns(&self) -> (u64, u64) {
        (self.longest_ns, self.answers)
    }
}

impl Default for Response {
    fn default() -> Self {
        Self::new()
    }
}
