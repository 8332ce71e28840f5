//! The checked wire between two ends: sessions, and a cable that flips, drops and doubles bytes.

mod support;

use barellama_mcp::wire::{Link, Received, Role, Timing};
use support::Random;

/// What the cable does to bytes: once in so many.
#[derive(Clone, Copy)]
struct Noise {
    flip: usize,
    drop: usize,
    double: usize,
    burst: usize,
    console: usize,
}

const CLEAN: Noise = Noise { flip: 0, drop: 0, double: 0, burst: 0, console: 0 };
const BAD: Noise = Noise { flip: 3_000, drop: 3_000, double: 6_000, burst: 40_000, console: 20_000 };

const LOG_LINE: &[u8] = b"[   12.5] kernel: a line of the log\n";

/// An end with what it has received.
struct End {
    link: Link,
    to_send: Vec<u8>,
    messages: Vec<Vec<u8>>,
    partial: Vec<u8>,
    text: Vec<u8>,
    events: Vec<&'static str>,
}

impl End {
    fn new(role: Role) -> Self {
        let link = Link::new(role, Timing::default());
        Self { link, to_send: vec![], messages: vec![], partial: vec![], text: vec![], events: vec![] }
    }

    fn receive(&mut self, byte: u8, now_ns: u64) {
        match self.link.receive(byte, now_ns) {
            Some(Received::Text(text)) => self.text.extend_from_slice(text),
            Some(Received::Message { bytes, is_end }) => {
                self.partial.extend_from_slice(bytes);
                if is_end {
                    self.messages.push(std::mem::take(&mut self.partial));
                }
            }
            Some(Received::Hello) => self.restart("hello"),
            Some(Received::Ready) => self.restart("ready"),
            Some(Received::PeerRestarted) => self.restart("peer restarted"),
            Some(Received::Log { .. } | Received::LogWanted | Received::FrameRest) | None => {}
        }
    }

    fn restart(&mut self, event: &'static str) {
        self.events.push(event);
        self.partial.clear();
        self.to_send.clear();
    }

    /// Bytes for the wire within a slice of time.
    fn output(&mut self, now_ns: u64, bytes: usize) -> Vec<u8> {
        let taken = self.link.queue(&self.to_send);
        self.to_send.drain(..taken);
        let mut buffer = vec![0; bytes];
        let length = self.link.poll_output(now_ns, &mut buffer);
        buffer.truncate(length);
        buffer
    }
}

struct Cable {
    board: End,
    host: End,
    now_ns: u64,
    noise: Noise,
    random: Random,
}

/// A millisecond at about 921600 baud.
const STEP_NS: u64 = 1_000_000;
const STEP_BYTES: usize = 92;

impl Cable {
    fn new(noise: Noise, seed: u64) -> Self {
        Self { board: End::new(Role::Board), host: End::new(Role::Host), now_ns: 0, noise, random: Random::new(seed) }
    }

    fn step(&mut self) {
        self.now_ns += STEP_NS;
        for byte in self.board.output(self.now_ns, STEP_BYTES) {
            for byte in spoil(byte, self.noise, &mut self.random) {
                self.host.receive(byte, self.now_ns);
            }
        }
        for byte in self.host.output(self.now_ns, STEP_BYTES) {
            let noise = Noise { console: 0, ..self.noise };
            for byte in spoil(byte, noise, &mut self.random) {
                self.board.receive(byte, self.now_ns);
            }
        }
    }

    fn run(&mut self, milliseconds: u64, mut is_done: impl FnMut(&Self) -> bool) {
        for _ in 0..milliseconds {
            if is_done(self) {
                return;
            }
            self.step();
        }
        assert!(is_done(self), "not done after {milliseconds} ms");
    }

    fn connect(&mut self, nonce: u64) {
        self.host.link.hello(nonce, self.now_ns);
        self.run(20_000, |cable| cable.host.link.is_open() && cable.board.link.is_open());
    }
}

