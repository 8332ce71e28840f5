//! The checked wire: raw bytes at one end, then two ends with a cable that does what the input says.

use barellama_mcp::wire::{Link, PAYLOAD_BYTES_MAX, Received, Role, Timing};

use crate::input::Input;

const STEP_NS: u64 = 1_000_000;
/// Bytes that leave an end in a step.
const STEP_BYTES: usize = 92;
/// Steps after the noise has ended in which everything must have arrived: many timeouts.
const CLEAN_STEPS_MAX: usize = 30_000;
const MESSAGES: usize = 3;

/// A byte chooses: raw bytes, or a script of noise.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    if input.byte() & 1 == 0 { raw(input) } else { noisy(&mut input) }
}

/// Any bytes at a board and at a host that waits for its answer.
fn raw(input: Input<'_>) {
    for role in [Role::Board, Role::Host] {
        let mut link = Link::new(role, Timing::default());
        if role == Role::Host {
            link.hello(0x1234, 0);
        }
        let mut sent = [0; STEP_BYTES];
        for (step, &byte) in input.0.iter().enumerate() {
            let now_ns = step as u64 * STEP_NS / 8;
            match link.receive(byte, now_ns) {
                Some(Received::Message { bytes, .. }) => assert!(bytes.len() <= PAYLOAD_BYTES_MAX && link.is_open()),
                Some(Received::Text(text)) => assert!(!text.is_empty() && text.len() <= 2),
                Some(Received::Hello) => assert!(role == Role::Board && link.is_open()),
                Some(Received::Log { bytes, .. }) => assert!(role == Role::Host && bytes.len() <= PAYLOAD_BYTES_MAX),
                Some(Received::LogWanted | Received::FrameRest) => assert!(role == Role::Board),
                Some(Received::Ready) => assert!(role == Role::Host && link.is_open()),
                Some(Received::PeerRestarted) => assert!(role == Role::Host && !link.is_open()),
                None => {}
            }
            let count = link.poll_output(now_ns, &mut sent);
            assert!(count <= sent.len());
        }
        assert!(link.counts().damaged_frames as usize <= input.0.len());
        // A new host gets its session whatever came before.
        if role == Role::Board {
            assert!(is_greeted(&mut link, input.0.len() as u64 * STEP_NS), "the board answers a hello");
        }
    }
}

fn is_greeted(board: &mut Link, now_ns: u64) -> bool {
    let mut host = Link::new(Role::Host, Timing::default());
    host.hello(0x5EED_5EED, now_ns);
    // A line feed ends a frame that broke off, as it would on a real line before long.
    let _ = board.receive(b'\n', now_ns);
    let mut ends = [End::new(host), End::new(board.clone())];
    (0..2_000).any(|step| {
        exchange(&mut ends, now_ns + step * STEP_NS, &mut |byte| vec![byte]);
        ends[0].link.is_open()
    })
}

/// An end and what it has received.
struct End {
    link: Link,
    to_send: Vec<u8>,
    partial: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

impl End {
    fn new(link: Link) -> Self {
        Self { link, to_send: Vec::new(), partial: Vec::new(), messages: Vec::new() }
    }

    fn receive(&mut self, byte: u8, now_ns: u64) {
        if let Some(Received::Message { bytes, is_end }) = self.link.receive(byte, now_ns) {
            self.partial.extend_from_slice(bytes);
            if is_end {
                self.messages.push(std::mem::take(&mut self.partial));
            }
        }
    }

    fn output(&mut self, now_ns: u64) -> Vec<u8> {
        let taken = self.link.queue(&self.to_send);
        self.to_send.drain(..taken);
        let mut buffer = vec![0; STEP_BYTES];
        let length = self.link.poll_output(now_ns, &mut buffer);
        buffer.truncate(length);
        buffer
    }
}

/// A step in both directions.
fn exchange(ends: &mut [End; 2], now_ns: u64, cable: &mut dyn FnMut(u8) -> Vec<u8>) {
    for (from, to) in [(0, 1), (1, 0)] {
        for byte in ends[from].output(now_ns) {
            for byte in cable(byte) {
                ends[to].receive(byte, now_ns);
            }
        }
    }
}

/// Flips, drops and doubles bytes as the script says, both ways; afterwards the line is clean. Messages arrive whole, once, in order.
fn noisy(input: &mut Input<'_>) {
    let mut host = Link::new(Role::Host, Timing::default());
    let mut ends = [End::new(Link::new(Role::Board, Timing::default())), End::new(host.clone())];
    host.hello(0xBEEF, 0);
    ends[1] = End::new(host);
    let mut now_ns = 0;
    while !(ends[0].link.is_open() && ends[1].link.is_open()) {
        now_ns += STEP_NS;
        exchange(&mut ends, now_ns, &mut |byte| vec![byte]);
    }
    let expected: Vec<Vec<u8>> = (0..MESSAGES).map(|index| message(input, index)).collect();
    for end in &mut ends {
        end.to_send = expected.iter().flat_map(|message| [message.as_slice(), b"\n"].concat()).collect();
    }
    let mut quiet = u32::from(input.byte());
    let mut clean_steps = 0;
    while ends.iter().any(|end| end.messages.len() < MESSAGES) {
        now_ns += STEP_NS;
        exchange(&mut ends, now_ns, &mut |byte| spoil(byte, input, &mut quiet));
        clean_steps += usize::from(input.is_empty());
        assert!(clean_steps < CLEAN_STEPS_MAX, "messages are lost");
    }
    assert!(ends.iter().all(|end| end.messages == expected), "messages arrive as they were sent");
}

/// Bytes without LF, as JSON on one line; some longer than a frame.
fn message(input: &mut Input<'_>, index: usize) -> Vec<u8> {
    let length = usize::from(input.byte()) * (index + 1);
    (0..length).map(|at| b' ' + ((at * 7 + index) % 90) as u8).collect()
}

/// What the cable makes of a byte: after so many good ones, what the script says next.
fn spoil(byte: u8, input: &mut Input<'_>, quiet: &mut u32) -> Vec<u8> {
    if *quiet > 0 || input.is_empty() {
        *quiet = quiet.saturating_sub(1);
        return vec![byte];
    }
    let action = input.byte();
    *quiet = u32::from(input.byte());
    match action % 3 {
        0 => vec![],
        1 => vec![byte, byte],
        _ => vec![byte ^ (1 << (action >> 5))],
    }
}
