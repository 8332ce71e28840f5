//! The chat template, if it is a file of the card.

use barellama_abi::request::TEMPLATE_NAMES;
use heapless::String;

use crate::kernel_loop::Kernel;

/// Longest part of the file's path that messages show, and longest path that is looked for, in bytes.
const PATH_BYTES: usize = 128;

impl Kernel {
    /// Reads the file that `chat_template` names, if it names one. What is wrong with it is said; the model's own template is used then.
    pub fn read_template_file(&mut self) {
        let settings = &mut *self.console.settings;
        let Some(value) = settings.template_file() else { return };
        let mut path = String::<PATH_BYTES>::new();
        // Cannot fail: it is cut to the capacity.
        let _ = path.push_str(&value[..value.floor_char_boundary(PATH_BYTES)]);
        match self.loading.card.read_small_file(&path, self.loading.config) {
            Ok(length) => {
                if let Err(error) = settings.set_template_text(&self.loading.config[..length]) {
                    self.say(format_args!("chat_template: {path}: {error}. The model's own is used."));
                }
            }
            Err(error) => {
                settings.forget_template();
                self.say(format_args!(
                    "chat_template: {path}: {error}. The model's own is used; the known names are {TEMPLATE_NAMES:?}."
                ));
            }
        }
    }
}
