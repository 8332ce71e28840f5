//! The dates that files have on a card: those of their sources, in UTC, or SOURCE_DATE_EPOCH for all of them, so that an image can be
//! made again byte by byte (reproducible-builds.org, "SOURCE_DATE_EPOCH").

use std::ffi::OsStr;
use std::fs::Metadata;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fatfs::{Date, DateTime, Time, TimeProvider};
use time::OffsetDateTime;

use super::CardError;

/// 1980-01-01 and 2107-12-31 23:59:58, the first and the last second that FAT knows, in seconds since 1970.
const FIRST_SECOND: u64 = 315_532_800;
const LAST_SECOND: u64 = 4_354_819_198;

/// The clock of the file system that is being written: it stands at the date of the file that is being copied.
#[derive(Debug)]
pub(super) struct Dates {
    /// Seconds since 1970, in UTC.
    now: AtomicU64,
    epoch: Option<u64>,
}

impl Dates {
    /// Before the first file. `epoch` is the value of SOURCE_DATE_EPOCH, if it is set; empty is as good as not set.
    ///
    /// # Errors
    /// [`CardError::Epoch`] if it is no number: an image that was meant to be made again byte by byte would not be.
    pub(super) fn new(epoch: Option<&OsStr>) -> Result<Self, CardError> {
        let text = epoch.map(OsStr::to_string_lossy).filter(|text| !text.trim().is_empty());
        let number = text.map(|text| text.trim().parse().map_err(|_| CardError::Epoch(text.into_owned())));
        Ok(Self { now: AtomicU64::new(FIRST_SECOND), epoch: number.transpose()? })
    }

    /// What is written from now on has the date of this source.
    pub(super) fn follow(&self, source: &Metadata) {
        let changed = source.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let seconds = self.epoch.or(changed.map(|since| since.as_secs())).unwrap_or(FIRST_SECOND);
        self.now.store(seconds, Ordering::Relaxed);
    }
}

impl TimeProvider for Dates {
    fn get_current_date(&self) -> Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> DateTime {
        date_time(self.now.load(Ordering::Relaxed))
    }
}

/// The date, in UTC, of a second since 1970, or the nearest one that FAT knows.
fn date_time(seconds: u64) -> DateTime {
    let seconds = seconds.clamp(FIRST_SECOND, LAST_SECOND);
    let date = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds);
    DateTime {
        date: Date { year: date.year() as u16, month: u8::from(date.month()).into(), day: date.day().into() },
        time: Time { hour: date.hour().into(), min: date.minute().into(), sec: date.second().into(), millis: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: u64) -> String {
        let DateTime { date, time } = date_time(seconds);
        let (year, month, day) = (date.year, date.month, date.day);
        format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}", time.hour, time.min, time.sec)
    }

    #[test]
    fn the_epoch_stands_for_all_dates() {
        let source = std::fs::metadata(env!("CARGO_MANIFEST_DIR")).unwrap();
        let year = |epoch: Option<&str>| {
            let dates = Dates::new(epoch.map(OsStr::new)).unwrap();
            dates.follow(&source);
            dates.get_current_date().year
        };
        assert_eq!(year(Some("1000000000")), 2001);
        assert!(year(None) > 2001 && year(Some("")) > 2001);
    }

    #[test]
    fn an_epoch_that_is_no_number_is_refused() {
        for text in ["yesterday", "-1", "1e9", "2025-11-26"] {
            let error = Dates::new(Some(OsStr::new(text))).unwrap_err().to_string();
            assert!(error.starts_with(&format!("SOURCE_DATE_EPOCH is {text:?}: ")), "{error}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        // By `date -u -d @SECONDS`.
        for (seconds, date) in [
            (0, "1980-01-01 00:00:00"),
            (FIRST_SECOND, "1980-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_825_600, "2000-02-29 12:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_735_689_599, "2024-12-31 23:59:59"),
            (1_764_152_096, "2025-11-26 10:14:56"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (LAST_SECOND, "2107-12-31 23:59:58"),
            (u64::MAX, "2107-12-31 23:59:58"),
        ] {
            assert_eq!(text(seconds), date, "{seconds}");
        }
    }
}
