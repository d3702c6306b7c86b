//! Numbers as people read them.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// `size_bytes` with a decimal unit and one digit after the point: `1.5 MB`.
pub(crate) fn human_bytes(size_bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if size_bytes < 1000 {
        return format!("{size_bytes} B");
    }
    let mut tenths = u128::from(size_bytes) * 10;
    let mut unit = "B";
    for next in UNITS {
        tenths = (tenths + 500) / 1000;
        unit = next;
        if tenths < 10_000 {
            break;
        }
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// `duration` in the unit that fits: `12 ms`, `1.5 s`, `2 min 05 s`.
pub(crate) fn human_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else if milliseconds < 60_000 {
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    } else {
        let seconds = duration.as_secs();
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// `seconds` since 1970 as a date and a time of day: `2026-11-21 09:05 UTC`.
pub(crate) fn human_time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(DateTime::from_timestamp_secs);
    time.unwrap_or(DateTime::<Utc>::MAX_UTC)
        .format("%F %R UTC")
        .to_string()
}

/// `count` and `noun`, with an `s` unless there is exactly one.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_one_digit() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1949, "1.9 kB"),
            (12_700_000, "12.7 MB"),
            (999_960, "1.0 MB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(human_bytes(size), text);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_735_689_599, "2024-12-31 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(human_time(seconds), text);
        }
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1500, "1.5 s"),
            (125_000, "2 min 05 s"),
        ] {
            assert_eq!(human_duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
