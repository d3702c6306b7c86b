//! Days, in which the ends of keys are written.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

use super::TrustError;
use crate::id::serde_as_text;

/// A day in UTC from 1970-01-01 to 9999-12-31, printed, parsed and serialised as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(NaiveDate);

impl Date {
    /// Returns the first second after the day, counted from 1970.
    #[must_use]
    pub fn end(self) -> u64 {
        let end = (self.0 + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        end.timestamp().unsigned_abs()
    }
}

impl FromStr for Date {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;
        let date = text.parse().ok().map(Self);
        // Other ways to write a day are read by the library and are none here.
        let date = date.filter(|date| YEARS.contains(&date.0.year()) && date.to_string() == text);
        date.ok_or_else(|| TrustError::Date {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(Date);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}|.{10}") {
            if let Ok(date) = text.parse::<Date>() {
                prop_assert_eq!(date.to_string(), text);
            }
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut end = 0;
        for year in 1970..=9999 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Ok(date) = format!("{year:04}-{month:02}-{day:02}").parse::<Date>() {
                        assert_eq!(date.end(), end + 24 * 60 * 60, "{date}");
                        end = date.end();
                    }
                }
            }
        }
        assert_eq!(end, 253_402_300_800, "the year 10000");
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "",
            "2027-1-1",
            "2027-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-01-00",
            "2027-04-31",
            "1969-12-31",
            "+027-01-01",
            "2027/01/01",
            "2027-01-01 ",
            "2027-01-01T00:00:00Z",
            "20270-01-01",
            "٢٠27-01-01",
            "2027-01-é",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
        assert!("2000-02-29".parse::<Date>().is_ok());
    }
}
