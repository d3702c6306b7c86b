//! A day of the calendar, without a time zone.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate};
use serde::{Serialize, Serializer};

/// A day: exceptions end with one, and an audit is made on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

/// The text is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day of the form `2026-12-31`")]
pub struct NotADay(pub String);

impl Day {
    /// Returns the day of the calendar, if there is one.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self)
    }

    /// Returns the day in UTC of a time in seconds since 1970; of a time that no calendar has, the last one.
    #[must_use]
    pub fn of_seconds(seconds: u64) -> Self {
        let time = i64::try_from(seconds)
            .ok()
            .and_then(DateTime::from_timestamp_secs);
        Self(time.map_or(NaiveDate::MAX, |time| time.date_naive()))
    }

    /// Returns the day of the calendar.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// Returns how many days `later` comes after this one; negative if before.
    #[must_use]
    pub fn days_until(self, later: Self) -> i64 {
        (later.0 - self.0).num_days()
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let wrong = || NotADay(text.to_owned());
        // Chrono also takes one digit, signs and years of five.
        if text.len() != 10
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
        {
            return Err(wrong());
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Self)
            .map_err(|_| wrong())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_printed_as_it_is_read() {
        for text in ["2026-11-22", "2024-02-29", "0001-01-01"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in [
            "2026-02-29",
            "2026-1-1",
            "26-01-01",
            "2026-01-01T00:00",
            "",
            "+026-01-01",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_on_its_day_in_utc() {
        assert_eq!(Day::of_seconds(0).to_string(), "1970-01-01");
        assert_eq!(Day::of_seconds(1_709_251_199).to_string(), "2024-02-29");
        let (a, b): (Day, Day) = ("2026-11-22".parse().unwrap(), "2027-11-22".parse().unwrap());
        assert_eq!((a.days_until(b), b.days_until(a)), (365, -365));
    }
}
