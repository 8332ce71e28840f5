use super::*;
use crate::test_random::Random;
use alloc::string::{String as Text, ToString};
use barellama_abi::request::Request;

fn set(settings: &mut Settings, key: &str, value: &str) -> Result<&'static SettingInfo, SettingError> {
    settings.set(key, value, Source::File)
}

fn error(key: &str, value: &str) -> Text {
    let mut settings = Settings::new();
    let message = set(&mut settings, key, value).unwrap_err().to_string();
    assert_eq!(settings, Settings::new(), "a bad value changes nothing");
    message
}

fn shown(settings: &Settings, key: &str) -> Text {
    let mut text = Text::new();
    settings.write_value(key, &mut text).unwrap();
    text
}

#[test]
fn the_default_is_deterministic() {
    let settings = Settings::new();
    assert_eq!((settings.sampling.temperature, settings.sampling.repeat_penalty), (0.0, 1.0));
    assert_eq!(settings.request_header(1, RequestKind::Generate).sampling, Sampling::default());
}

#[test]
fn numbers_are_range_checked_and_errors_tell_the_range() {
    let mut settings = Settings::new();
    set(&mut settings, "temperature", "0.7").unwrap();
    set(&mut settings, "seed", "18446744073709551615").unwrap();
    set(&mut settings, "cores", "4").unwrap();
    assert_eq!((settings.sampling.temperature, settings.sampling.seed, settings.cores), (0.7, u64::MAX, 4));
    assert_eq!(error("temperature", "5.1"), "temperature must be 0 to 5");
    assert_eq!(error("temperature", "-0.1"), "temperature must be 0 to 5");
    assert_eq!(error("temperature", "NaN"), "temperature must be 0 to 5");
    assert_eq!(error("top_p", "inf"), "top_p must be 0 to 1");
    assert_eq!(error("cores", "5"), "cores must be 0 to 4");
    assert_eq!(error("sessions", "0"), "sessions must be 1 to 16");
    assert_eq!(error("seed", "99999999999999999999"), "seed must be 0 or more");
    assert_eq!(error("seed", "-1"), "seed is a number, 0 or more");
    assert_eq!(error("max_tokens", "many"), "max_tokens is a number, 0 to 1048576");
    assert_eq!(error("baud", "300"), "baud must be 9600 to 4000000");
}

