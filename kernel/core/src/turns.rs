//! The line and the engine, by turns: whoever writes to the line without a pause does not keep core 0 out of the engine.
//!
//! Pure. A board's line never brings so many bytes that reading them takes a turn; but what is behind a line may be a program that
//! writes without end.

/// How long the line is read before the engine has its turn, which is as long as the line's was.
const TURN_NS: u64 = 5_000_000;
/// The engine's longest turn: what was typed behind a command that takes long is not left for as long again.
const TURN_MAX_NS: u64 = 50_000_000;
/// So many bytes are read whatever the clock says: a ping or a short call is not cut off where the machine as a whole stood still
/// meanwhile (an emulator does).
const BYTES_MIN: u32 = 1024;

/// Whose turn it is.
#[derive(Debug)]
pub struct Turns {
    /// Bytes read since the line paused or the engine ran, and when the first of them was, in nanoseconds since start.
    bytes: u32,
    began_ns: u64,
    /// When the line is read again, in nanoseconds since start.
    next_read_ns: u64,
}

impl Turns {
    /// The line's turn.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: 0, began_ns: 0, next_read_ns: 0 }
    }

    /// Whether the line may be read.
    #[must_use]
    pub const fn may_read(&self, now_ns: u64) -> bool {
        now_ns >= self.next_read_ns
    }

    /// What is left of the engine's turn, in nanoseconds; 0 if it has none.
    #[must_use]
    pub const fn engine_ns(&self, now_ns: u64) -> u64 {
        self.next_read_ns.saturating_sub(now_ns)
    }

    /// A byte was read and dealt with. Returns whether the engine's turn begins.
    pub fn note_byte(&mut self, now_ns: u64) -> bool {
        if self.bytes == 0 {
            self.began_ns = now_ns;
        }
        self.bytes = self.bytes.saturating_add(1);
        let line_ns = now_ns.saturating_sub(self.began_ns);
        let is_over = self.bytes >= BYTES_MIN && line_ns > TURN_NS;
        if is_over {
            self.next_read_ns = now_ns.saturating_add(line_ns.min(TURN_MAX_NS));
            self.bytes = 0;
        }
        is_over
    }

    /// The line paused, or the engine ran.
    pub const fn note_pause(&mut self) {
        self.bytes = 0;
    }

    /// The engine needs no turn.
    pub const fn return_turn(&mut self) {
        self.bytes = 0;
        self.next_read_ns = 0;
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE_NS: u64 = 20_000;

    /// Reads until the engine's turn begins, at most `most` bytes; how many were read.
    fn read(turns: &mut Turns, from_ns: u64, most: u32) -> u32 {
        let is_last = |byte: &u32| turns.note_byte(from_ns + u64::from(*byte) * BYTE_NS);
        (1..=most).find(is_last).unwrap_or(most)
    }

    #[test]
    fn a_line_that_never_pauses_gives_the_engine_every_second_turn() {
        let mut turns = Turns::new();
        let now_ns = u64::from(read(&mut turns, 0, 10_000)) * BYTE_NS;
        assert_eq!(now_ns, u64::from(BYTES_MIN) * BYTE_NS);
        let turn_ns = now_ns - BYTE_NS;
        assert_eq!(turns.engine_ns(now_ns), turn_ns);
        assert!(!turns.may_read(now_ns + turn_ns - 1) && turns.may_read(now_ns + turn_ns));
        assert_eq!(read(&mut turns, now_ns + turn_ns, 10_000), BYTES_MIN);
    }

    #[test]
    fn bytes_that_come_one_by_one_without_a_pause_count_together() {
        let mut turns = Turns::new();
        let is_over =
            (1..=u64::from(BYTES_MIN)).any(|byte| turns.may_read(byte * BYTE_NS) && turns.note_byte(byte * BYTE_NS));
        assert!(is_over);
    }

    #[test]
    fn a_short_message_is_read_whole_however_long_it_takes() {
        let mut turns = Turns::new();
        assert!((1..100).all(|byte| !turns.note_byte(byte * TURN_NS)));
        turns.note_pause();
        assert!((100..300).all(|byte| !turns.note_byte(byte * TURN_NS)));
    }

    #[test]
    fn a_command_that_takes_long_does_not_leave_the_line_for_as_long() {
        let mut turns = Turns::new();
        read(&mut turns, 0, BYTES_MIN - 1);
        assert!(turns.note_byte(10_000_000_000));
        assert_eq!(turns.engine_ns(10_000_000_000), TURN_MAX_NS);
    }

    #[test]
    fn a_fast_line_gives_no_turn() {
        let mut turns = Turns::new();
        assert!((0..4096).all(|byte| !turns.note_byte(byte * 1_000)));
    }

    #[test]
    fn an_engine_that_needs_no_turn_has_none() {
        let mut turns = Turns::new();
        read(&mut turns, 0, 10_000);
        turns.return_turn();
        assert!(turns.may_read(0));
    }
}
