//! Chat templates that are known by name, for files that bring none or a wrong one.

/// No template: the texts of the messages, one behind the other, for the model to continue.
pub const NONE: &str = "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}\
                        {% endfor %}";

/// The template of that name in [`barellama_abi::request::TEMPLATE_NAMES`]; `auto` is the file's own and not here.
#[must_use]
pub fn named(name: &str) -> Option<&'static str> {
    Some(match name {
        "none" => NONE,
        "zephyr" => include_str!("builtin/zephyr.jinja"),
        "chatml" => include_str!("builtin/chatml.jinja"),
        "llama2" => include_str!("builtin/llama2.jinja"),
        "llama3" => include_str!("builtin/llama3.jinja"),
        _ => return None,
    })
}