#[test]
fn texts_may_be_quoted() {
    let mut settings = Settings::new();
    set(&mut settings, "system", "Be \"brief\"\\n").unwrap();
    assert_eq!(settings.system, "Be \"brief\"\\n");
    set(&mut settings, "system", r#""a\n\"b\"\\c""#).unwrap();
    assert_eq!(settings.system, "a\n\"b\"\\c");
    set(&mut settings, "system", "").unwrap();
    assert_eq!(settings.system, "");
    for bad in ["\"open", "\"a\"b", "\"\\x\"", "\"\\", "\""] {
        assert!(error("system", bad).contains("quoted text"), "{bad}");
    }
    assert_eq!(error("model", &"x".repeat(129)), "model is at most 128 bytes long");
}

#[test]
fn stop_strings_are_a_list() {
    let mut settings = Settings::new();
    set(&mut settings, "stop", "\"###|\\nUser:|a\\|b||\"").unwrap();
    assert_eq!(settings.stop, ["###", "\nUser:", "a|b"]);
    assert_eq!(shown(&settings, "stop"), "\"###|\\nUser:|a\\|b\"");
    set(&mut settings, "stop", "").unwrap();
    assert!(settings.stop.is_empty());
    assert!(error("stop", "1|2|3|4|5|6|7|8|9").contains("at most 8 texts of 64 bytes"));
    assert!(error("stop", &"x".repeat(65)).contains("64 bytes"));
}

#[test]
fn unknown_names_and_boot_settings_are_refused_with_advice() {
    assert_eq!(error("temprature", "1"), "there is no such setting; did you mean temperature?");
    assert_eq!(error("quux", "1"), "there is no such setting; /set lists them");
    let refused = Settings::new().set("baud", "9600", Source::Console).unwrap_err();
    assert_eq!(refused.to_string(), "baud applies at boot only: set it in barellama.txt");
}

#[test]
fn every_shown_value_can_be_set_again() {
    let mut settings = Settings::new();
    for (key, value) in
        [("temperature", "0.3"), ("system", "\"a\\n\\\\\""), ("stop", "\"\\||x\""), ("model", "a b.gguf")]
    {
        set(&mut settings, key, value).unwrap();
    }
    let mut copy = Settings::new();
    for info in all() {
        set(&mut copy, info.name, &shown(&settings, info.name)).unwrap();
    }
    assert_eq!(copy, settings);
}

#[test]
fn the_table_is_complete_and_fits_the_screen() {
    for (index, info) in all().iter().enumerate() {
        assert!(info.meaning.chars().count() <= 31, "{}", info.name);
        assert!(all()[..index].iter().all(|earlier| earlier.name != info.name && earlier.key != info.key));
    }
}

#[test]
fn requests_carry_what_is_set() {
    let mut settings = Settings::new();
    for (key, value) in
        [("max_tokens", "9"), ("top_k", "3"), ("stop", "a|b"), ("chat_template", "{{x}}"), ("chunk", "8")]
    {
        set(&mut settings, key, value).unwrap();
    }
    let header = settings.request_header(5, RequestKind::Generate);
    let mut slot = [0; 256];
    let mut writer = RequestWriter::new(&mut slot, header).unwrap();
    settings.write_records(&mut writer).unwrap();
    let length = writer.length();
    let request = Request::parse(&slot[..length]).unwrap();
    assert_eq!((header.max_tokens, header.sampling.top_k, header.chunk_tokens), (9, 3, 8));
    assert_eq!(request.records().filter(|record| record.kind == RecordKind::Stop).count(), 2);
    assert_eq!(request.first(RecordKind::ChatTemplate), Some(b"{{x}}".as_slice()));
}

/// The chat template that requests get.
fn template_record(settings: &Settings) -> Option<Text> {
    let mut slot = [0; 256];
    let mut writer = RequestWriter::new(&mut slot, settings.request_header(5, RequestKind::Generate)).unwrap();
    settings.write_records(&mut writer).unwrap();
    let length = writer.length();
    let request = Request::parse(&slot[..length]).unwrap();
    request.first(RecordKind::ChatTemplate).map(|bytes| Text::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn a_chat_template_is_a_name_jinja_or_a_file() {
    let mut settings = Settings::new();
    assert_eq!((settings.template_file(), template_record(&settings)), (None, None));
    for value in TEMPLATE_NAMES.into_iter().chain(["{{ messages[0].content }}"]) {
        set(&mut settings, "chat_template", value).unwrap();
        assert_eq!((settings.template_file(), template_record(&settings).as_deref()), (None, Some(value)));
    }
    set(&mut settings, "chat_template", "templates/my.jinja").unwrap();
    assert_eq!((settings.template_file(), template_record(&settings)), (Some("templates/my.jinja"), None));
    settings.set_template_text(b"[{{ messages[0].content }}]").unwrap();
    assert_eq!(template_record(&settings).as_deref(), Some("[{{ messages[0].content }}]"));
    // Another value forgets the text of the file.
    set(&mut settings, "chat_template", "other.jinja").unwrap();
    assert_eq!(template_record(&settings), None);
}

#[test]
fn a_file_that_is_no_template_leaves_the_models_own() {
    let too_long = [b'x'; TEMPLATE_BYTES_MAX + 1];
    let cases = [
        (&b" \n"[..], TemplateFileError::Empty),
        (&[0xFF][..], TemplateFileError::NotUtf8),
        (&too_long[..], TemplateFileError::TooLong),
    ];
    for (bytes, error) in cases {
        let mut settings = Settings::new();
        set(&mut settings, "chat_template", "my.jinja").unwrap();
        assert_eq!(settings.set_template_text(bytes), Err(error));
        assert_eq!((settings.template_file(), template_record(&settings)), (None, None));
    }
}

#[test]
fn random_values_never_panic() {
    let parts = ["\"", "\\", "|", "1", "e", ".", "-", "nan", "ü", " ", "n", "999999999999"];
    let mut random = Random::new(3);
    let mut settings = Settings::new();
    for _ in 0..20_000 {
        let value: Text = (0..random.below(8)).map(|_| random.pick(&parts)).collect();
        let info = &all()[random.below(all().len())];
        if let Err(error) = set(&mut settings, info.name, &value) {
            assert!(!error.to_string().is_empty());
        }
    }
}
