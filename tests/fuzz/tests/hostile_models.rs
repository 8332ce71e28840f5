//! Model files whose structure is whole and whose contents are hostile: scales, weights, vocabulary, chat template. Each is refused, or
//! the request ends, with a reason that names what is wrong; and the engine goes on.

use barellama_abi::request::{RecordKind, RequestKind};
use barellama_engine::template::{Memory, Message, Problem, render};
use barellama_fuzz::engine_bench::{CheckingKernel, make_arena, open_and_serve, request};
use barellama_fuzz::heap;
use barellama_fuzz::model_file::{ModelFile, Weights, kind, smallest};

/// Opens a model and asks it twice; whether it was accepted and what was said about errors.
fn ask(file: &ModelFile) -> (bool, String) {
    ask_to(RequestKind::Generate, file)
}

/// The same with another kind of request.
fn ask_to(kind: RequestKind, file: &ModelFile) -> (bool, String) {
    make_arena();
    let question = || request(kind, 2, RecordKind::User, "ab");
    let kernel = CheckingKernel::with(vec![question(), question()]);
    let is_accepted = open_and_serve(&kernel, &file.build());
    assert_eq!(kernel.finished(), 2 + u32::from(!is_accepted), "every request is ended");
    (is_accepted, kernel.errors())
}

/// Where a tensor's data lie.
fn place(file: &ModelFile, name: &str) -> usize {
    file.tensors.iter().find(|tensor| tensor.name == name).expect("the file has the tensor").offset as usize
}

#[test]
fn scales_that_are_no_numbers_are_refused_by_tensor() {
    // The types that are interleaved: F16 scales at the start of a block of so many bytes.
    for (weights, bytes) in [(Weights::ALL[0], 34), (Weights::ALL[1], 18), (Weights::ALL[2], 20)] {
        for scale in [0x7C00u16, 0xFC00, 0x7E00, 0x7C01] {
            let mut file = smallest(weights);
            let at = place(&file, "blk.0.ffn_up.weight") + 9 * bytes;
            file.data[at..at + 2].copy_from_slice(&scale.to_le_bytes());
            let (is_accepted, said) = ask(&file);
            assert!(!is_accepted, "{weights:?}");
            assert!(
                said.contains("row 9 of the tensor blk.0.ffn_up.weight is not a finite number"),
                "{weights:?}: {said}"
            );
        }
    }
}

/// Weights of plain types and norms are not looked at before: what comes of them is.
#[test]
fn logits_that_are_no_numbers_end_the_request() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut file = smallest(Weights::ALL[0]);
        let at = place(&file, "output_norm.weight");
        file.data[at..at + 4].copy_from_slice(&value.to_le_bytes());
        for request in [RequestKind::Generate, RequestKind::Score] {
            let (is_accepted, said) = ask_to(request, &file);
            assert!(is_accepted);
            assert!(
                said.contains("is not a finite number; is the model file damaged?"),
                "{value}, {request:?}: {said}"
            );
        }
    }
}

#[test]
fn a_hostile_vocabulary_is_refused_with_its_fault() {
    let intact = || smallest(Weights::ALL[0]);
    let scores = |value: f32| [value; 41].iter().flat_map(|score| score.to_le_bytes()).collect::<Vec<u8>>();
    let types = |value: i32| [value; 41].iter().flat_map(|kind| kind.to_le_bytes()).collect::<Vec<u8>>();
    let long = "x".repeat(5000);
    let mut tokens = vec!["x"; 41];
    tokens[7] = &long;
    let cases = [
        ("tokenizer.ggml.model", intact().without("tokenizer.ggml.model")),
        ("wordpiece", intact().text("tokenizer.ggml.model", "wordpiece")),
        ("tokenizer.ggml.tokens", intact().without("tokenizer.ggml.tokens")),
        ("token_type", intact().array("tokenizer.ggml.token_type", kind::I32, 2, &types(1)[..8])),
        ("scores", intact().array("tokenizer.ggml.scores", kind::F32, 2, &scores(0.0)[..8])),
        ("score of token 0 is not a number", intact().array("tokenizer.ggml.scores", kind::F32, 41, &scores(f32::NAN))),
        ("token 0 is a byte", intact().array("tokenizer.ggml.token_type", kind::I32, 41, &types(6))),
        ("bos_token_id", intact().u32("tokenizer.ggml.bos_token_id", 41)),
        ("tokens", intact().texts("tokenizer.ggml.tokens", &tokens)),
        ("no_such", intact().text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "no_such")),
    ];
    for (part, file) in cases {
        let (is_accepted, said) = ask(&file);
        assert!(!is_accepted, "{part}");
        assert!(said.starts_with("the tokenizer: ") && said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_hostile_chat_template_ends_the_request_and_nothing_else() {
    for (part, template) in [
        ("syntax error", "{% for %}"),
        ("too much work", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        ("nested too deeply", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        ("is not supported", "{% include 'x' %}"),
        ("refuses these messages: no", "{{ raise_exception('no') }}"),
    ] {
        let (is_accepted, said) = ask(&smallest(Weights::ALL[0]).text("tokenizer.chat_template", template));
        assert!(is_accepted);
        assert_eq!(said.matches(part).count(), 2, "{template}: {said}");
    }
}

/// About what the engine keeps for requests.
const HEAP_BYTES: usize = 3 << 20;

/// An allocation that fails would end the engine: what a template takes is known before.
#[test]
fn a_chat_template_that_wants_all_memory_ends_before_it_has_it() {
    let many = |part: &str| part.repeat((64 << 10) / part.len() - 1);
    let templates = [
        "{% set ns = namespace(t='x') %}{% for i in range(40) %}{% set ns.t = ns.t + ns.t %}{% endfor %}".to_owned(),
        "{{ range(100000) | list }}".to_owned(),
        "{% for a in range(50000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}".to_owned(),
        "{% set t = 'xy' * 900000 %}{% for c in t %}{% endfor %}".to_owned(),
        "{{ ('a ' * 400000).split() | join('--------') }}".to_owned(),
        "{{ ('a' * 900000) | reverse }}{{ ('a' * 900000)[::-1] }}".to_owned(),
        "{{ (['x' * 50000] * 9) | tojson }}{{ ('\"' * 800000) | tojson }}".to_owned(),
        many("{{a}}"),
        many("{%if a%}{%endif%}"),
        format!("{{{{ [{}] }}}}", many("1,")),
        format!("{{{{ a{} }}}}", many("|b")),
        format!("{{{{ a{} }}}}", many("+a")),
        format!("{{{{ f({}) }}}}", many("a,")),
    ];
    let messages = [Message { role: "user", content: "hello" }];
    let left = || HEAP_BYTES.saturating_sub(heap::used());
    let mut refused = 0;
    for template in templates {
        let source = template.get(..64 << 10).unwrap_or(&template);
        let (rendered, peak) = heap::peak_of(|| render(source, &messages, "<s>", "</s>", true, Memory::new(left)));
        let start = source.get(..40).unwrap_or(source);
        assert!(peak <= HEAP_BYTES, "{start}: {peak} bytes");
        refused += usize::from(rendered.is_err_and(|error| error.problem == Problem::OutOfMemory));
    }
    assert!(refused >= 6, "only {refused} were refused for their memory");
}
