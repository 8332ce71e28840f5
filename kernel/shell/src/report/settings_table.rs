//! What `/set` shows.

use crate::settings::{Applies, Kind, Settings, all};
use core::fmt::{Result, Write};

const VALUE_CHARACTERS: usize = 12;

/// Writes all settings with their values and ranges; `*`: applies at boot only, `+`: when a model is
/// loaded.
///
/// # Errors
/// Those of `out`.
pub fn settings_table(settings: &Settings, out: &mut dyn Write) -> Result {
    write!(out, "  {:<19} {:<12} {:<13} meaning\r\n", "setting", "value", "range")?;
    for info in all() {
        let mark = match info.applies {
            Applies::NextRequest => ' ',
            Applies::NextLoad => '+',
            Applies::Boot => '*',
        };
        let mut value = Shortened::default();
        settings.write(info, &mut value)?;
        let mut range: heapless::String<32> = heapless::String::new();
        let _ = match info.kind {
            Kind::Integer(least, u64::MAX) => write!(range, "{least}.."),
            Kind::Integer(least, most) => write!(range, "{least}..{most}"),
            Kind::Decimal(least, most) => write!(range, "{least}..{most}"),
            Kind::Text(_) | Kind::StopStrings | Kind::Choice(_) => write!(range, "{}", info.kind),
        };
        write!(out, "{mark} {:<19} {:<12} {range:<13} {}\r\n", info.name, value.text, info.meaning)?;
    }
    out.write_str("* applies at boot: set it in barellama.txt. + applies from the next /load on.\r\n/set KEY shows a whole value.\r\n")
}

/// The start of a value, with dots if there was more.
#[derive(Default)]
struct Shortened {
    text: heapless::String<{ VALUE_CHARACTERS * 4 }>,
    characters: usize,
}

impl Write for Shortened {
    fn write_str(&mut self, text: &str) -> Result {
        for character in text.chars() {
            self.characters += 1;
            match self.characters {
                ..VALUE_CHARACTERS => self.text.push(character).map_err(|_| core::fmt::Error)?,
                VALUE_CHARACTERS => self.text.push('~').map_err(|_| core::fmt::Error)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rows;
    use crate::settings::Source;

    #[test]
    fn every_setting_has_a_row_that_fits() {
        let mut settings = Settings::new();
        settings.set("system", "You are a very patient teacher.", Source::Console).unwrap();
        settings.set("seed", "18446744073709551615", Source::Console).unwrap();
        let rows = rows(|out| settings_table(&settings, out));
        assert_eq!(rows[0], "  setting             value        range         meaning");
        assert_eq!(rows[1], "  temperature         0            0..5          0: greedy, higher: more random");
        assert!(rows.iter().any(|row| row.starts_with("  system              \"You are a ~ 2048 bytes    system")));
        assert!(rows.iter().any(|row| row.starts_with("+ context             0 ")));
        assert_eq!(rows.len(), all().len() + 3);
    }
}
