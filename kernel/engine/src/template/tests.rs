//! What templates render must be what Jinja renders: `tests/reference/template` was written by Jinja 3.1 set up as in the
//! `transformers` library.

extern crate std;

use alloc::format;
use std::path::Path;
use std::time::{Duration, Instant};

use barellama_abi::request::TEMPLATE_NAMES;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};
use serde_json::Value as Json;

use super::*;

const HELLO: [Message<'_>; 1] = [Message { role: "user", content: "Hello" }];

/// The template of SmolLM2-Instruct.
const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}\
    {{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The template of TinyLlama-Chat and of the tiny models.
const TINYLLAMA: &str = "{% for message in messages %}\n{% if message['role'] == 'user' %}\n\
    {{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n\
    {{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n\
    {{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n\
    {% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";

fn cases(name: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match serde_json::from_slice(&bytes) {
        Ok(Json::Array(cases)) => cases,
        other => panic!("{name}: {other:?}"),
    }
}

fn messages_of(case: &Json) -> Vec<Message<'_>> {
    let messages = case["messages"].as_array().unwrap().iter();
    messages
        .map(|message| Message {
            role: message["role"].as_str().unwrap(),
            content: message["content"].as_str().unwrap(),
        })
        .collect()
}

fn rendered(source: &str) -> Result<String, TemplateError> {
    render(source, &HELLO, "<s>", "</s>", true, Memory::endless())
}

fn problem(source: &str) -> Problem {
    rendered(source).unwrap_err().problem
}

fn unsupported(what: &str) -> Problem {
    Problem::Unsupported(String::from(what))
}

/// Jinja fails on the first two: templates for tools loop over `tools`, which is none.
#[test]
fn none_has_no_items() {
    assert_eq!(rendered("{% for tool in tools %}{{ tool }}{% else %}no tools{% endfor %}").as_deref(), Ok("no tools"));
    assert_eq!(rendered("{{ tools | selectattr('name') | list | length }}").as_deref(), Ok("0"));
    assert_eq!(rendered("{{ tools is none }}").as_deref(), Ok("True"));
}

#[test]
fn templates_render_as_in_jinja() {
    let cases = cases("template/cases.json");
    assert!(cases.len() > 100);
    for case in &cases {
        let source = case["template"].as_str().unwrap();
        let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
        let rendered = render(source, &messages_of(case), "<s>", "</s>", add_generation_prompt, Memory::endless());
        assert_eq!(rendered.as_deref(), Ok(case["expected"].as_str().unwrap()), "{}: {source}", case["name"]);
    }
}

#[test]
fn prompts_are_those_of_llama_cpp() {
    for (source, name) in [(SMOLLM2, "smollm2/cases.json"), (TINYLLAMA, "tiny/f16.json")] {
        let cases = cases(name);
        let chats: Vec<&Json> = cases.iter().filter(|case| case["messages"].is_array()).collect();
        assert!(chats.len() >= 5, "{name}");
        for case in chats {
            let rendered = render(source, &messages_of(case), "<s>", "</s>", true, Memory::endless());
            assert_eq!(rendered.as_deref(), Ok(case["templated"].as_str().unwrap()), "{name}: {}", case["name"]);
        }
    }
}

#[test]
fn without_a_template_the_texts_are_continued_as_they_are() {
    assert_eq!(rendered(NONE).as_deref(), Ok("Hello"));
    let messages = [("system", "Be short."), ("user", "Hi"), ("assistant", "Yo"), ("user", "And")];
    let messages = messages.map(|(role, content)| Message { role, content });
    assert_eq!(
        render(NONE, &messages, "<s>", "</s>", true, Memory::endless()).as_deref(),
        Ok("Be short.\nHi\nYo\nAnd")
    );
}

#[test]
fn every_template_that_has_a_name_renders_as_the_original_does_in_jinja() {
    assert_eq!(TEMPLATE_NAMES[0], "auto");
    assert_eq!(named("auto"), None);
    let originals = [("zephyr", "zephyr"), ("chatml", "chatml"), ("llama2", "llama 2,"), ("llama3", "llama 3,")];
    assert_eq!(originals.map(|(name, _)| name).as_slice(), &TEMPLATE_NAMES[2..]);
    for (name, original) in originals {
        let cases = cases("template/cases.json");
        let cases: Vec<&Json> =
            cases.iter().filter(|case| case["name"].as_str().unwrap().starts_with(original)).collect();
        assert_eq!(cases.len(), 6, "{name}");
        for case in cases {
            let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
            let rendered = render(
                named(name).unwrap(),
                &messages_of(case),
                "<s>",
                "</s>",
                add_generation_prompt,
                Memory::endless(),
            );
            assert_eq!(rendered.as_deref(), Ok(case["expected"].as_str().unwrap()), "{name}");
        }
    }
}

#[test]
fn a_template_may_refuse_the_messages() {
    let source = "{% if messages[0].role != 'system' %}\n{{ raise_exception('No ' ~ 'system!') }}{% endif %}";
    let error = rendered(source).unwrap_err();
    assert_eq!(error, TemplateError { line: 2, problem: Problem::Raised(String::from("No system!")) });
    assert_eq!(format!("{error}"), "chat template, line 2: the template refuses these messages: No system!");
}

#[test]
fn what_is_not_supported_is_named() {
    assert_eq!(problem("{% include 'x' %}"), unsupported("the tag \"include\""));
    assert_eq!(problem("{% raw %}{{{% endraw %}"), unsupported("the tag \"raw\""));
    assert_eq!(problem("{{ 2 ** 3 }}"), unsupported("the operator \"**\""));
    assert_eq!(problem("{{ 1 | filesizeformat }}"), unsupported("the filter \"filesizeformat\""));
    assert_eq!(problem("{{ 1 is escaped }}"), unsupported("the test \"escaped\""));
    assert_eq!(problem("{{ 'a'.zfill(3) }}"), unsupported("the method \"zfill\" of a string"));
    assert_eq!(problem("{{ [].append(1) }}"), unsupported("the method \"append\" of a list"));
    assert_eq!(problem("{{ strftime_now('%d') }}"), unsupported("the function \"strftime_now\""));
    assert_eq!(problem("{% for a in b recursive %}{% endfor %}"), unsupported("a recursive loop"));
}

/// An argument that is left out would render something else than the template says.
#[test]
fn arguments_that_are_not_supported_are_named() {
    let argument = |name: &str, callee: &str| unsupported(&format!("the argument \"{name}\" of \"{callee}\""));
    assert_eq!(problem("{{ [1] | tojson(separators=(',', ':')) }}"), argument("separators", "tojson"));
    assert_eq!(problem("{{ {} | tojson(sort_keys=true) }}"), argument("sort_keys", "tojson"));
    assert_eq!(problem("{{ 'é' | tojson(ensure_ascii=true) }}"), argument("ensure_ascii", "tojson"));
    assert_eq!(problem("{{ messages | unique(attribute='role') }}"), argument("attribute", "unique"));
    assert_eq!(problem("{{ 'abc'.startswith('b', 1) }}"), unsupported("an argument 2 of \"startswith\""));
    assert_eq!(problem("{{ 'a\nb'.splitlines(true) }}"), unsupported("an argument 1 of \"splitlines\""));
    assert_eq!(problem("{{ ['a'] | map('trim', 'a', 'b') | list }}"), unsupported("an argument 2 of \"trim\""));
    assert_eq!(rendered("{{ ['é'] | tojson(ensure_ascii=False, sort_keys=false) }}").as_deref(), Ok("[\"é\"]"));
}

#[test]
fn malformed_templates_are_refused_with_their_line() {
    for source in [
        "\n{{",
        "\n{{ 'a }}",
        "\n{% if true %}",
        "\n{% if true %}{% endfor %}",
        "\n{% endif %}",
        "\n{{ 1 + }}",
        "\n{{ a b }}",
        "\n{{ [1, 2 }}",
        "\n{% for x messages %}{% endfor %}",
        "\n{% set x %}",
        "\n{% set 1 = 2 %}",
        "\n{{ a ! b }}",
        "\n{# comment",
        "\n{{ 99999999999999999999 }}",
        "\n{{ a[1:2:3:4] }}",
        "\n{% macro m( %}{% endmacro %}",
    ] {
        let error = rendered(source).unwrap_err();
        assert!(matches!(error.problem, Problem::Syntax(_)), "{source:?}: {error}");
        assert_eq!(error.line, 2, "{source:?}");
    }
}

#[test]
fn operations_that_do_not_fit_are_errors() {
    for source in [
        "{{ nothing.x }}",
        "{{ none['x'] }}",
        "{{ 'a' + 1 }}",
        "{{ 1 / 0 }}",
        "{{ 1 // 0 }}",
        "{{ 1 % 0 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ 'a' < 1 }}",
        "{% for x in 1 %}{% endfor %}",
        "{% for a, b in [1] %}{% endfor %}",
        "{{ 1() }}",
        "{{ 1 in 'a' }}",
        "{{ none | length }}",
        "{{ [1][::0] }}",
        "{{ 'a'.split('') }}",
        "{% set messages.x = 1 %}",
        "{{ -'a' }}",
        "{{ messages | tojson(indent='x') }}",
        "{{ namespace() | tojson }}",
        "{{ range('a') }}",
        "{{ range(1, 2, 0) }}",
    ] {
        assert!(matches!(problem(source), Problem::Invalid(_)), "{source}: {:?}", problem(source));
    }
}

#[test]
fn everything_is_bounded() {
    let start = Instant::now();
    assert_eq!(problem(&" ".repeat(SOURCE_BYTES_MAX + 1)), Problem::SourceTooLong);
    let doubling = "{% set ns = namespace(s='ab') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
    assert_eq!(problem(doubling), Problem::TooMuchWork);
    assert_eq!(
        problem("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        Problem::TooMuchWork
    );
    assert_eq!(problem("{{ range(999999999) }}"), Problem::TooMuchWork);
    assert_eq!(problem("{{ 'ab' * 9223372036854775807 }}"), Problem::TooMuchWork);
    assert_eq!(problem("{% for i in range(70000) %}{{ '0123456789abcdef' }}{% endfor %}"), Problem::OutputTooLong);
    let growing =
        "{% set ns = namespace(s='ab') %}{% for i in range(40) %}{% set ns.s = ns.s|replace('', ns.s) %}{% endfor %}";
    assert_eq!(problem(growing), Problem::TooMuchWork);
    assert_eq!(problem("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), Problem::TooDeep);
    let nesting = "{% set ns = namespace(l=[]) %}{% for i in range(99) %}{% set ns.l = [ns.l] %}{% endfor %}";
    assert_eq!(problem(nesting), Problem::TooDeep);
    assert_eq!(problem("{% set ns = namespace() %}{% set ns.self = ns %}"), Problem::TooDeep);
    assert_eq!(problem("{% set ns = namespace() %}{% set ns.self = [ns] %}"), Problem::TooDeep);
    for (open, close) in [("(", ")"), ("[", "]"), ("not ", ""), ("-", ""), ("{'a':", "}")] {
        assert_eq!(problem(&format!("{{{{ {}1{} }}}}", open.repeat(2000), close.repeat(2000))), Problem::TooDeep);
    }
    assert_eq!(problem(&format!("{}{}", "{% if 1 %}".repeat(500), "{% endif %}".repeat(500))), Problem::TooDeep);
    // Long chains are not deep.
    assert_eq!(rendered(&format!("{{{{ 0{} }}}}", "+1".repeat(5000))).as_deref(), Ok("5000"));
    assert_eq!(rendered(&format!("{{{{ 'a'{} }}}}", "|trim".repeat(2000))).as_deref(), Ok("a"));
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Each core of the engine has a stack of 192 KiB; the deepest template must leave most of it.
#[test]
fn the_deepest_template_needs_little_stack() {
    let deepest = || {
        let value = "(0 or 1 and 1 == 1 + 1 * ".repeat(26);
        let nested = format!("{{{{ {value}1{} }}}}", ")".repeat(26));
        assert_eq!(problem(&nested), Problem::TooDeep);
        let nested = format!("{{{{ {}1{} }}}}", "[".repeat(31), "]".repeat(31));
        assert_eq!(problem(&nested), Problem::TooDeep);
        assert_eq!(
            problem("{% macro m(a) %}{% if 1 %}{{ [m(1)] | map('upper') }}{% endif %}{% endmacro %}{{ m() }}"),
            Problem::TooDeep
        );
    };
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(deepest).unwrap();
    thread.join().unwrap();
}

#[test]
fn damaged_templates_never_panic() {
    let intact: Vec<String> = cases("template/cases.json")
        .iter()
        .map(|case| String::from(case["template"].as_str().unwrap()))
        .chain([SMOLLM2, TINYLLAMA, NONE].map(String::from))
        .collect();
    let parts =
        ["{{", "}}", "{%", "%}", "{#", "#}", "-", "'", "\"", "\\", "[", "(", ")", "|", " if ", " is ", ":", "é", "\n"];
    let mut random = Pcg32::seed_from_u64(5);
    let mut pick = |count: usize| random.next_u32() as usize % count.max(1);
    let mut rendered_count = 0;
    for _ in 0..20_000 {
        let mut characters: Vec<char> = intact[pick(intact.len())].chars().collect();
        for _ in 0..=pick(3) {
            let at = pick(characters.len());
            let end = (at + pick(6)).min(characters.len());
            characters.splice(at..end, parts[pick(parts.len())].chars());
        }
        let source: String = characters.into_iter().collect();
        rendered_count += usize::from(rendered(&source).is_ok());
    }
    assert!(rendered_count > 1000);
}