fn spoil(byte: u8, noise: Noise, random: &mut Random) -> Vec<u8> {
    let mut happens = |once_in: usize| once_in > 0 && random.once_in(once_in);
    let (flip, drop, double) = (happens(noise.flip), happens(noise.drop), happens(noise.double));
    let (burst, console) = (happens(noise.burst), happens(noise.console));
    let byte = if flip { byte ^ (1 << random.below(8)) } else { byte };
    let mut bytes = match (drop, double) {
        (true, _) => vec![],
        (false, true) => vec![byte, byte],
        (false, false) => vec![byte],
    };
    if burst {
        bytes.extend((0..40).map(|_| u8::try_from(random.below(256)).unwrap()));
    }
    if console {
        bytes.extend_from_slice(LOG_LINE);
    }
    bytes
}

fn messages(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let printable: Vec<u8> = (b' '..=b'~').collect();
    (0..count)
        .map(|_| {
            let length = if random.once_in(10) { random.below(5_000) } else { random.below(300) };
            (0..length).map(|_| printable[random.below(printable.len())]).collect()
        })
        .collect()
}

fn lines(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| message.iter().copied().chain([b'\n'])).collect()
}

#[test]
fn all_messages_arrive_intact_in_both_directions() {
    for (noise, seed) in [(CLEAN, 1), (BAD, 2), (BAD, 3), (BAD, 4)] {
        let mut cable = Cable::new(noise, seed);
        cable.connect(77);
        let (down, up) = (messages(300, seed + 10), messages(300, seed + 20));
        cable.board.to_send = lines(&up);
        cable.host.to_send = lines(&down);
        cable.run(600_000, |cable| cable.host.messages.len() >= 300 && cable.board.messages.len() >= 300);
        cable.run(60_000, |cable| cable.host.link.is_idle() && cable.board.link.is_idle());
        assert!(cable.host.messages == up && cable.board.messages == down);
        assert_eq!((cable.host.events.as_slice(), cable.board.events.as_slice()), (&["ready"][..], &["hello"][..]));
    }
}

#[test]
fn text_outside_frames_passes_through() {
    let mut cable = Cable::new(CLEAN, 1);
    for &byte in b"boot\n\x1b[1mbold\x1b[0m\n" {
        cable.host.receive(byte, 0);
    }
    cable.connect(5);
    cable.board.to_send = b"{}\n".to_vec();
    cable.run(1_000, |cable| cable.host.messages.len() == 1);
    for &byte in LOG_LINE {
        cable.host.receive(byte, cable.now_ns);
    }
    assert_eq!(cable.host.text, [b"boot\n\x1b[1mbold\x1b[0m\n", LOG_LINE].concat());
    assert!(cable.board.text.is_empty(), "the line ends behind frames are no text");
}

#[test]
fn a_new_host_starts_over() {
    let mut cable = Cable::new(BAD, 9);
    cable.connect(1);
    cable.board.to_send = lines(&messages(50, 1));
    cable.host.to_send = lines(&messages(50, 2));
    for _ in 0..40 {
        cable.step();
    }
    // The host is killed in the middle; another one comes.
    cable.host = End::new(Role::Host);
    let fresh = messages(50, 3);
    cable.connect(2);
    cable.run(5_000, |cable| cable.board.events == ["hello", "hello"]);
    cable.board.messages.clear();
    cable.host.to_send = lines(&fresh);
    cable.run(60_000, |cable| cable.board.messages.len() == 50);
    assert!(cable.board.messages == fresh);
    assert!(cable.host.messages.is_empty(), "nothing of the old session came");
}

