//! What comes out, in pieces and as a whole, however the bytes are cut.

use alloc::string::ToString;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use super::*;

/// What is emitted for each push, then at the end, and whether a stop string was reached.
fn streamed(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
    let mut stream = TextStream::new(stops);
    let mut emitted = Vec::new();
    for piece in pieces {
        let mut text = String::new();
        stream.push(piece, &mut |part| text.push_str(part));
        emitted.push(text);
    }
    let mut rest = String::new();
    let is_stopped = stream.finish(&mut |part| rest.push_str(part));
    emitted.push(rest);
    (emitted, is_stopped)
}

fn whole(stops: &[&str], pieces: &[&[u8]]) -> (String, bool) {
    let (emitted, is_stopped) = streamed(stops, pieces);
    (emitted.concat(), is_stopped)
}

#[test]
fn characters_come_out_when_they_are_complete() {
    let (emitted, _) = streamed(&[], &[b"a\xE2", b"\x82", b"\xACb"]);
    assert_eq!(emitted, ["a", "", "€b", ""]);
}

#[test]
fn bytes_that_cannot_become_a_character_are_replaced_at_once() {
    let (emitted, _) = streamed(&[], &[b"a\xFFb", b"\xE2\x82", b"x\xC3"]);
    assert_eq!(emitted, ["a\u{FFFD}b", "", "\u{FFFD}x", "\u{FFFD}"]);
}

#[test]
fn what_may_begin_a_stop_string_is_held_back() {
    let (emitted, is_stopped) = streamed(&["###"], &[b"a#", b"#", b"b##"]);
    assert_eq!((emitted, is_stopped), (["a", "", "##b", "##"].map(String::from).to_vec(), false));
}

#[test]
fn the_text_is_cut_at_the_stop_string() {
    assert_eq!(whole(&["</s>"], &[b"one <", b"/s> two", b"three"]), ("one ".to_string(), true));
    assert_eq!(whole(&["\u{20AC}"], &[b"1\xE2\x82", b"\xAC2"]), ("1".to_string(), true));
    assert_eq!(whole(&[""], &[b"abc"]), ("abc".to_string(), false));
    // It may begin inside what looked like its beginning.
    assert_eq!(whole(&["aab"], &[b"a", b"a", b"a", b"b"]), ("a".to_string(), true));
}

#[test]
fn the_stop_string_that_is_complete_first_counts() {
    assert_eq!(whole(&["abcd", "c"], &[b"abcd"]), ("ab".to_string(), true));
    assert_eq!(whole(&["c", "bc"], &[b"abcd"]), ("a".to_string(), true));
}

#[test]
fn nothing_comes_out_after_a_stop_string() {
    let mut stream = TextStream::new(&["x"]);
    let mut text = String::new();
    assert!(stream.push(b"ax", &mut |part| text.push_str(part)));
    assert!(stream.push(b"b", &mut |part| text.push_str(part)));
    assert!(stream.finish(&mut |part| text.push_str(part)));
    assert_eq!(text, "a");
}

#[test]
fn the_result_does_not_depend_on_how_the_bytes_are_cut() {
    let mut random = Pcg32::seed_from_u64(4);
    let parts: [&[u8]; 8] = [b"a", b"ab", b"ba", b"\xE2\x82\xAC", b"\xE2\x82", b"\xF0\x9F", b"\xFF", b"b"];
    for _ in 0..3000 {
        let count = random.next_u32() % 12;
        let bytes: Vec<u8> =
            (0..count).flat_map(|_| parts[random.next_u32() as usize % parts.len()].iter().copied()).collect();
        let stops = ["abab", "bb", "\u{FFFD}a", "€€"];
        let expected = whole(&stops, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(whole(&stops, &single), expected);
        let unstopped = whole(&[], &[&bytes]).0;
        assert_eq!(unstopped, String::from_utf8_lossy(&bytes));
        assert!(unstopped.starts_with(&expected.0));
        assert!(stops.iter().all(|stop| !expected.0.contains(stop)));
        assert_eq!(expected.1, stops.iter().any(|stop| unstopped.contains(stop)));
    }
}

#[test]
fn long_repetitive_stop_strings_take_linear_time() {
    let stop = "a".repeat(100_000) + "b";
    let text = "a".repeat(99_999) + "c";
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(whole(&[&stop], &pieces), (text.clone(), false));
}
