//! Days, in which the ends of keys are written.

use std::{fmt, str::FromStr};

use super::TrustError;
use crate::id::serde_as_text;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
/// Days of 400 years of the Gregorian calendar, after which it repeats.
const DAYS_AN_ERA: u32 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_BEFORE_1970: u32 = 719_468;

/// A day in UTC from 1970-01-01 to 9999-12-31, printed, parsed and serialised as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Returns the day of the Gregorian calendar; `None` if there is no such day in the range.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        if year >= 1970 && year <= 9999 && day >= 1 && day <= days {
            Some(Self { year, month, day })
        } else {
            None
        }
    }

    /// Returns the first second after the day, counted from 1970.
    #[must_use]
    pub fn end(self) -> u64 {
        // "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant, `days_from_civil`: years begin in March, so that the leap day is their last.
        let (month, day) = (u32::from(self.month), u32::from(self.day));
        let year = u32::from(self.year) - u32::from(month <= 2);
        let (era, year) = (year / 400, year % 400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year * 365 + year / 4 - year / 100 + day_of_year;
        let days = era * DAYS_AN_ERA + day_of_era - DAYS_BEFORE_1970;
        (u64::from(days) + 1) * SECONDS_A_DAY
    }
}

impl FromStr for Date {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| all_digits)
        };
        let small = |from, to| number(from, to).and_then(|number| u8::try_from(number).ok());
        let separated =
            text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        match (number(0, 4), small(5, 7), small(8, 10)) {
            (Some(year), Some(month), Some(day)) if separated => Self::new(year, month, day),
            _ => None,
        }
        .ok_or_else(|| TrustError::Date {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

serde_as_text!(Date);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(year in 1970_u16..=9999, month in 1_u8..=12, day in 1_u8..=31) {
            if let Some(date) = Date::new(year, month, day) {
                prop_assert_eq!(date.to_string().parse(), Ok(date));
            }
        }

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
                    if let Some(date) = Date::new(year, month, day) {
                        assert_eq!(date.end(), end + SECONDS_A_DAY, "{date}");
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