#[test]
fn a_reset_board_is_noticed() {
    let mut cable = Cable::new(CLEAN, 1);
    cable.connect(1);
    cable.board = End::new(Role::Board);
    cable.host.to_send = b"{\"id\":1}\n".to_vec();
    cable.run(1_000, |cable| cable.host.events.contains(&"peer restarted"));
    assert!(!cable.host.link.is_open());
    cable.connect(2);
    cable.host.to_send = b"{\"id\":2}\n".to_vec();
    cable.run(1_000, |cable| cable.board.messages == [b"{\"id\":2}".to_vec()]);
}

#[test]
fn what_is_left_of_a_frame_is_not_taken_for_typed_text() {
    let mut board = Link::new(Role::Board, Timing::default());
    let rest = b"{}}\x1b\\\n/help\n";
    let seen: Vec<String> =
        rest.iter().filter_map(|&byte| board.receive(byte, 0).map(|event| format!("{event:?}"))).collect();
    let text = |text: &[u8]| format!("{:?}", Received::Text(text));
    let expected: Vec<String> = b"{}}".iter().map(|&byte| text(&[byte])).collect();
    assert_eq!(seen[..3], expected);
    assert_eq!(seen[3], "FrameRest");
    assert_eq!(seen[4..].len(), b"/help\n".len(), "the line end behind the frame is gone with it");
}

#[test]
fn a_hello_said_twice_is_one_host() {
    let mut cable = Cable::new(CLEAN, 1);
    cable.host.link.hello(3, 0);
    let mut hello = vec![0; 64];
    let length = cable.host.link.poll_output(0, &mut hello);
    for _ in 0..2 {
        hello[..length].iter().for_each(|&byte| cable.board.receive(byte, 0));
    }
    assert_eq!(cable.board.events, ["hello"]);
}

#[test]
fn nothing_is_sent_before_a_host_is_there_and_a_silent_one_is_noticed() {
    let mut board = End::new(Role::Board);
    board.to_send = b"{}\n".to_vec();
    assert!(board.output(0, 1_000).is_empty() && board.to_send.len() == 3);
    assert_eq!(board.link.next_timer_ns(), None);

    let mut cable = Cable::new(CLEAN, 1);
    cable.connect(1);
    cable.board.to_send = b"{}\n".to_vec();
    let mut sent = 0;
    for second in 0..60 {
        sent += cable.board.output(cable.now_ns + second * 1_000_000_000, 1_000).len();
    }
    assert!(cable.board.link.is_peer_silent() && sent > 100);
    cable.board.link.close();
    assert!(cable.board.output(u64::MAX, 1_000).is_empty() && !cable.board.link.is_peer_silent());
}

#[test]
fn an_end_without_room_is_waited_for_and_loses_nothing() {
    for (noise, seed) in [(CLEAN, 1), (BAD, 6)] {
        let mut cable = Cable::new(noise, seed);
        cable.connect(1);
        let down = messages(40, seed);
        cable.host.to_send = lines(&down);
        cable.board.to_send = b"{}\n".to_vec();
        cable.board.link.hold(true);
        // Longer than the host waits for a board that says nothing.
        for _ in 0..30_000 {
            cable.step();
        }
        assert!(cable.board.messages.is_empty() && !cable.host.link.is_peer_silent());
        assert_eq!(cable.host.messages.len(), 1, "the other direction goes on");
        cable.board.link.hold(false);
        cable.run(60_000, |cable| cable.board.messages.len() == 40);
        assert!(cable.board.messages == down);
    }
}

#[test]
fn any_bytes_are_survived() {
    let mut random = Random::new(5);
    for role in [Role::Board, Role::Host] {
        let mut end = End::new(role);
        let mut buffer = [0; 512];
        for round in 0..300_000_u64 {
            let byte = match random.below(12) {
                0 => 0x1B,
                1 => b'_',
                2 => b'\\',
                3 => b'\n',
                4 => b'H',
                _ => u8::try_from(random.below(256)).unwrap(),
            };
            end.receive(byte, round);
            if round % 100 == 0 {
                end.link.poll_output(round * 1_000_000, &mut buffer);
            }
        }
    }
}
