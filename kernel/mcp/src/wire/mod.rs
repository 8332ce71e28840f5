//! One serial line for people and programs.
//!
//! The line is in one of three modes ([`Mode`]). In *console* mode bytes are what people type and read. In *plain* mode each line
//! is a JSON-RPC message. In *checked* mode messages travel in frames with sequence numbers and checksums, and what is outside
//! frames is still text for people: a kernel's log or a panic.
//!
//! # The frame
//!
//! ```text
//!   ESC _  kind  seq  crc32     payload        ESC \  LF
//!   1B 5F  1     2    8         0..=240 bytes  1B 5C  0A
//! ```
//!
//! - `kind`: one ASCII letter, see below.
//! - `seq`: two lower-case hexadecimal digits.
//! - `crc32`: eight lower-case hexadecimal digits, most significant first: CRC-32 (ISO-HDLC, as in zlib) over `kind`, the two digits
//!   of `seq` and the payload.
//! - payload: bytes without ESC and LF; JSON text on one line has neither, so nothing is escaped.
//!
//! The brackets are ECMA-48's APC string: terminals do not show it. The LF is for line-wise readers; a receiver takes the frame at
//! `ESC \` and drops a LF that follows directly.
//!
//! | kind | name   | `seq`                      | payload                                                              |
//! |------|--------|----------------------------|----------------------------------------------------------------------|
//! | `D`  | data   | number of this frame       | part of a message, more follows                                      |
//! | `E`  | end    | number of this frame       | last part of a message (the message's LF is not sent)                |
//! | `A`  | ack    | number expected next       | empty; all frames before it have arrived                             |
//! | `N`  | resend | number expected next       | empty; the same, and what was sent from there on shall be sent again |
//! | `H`  | hello  | `00`                       | the host's nonce: 16 lower-case hexadecimal digits, not all zero     |
//! | `h`  | answer | `00`                       | the nonce of the session; all zero: there is no session              |
//! | `L`  | log    | `01`: more of it follows   | board: a line of the log, for whoever asked by an empty `L`; needs no session |
//!
//! Data frames are numbered modulo 256 in each direction, from 0 after a hello. At most [`WINDOW_FRAMES`] are unacknowledged; a receiver
//! takes them in order only (go-back-N). A hello with a new nonce is a new host: the board drops what the old one had asked for and
//! both start again at 0. A hello with the nonce of the session is only answered. The host sends no data before the answer came. A board
//! without a session answers frames with a zero `h`, so that the host notices a reset of the board at once.
//! An end that has no room for data ignores it and acknowledges what it has, so that the sender keeps the rest and knows that the other
//! end is there; when there is room it asks for the rest by `N`.
//! Receivers ignore what follows the 16 digits: room for later extensions.

mod frame;
mod line;
mod link;
mod log_lines;
mod mode;
mod protocol;
mod receiver;
mod transmit;

pub use frame::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub use line::{Line, LineAssembler};
pub use link::Link;
pub use log_lines::{log_frames, log_request};
pub use mode::{Mode, detect_plain_start, is_console_command};
pub use protocol::{LinkCounts, Received, Role};
pub use transmit::{Timing, WINDOW_FRAMES};
