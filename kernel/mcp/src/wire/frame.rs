//! A frame's bytes: written with its checksum, and checked when it came.

use crc32fast::Hasher;
use heapless::Vec;

/// Most bytes of a frame's payload.
pub const PAYLOAD_BYTES_MAX: usize = 240;
/// `kind`, `seq` and `crc32`.
const HEAD_BYTES: usize = 11;
/// Most bytes between `ESC _` and `ESC \`.
pub(super) const BODY_BYTES_MAX: usize = HEAD_BYTES + PAYLOAD_BYTES_MAX;
/// Most bytes of a frame on the wire.
pub const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + 5;

pub(super) const ESCAPE: u8 = 0x1B;
pub(super) const APC_START: u8 = b'_';
pub(super) const STRING_END: u8 = b'\\';
pub(super) const LINE_FEED: u8 = b'\n';

/// The payload of a frame.
pub(super) type Payload = Vec<u8, PAYLOAD_BYTES_MAX>;
/// A frame as it goes over the wire.
pub(super) type WireFrame = Vec<u8, FRAME_BYTES_MAX>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    End,
    Acknowledge,
    Resend,
    Hello,
    Answer,
    Log,
}

impl FrameKind {
    const fn letter(self) -> u8 {
        match self {
            Self::Data => b'D',
            Self::End => b'E',
            Self::Acknowledge => b'A',
            Self::Resend => b'N',
            Self::Hello => b'H',
            Self::Answer => b'h',
            Self::Log => b'L',
        }
    }

    const fn from_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'D' => Self::Data,
            b'E' => Self::End,
            b'A' => Self::Acknowledge,
            b'N' => Self::Resend,
            b'H' => Self::Hello,
            b'h' => Self::Answer,
            b'L' => Self::Log,
            _ => return None,
        })
    }
}

/// A frame that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub kind: FrameKind,
    pub sequence: u8,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads what stood between `ESC _` and `ESC \`; `None` if the checksum or the form is wrong.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let (head, payload) = body.split_first_chunk::<HEAD_BYTES>()?;
        let kind = FrameKind::from_letter(head[0])?;
        let sequence = u8::try_from(read_hex(&head[1..3])?).ok()?;
        let sum = read_hex(&head[3..])?;
        let is_whole = sum == u64::from(checksum([head[0], head[1], head[2]], payload));
        is_whole.then_some(Self { kind, sequence, payload })
    }

    /// The bytes for the wire. A payload longer than [`PAYLOAD_BYTES_MAX`] is cut: callers keep to it.
    pub fn encode(&self) -> WireFrame {
        let payload = self.payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(self.payload);
        let [high, low] = hex_digits(self.sequence);
        let head = [self.kind.letter(), high, low];
        let mut wire = WireFrame::new();
        let mut put = |bytes: &[u8]| {
            // The capacity is that of the largest frame.
            let _ = wire.extend_from_slice(bytes);
        };
        put(&[ESCAPE, APC_START]);
        put(&head);
        for byte in checksum(head, payload).to_be_bytes() {
            put(&hex_digits(byte));
        }
        put(payload);
        put(&[ESCAPE, STRING_END, LINE_FEED]);
        wire
    }
}

fn checksum(head: [u8; 3], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&head);
    hasher.update(payload);
    hasher.finalize()
}

const fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
}

/// Lower-case hexadecimal digits, at most 16, as a number.
fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// Digits of a nonce.
const NONCE_DIGITS: usize = 16;

/// The payload that carries a nonce.
pub(super) fn nonce_payload(nonce: u64) -> [u8; NONCE_DIGITS] {
    let mut digits = [0; NONCE_DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(nonce.to_be_bytes()) {
        pair.copy_from_slice(&hex_digits(byte));
    }
    digits
}

/// The nonce in a payload.
pub(super) fn read_nonce(payload: &[u8]) -> Option<u64> {
    read_hex(payload.get(..NONCE_DIGITS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_as_the_module_says() {
        let frame = Frame { kind: FrameKind::End, sequence: 0xA7, payload: b"{}" };
        let wire = frame.encode();
        // CRC-32 of "Ea7{}" by Python's zlib.crc32.
        assert_eq!(wire.as_slice(), b"\x1b_Ea716f0eeeb{}\x1b\\\n");
        assert_eq!(Frame::parse(&wire[2..wire.len() - 3]), Some(frame));
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let wire = Frame { kind: FrameKind::Data, sequence: 3, payload: b"{\"jsonrpc\":\"2.0\"}" }.encode();
        let body = &wire[2..wire.len() - 3];
        for bit in 0..body.len() * 8 {
            let mut changed = body.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::parse(&changed), None, "bit {bit}");
        }
        assert_eq!(Frame::parse(&body[1..]), None);
        assert_eq!(Frame::parse(b""), None);
    }

    #[test]
    fn nonces_round_trip() {
        for nonce in [1, 0x0123_4567_89AB_CDEF, u64::MAX] {
            assert_eq!(read_nonce(&nonce_payload(nonce)), Some(nonce));
        }
        assert_eq!(read_nonce(b"0123456789abcdef, and later extensions"), Some(0x0123_4567_89AB_CDEF));
        assert_eq!(read_nonce(b"0123456789ABCDEF"), None);
        assert_eq!(read_nonce(b"0123"), None);
    }
}
