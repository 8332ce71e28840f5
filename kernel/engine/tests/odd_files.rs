//! Files that say the same in another way than converters do.

#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../../../model-loader/gguf/tests/support/model_file.rs"]
mod model_file;
mod support;

use barellama_abi::request::{RecordKind, RequestHeader, RequestKind};
use model_file::{ModelFile, Weights, kind, smallest};
use support::engine::{Ask, FakeKernel, boot, lines, run};
use support::interleaved;

/// What the engine says of a file: one line a step, with the bits of the best logits.
fn score(file: Vec<u8>) -> String {
    let header = RequestHeader { kind: RequestKind::Score, max_tokens: 4, ..RequestHeader::default() };
    let request = Ask::new(header).ids(RecordKind::TokenIds, &[1, 4, 7, 8, 5]).build();
    let answers = run(&interleaved(file), &boot(0), &FakeKernel::default(), vec![request]);
    assert_eq!(answers.len(), 2, "{}", answers[0].error);
    assert_eq!(answers[1].error, "");
    assert_eq!(answers[1].json.lines().count(), 4, "{}", answers[1].json);
    answers[1].json.clone()
}

/// The file with its tensors at multiples of `alignment`, each `gap` multiples behind the one before, in the given order of the table.
fn laid_out(file: &ModelFile, alignment: usize, gap: usize, is_reversed: bool) -> Vec<u8> {
    let mut file = file.clone().u32("general.alignment", alignment as u32);
    let mut starts: Vec<usize> = file.tensors.iter().map(|tensor| tensor.offset as usize).collect();
    starts.sort_unstable();
    if is_reversed {
        file.tensors.reverse();
    }
    let old = std::mem::take(&mut file.data);
    for tensor in &mut file.tensors {
        let start = tensor.offset as usize;
        let end = starts.iter().copied().find(|next| *next > start).unwrap_or(old.len());
        let place = file.data.len().next_multiple_of(alignment) + gap * alignment;
        file.data.resize(place, 0xEE);
        file.data.extend(&old[start..end]);
        tensor.offset = place as u64;
    }
    let mut bytes = file.front();
    bytes.resize(bytes.len().next_multiple_of(alignment), 0xEE);
    // A copy whose allocation lies at a multiple of 16, as the kernel's does.
    [bytes, file.data].concat()
}

#[test]
fn tensors_may_lie_anywhere() {
    for weights in Weights::ALL {
        let file = smallest(weights);
        let expected = score(file.build());
        for (alignment, gap, is_reversed) in [(32, 0, true), (16, 1, true), (64, 0, false), (65_536, 1, true)] {
            let found = score(laid_out(&file, alignment, gap, is_reversed));
            assert_eq!(found, expected, "{weights:?}, alignment {alignment}, gap {gap}, reversed {is_reversed}");
        }
        assert_eq!(score([file.build(), vec![0xEE; 5000]].concat()), expected, "{weights:?}, bytes behind the tensors");
    }
}

/// What does not lie at a multiple of 16 is not interleaved: ggml's kernels multiply it, whose sums may end in another bit.
#[test]
fn tensors_may_lie_at_multiples_of_eight() {
    for weights in Weights::ALL {
        let file = smallest(weights);
        let expected = lines(&score(file.build()));
        for gap in [1, 2, 5] {
            let found = lines(&score(laid_out(&file, 8, gap, false)));
            for (found, expected) in found.iter().zip(&expected) {
                let best = |step: &serde_json::Value| step["top"][0][1].as_f64().unwrap();
                assert_eq!(found["id"], expected["id"], "{weights:?}, gap {gap}");
                assert!((best(found) - best(expected)).abs() < 0.02 * best(expected).abs(), "{weights:?}, gap {gap}");
            }
        }
    }
}

#[test]
fn keys_may_have_other_types_and_others_may_be_missing_or_lie() {
    let file = smallest(Weights::ALL[0]);
    let expected = score(file.build());
    let heads = [2u32.to_le_bytes(), 2u32.to_le_bytes()].concat();
    let same: [(&str, ModelFile); 9] = [
        ("u64", file.clone().key("llama.attention.head_count", kind::U64, &2u64.to_le_bytes())),
        ("u8", file.clone().key("llama.attention.head_count", 0, &[2])),
        ("i32", file.clone().key("llama.attention.head_count", kind::I32, &2i32.to_le_bytes())),
        ("f64", file.clone().key("llama.attention.layer_norm_rms_epsilon", 12, &f64::from(1e-5f32).to_le_bytes())),
        ("an equal value per layer", file.clone().array("llama.attention.head_count", kind::U32, 2, &heads)),
        (
            "defaults that are said",
            file.clone().f32("llama.rope.freq_base", 10_000.0).u32("llama.rope.dimension_count", 16),
        ),
        ("a file type that lies", file.clone().u32("general.file_type", 7)),
        ("one file of one", file.clone().key("split.count", 2, &1u16.to_le_bytes())),
        ("no name", file.clone().without("general.name")),
    ];
    for (name, file) in same {
        assert_eq!(score(file.build()), expected, "{name}");
    }
    let many = (0..3000).fold(file.clone(), |file, number| file.u32(&format!("somebody.else.{number}"), number));
    assert_eq!(score(many.build()), expected, "keys of somebody else");
}
