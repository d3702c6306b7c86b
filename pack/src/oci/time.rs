//! The time that an image claims to be of.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};

use super::OciError;

/// The last year that RFC 3339 can write.
const LAST_YEAR: i32 = 9999;

/// A time to the second, between 1970 and 9999.
///
/// Parsed from RFC 3339, in any time zone, or from seconds since 1970, as `SOURCE_DATE_EPOCH` has them; printed as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Default for Timestamp {
    /// One second after the epoch: what an image says of which nobody says otherwise. Some tools take 0 for "not known".
    fn default() -> Self {
        Self(DateTime::UNIX_EPOCH + chrono::Duration::seconds(1))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl FromStr for Timestamp {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let time = if is_number {
            let seconds = text.parse().ok();
            seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        } else {
            let time = DateTime::parse_from_rfc3339(text).ok();
            time.map(|time| time.to_utc())
        };
        let is_plain = |time: &DateTime<Utc>| {
            time.timestamp() >= 0 && time.year() <= LAST_YEAR && time.nanosecond() == 0
        };
        let time = time.filter(is_plain).ok_or_else(|| OciError::Time {
            text: text.to_owned(),
        })?;
        Ok(Self(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_any_time_zone_are_printed_in_utc() {
        for (text, printed) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1", "1970-01-01T00:00:01Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("253402300799", "9999-12-31T23:59:59Z"),
            ("2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z"),
            ("2026-11-22T03:00:00+02:00", "2026-11-22T01:00:00Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(time));
        }
        assert_eq!("1".parse(), Ok(Timestamp::default()));
    }

    #[test]
    fn what_is_no_time_or_has_parts_of_a_second_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            " 1",
            "now",
            "2026-11-22",
            "2026-11-22T03:00:00",
            "2026-02-30T03:00:00Z",
            "2026-11-22T03:00:00.5Z",
            "1969-12-31T23:59:59Z",
            "253402300800",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }
}
