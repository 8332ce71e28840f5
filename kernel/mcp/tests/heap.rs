//! The worst accepted lines stay under the heap that the crate promises. One test per process image: the allocator counts all of it.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use barellama_mcp::{HEAP_BYTES_MAX, LINE_BYTES_MAX};
use support::Host;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; only counters are kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
    // `realloc` is the default one: allocate, copy, free. Both blocks count, as in the kernel's pool.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Heap that a line takes at its worst moment, its work included.
fn peak_of(host: &mut Host, line: &str) -> usize {
    assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
    let before = USED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    host.server.receive_line(line.as_bytes(), 0, &mut host.outbox);
    let peak = PEAK.load(Ordering::Relaxed) - before;
    let tickets: Vec<_> = host.works().iter().map(support::ticket).collect();
    tickets.into_iter().for_each(|ticket| host.server.fail(ticket, ""));
    host.flush();
    peak
}

fn fill(before: &str, piece: &str, after: &str) -> String {
    let room = LINE_BYTES_MAX - before.len() - after.len();
    [before, &piece.repeat(room / piece.len()), after].concat()
}

/// At most `count` pieces, so that the bounds on elements do not refuse the line.
fn fill_some(before: &str, piece: &str, after: &str, count: usize) -> String {
    let room = LINE_BYTES_MAX - before.len() - after.len();
    [before, &piece.repeat((room / piece.len()).min(count)), after].concat()
}

#[test]
fn the_worst_accepted_line_of_each_shape_stays_under_the_bound() {
    let call = |tool: &str, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{{arguments}"#
        )
    };
    let prompt = |name: &str, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{{"name":"{name}","arguments":{{{arguments}"#
        )
    };
    let keys: String = (0..230).map(|key| format!(r#""{key:0>270}":"\n","#)).collect();
    let shapes = [
        ("prompt", fill(&call("generate", r#""prompt":""#), "x", r#""}}}"#)),
        ("prompt with escapes", fill(&call("generate", r#""prompt":""#), "\\n", r#""}}}"#)),
        ("prompt, one escape", fill(&call("generate", r#""prompt":"\n"#), "x", r#""}}}"#)),
        ("tokens", fill_some(&call("detokenize", r#""tokens":[1"#), ",2", "]}}}", 16_000)),
        ("score", fill_some(&call("score", r#""tokens":[1],"forced":[1"#), ",2", "]}}}", 16_000)),
        (
            "messages",
            fill_some(
                &call("chat", r#""messages":[{"role":"user","content":"a"}"#),
                r#",{"role":"user","content":""}"#,
                "]}}}",
                255,
            ),
        ),
        (
            "messages with escapes",
            fill_some(
                &call("chat", r#""messages":[{"role":"user","content":"a"}"#),
                r#",{"role":"user","content":"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"}"#,
                "]}}}",
                255,
            ),
        ),
        ("stop texts", fill_some(&call("generate", r#""prompt":"x","stop":["a""#), ",\"\\n\"", "]}}}", 10_000)),
        ("benchmark", call("benchmark", r#""prompt_tokens":8192}}}"#)),
        ("unknown argument", fill(&call("generate", r#""prompt":"x",""#), "k", r#"":1}}}"#)),
        ("model", fill(&call("models", r#""action":"load","name":""#), "\\n", r#""}}}"#)),
        ("prompt text", fill(&prompt("rewrite", r#""text":""#), "\\\"", r#""}}}"#)),
        ("template text", fill(&prompt("chat_template", r#""message":""#), "\\\"", r#""}}}"#)),
        ("prompt arguments", [&prompt("rewrite", ""), keys.trim_end_matches(','), "}}}"].concat()),
        ("uri", fill(r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":""#, "\\n", r#""}}"#)),
        ("method", fill(r#"{"jsonrpc":"2.0","id":1,"method":""#, "\\n", r#""}"#)),
        ("nesting", fill(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"#, "[", "")),
        ("batch", fill_some("[1", ",{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", "]", 31)),
        ("array", fill_some("[1", ",1", "]", 16_000)),
        (
            "other meta",
            fill_some(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"x":[1"#, ",[]", "]}}}", 8_000),
        ),
    ];
    let mut worst = ("", 0);
    for revision in ["2025-03-26", "2025-11-25"] {
        let mut host = Host::legacy(revision);
        for (name, line) in &shapes {
            let peak = peak_of(&mut host, line);
            println!("{revision} {name}: {peak} bytes of heap for {} bytes", line.len());
            if peak > worst.1 {
                worst = (name, peak);
            }
        }
    }
    assert!(worst.1 <= HEAP_BYTES_MAX, "{worst:?}");
    assert!(worst.1 > HEAP_BYTES_MAX / 4, "the bound is far from the truth: {worst:?}");
}
