//! The configuration file.

use barellama_shell::config::apply;
use barellama_shell::settings::{Settings, Source, all};

/// Any bytes as `barellama.txt`.
pub fn run(data: &[u8]) {
    let mut settings = Settings::new();
    let mut problems = 0;
    let applied = apply(data, &mut settings, &mut |problem| {
        let text = problem.to_string();
        assert!(!text.contains(['\n', '\r', '\x1b']), "a problem is one harmless line: {text:?}");
        problems += 1;
    });
    let lines = data.split(|&byte| byte == b'\n').count();
    assert!(applied <= lines && problems <= lines + 1, "each line is applied or reported, and the file once");
    for info in all() {
        let mut written = String::new();
        settings.write_value(info.name, &mut written).expect("the setting exists");
        let mut again = Settings::new();
        let result = again.set(info.name, &written, Source::File);
        assert!(result.is_ok(), "{} = {written} was accepted before", info.name);
        let mut twice = String::new();
        again.write_value(info.name, &mut twice).expect("the setting exists");
        assert_eq!(written, twice, "{}", info.name);
    }
}
