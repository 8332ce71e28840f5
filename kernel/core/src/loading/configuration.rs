//! `barellama.txt` and what follows from it at once.

use core::fmt::Write as _;

use barellama_shell::config;
use barellama_storage::StorageError;

use crate::kernel_loop::Kernel;

/// A receiver follows a rate that is off by so much, in percent: half a bit after ten of them is 5, shared by both ends.
const BAUD_TOLERANCE_PERCENT: u64 = 2;

impl Kernel {
    /// Applies `barellama.txt`, once; a card without it is fine.
    pub(super) fn read_config(&mut self) {
        if core::mem::replace(&mut self.loading.is_config_read, true) {
            return;
        }
        let length = match self.loading.card.read_beginning(config::FILE_NAME, self.loading.config) {
            Ok(length) => length,
            Err(StorageError::FileNotFound) => return,
            Err(error) => return self.say(format_args!("{}: {error}", config::FILE_NAME)),
        };
        let baud = self.console.settings.baud;
        let mut out = self.console.out;
        let mut problems = 0;
        self.console.editor.before_output(&mut out);
        let bytes = &self.loading.config[..length];
        let applied = config::apply(bytes, self.console.settings, &mut |problem| {
            problems += 1;
            log::warn!("{problem}");
            // The serial line takes everything.
            let _ = write!(out, "{problem}\r\n");
        });
        self.console.editor.after_output(&mut out);
        log::info!("{}: {applied} settings applied, {problems} problems", config::FILE_NAME);
        self.read_template_file();
        if self.console.settings.baud != baud {
            self.change_baud(baud);
        }
        self.engine.cores = self.facts.cores.min(match self.console.settings.cores {
            0 => self.facts.cores,
            cores => cores as usize,
        });
    }

    /// Takes the rate of the settings into use; the one before stays if the UART cannot reach it.
    fn change_baud(&mut self, before: u32) {
        let wanted = self.console.settings.baud;
        let reached = self.serial.nearest_baud(wanted);
        if u64::from(reached.abs_diff(wanted)) * 100 > u64::from(wanted) * BAUD_TOLERANCE_PERCENT {
            self.console.settings.baud = before;
            return self.say(format_args!(
                "{}: baud: the UART reaches {reached} bit/s instead of {wanted}: it stays at {before}.",
                config::FILE_NAME
            ));
        }
        self.say(format_args!("The serial line goes on at {wanted} bit/s."));
        self.serial.set_baud(wanted);
    }
}
