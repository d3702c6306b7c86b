//! The dates of release files.

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_A_DAY: u64 = 86_400;

/// Reads `Sat, 11 Jul 2026 10:16:37 UTC` as seconds since 1970; `None` for any other form.
pub(super) fn parse(text: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    let (_weekday, day, month, year, time, zone) = (
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
        words.next()?,
    );
    if words.next().is_some() || !matches!(zone, "UTC" | "GMT" | "+0000" | "Z") {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let in_range = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 61
        && parts.next().is_none();
    if !in_range {
        return None;
    }
    // "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant, `days_from_civil`.
    let from_march = (month + 9) % 12;
    let years = year - u64::from(month <= 2);
    let days =
        years * 365 + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day - 1;
    let seconds =
        (days.checked_sub(719_468)?) * SECONDS_A_DAY + hours * 3600 + minutes * 60 + seconds;
    Some(seconds)
}

/// Prints seconds since 1970 as `2026-07-11T10:16:37Z`.
pub(super) fn to_text(seconds: u64) -> String {
    // The same source, `civil_from_days`.
    let days = seconds / SECONDS_A_DAY + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let time = seconds % SECONDS_A_DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_of_a_release_is_read() {
        for (text, seconds, printed) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0, "1970-01-01T00:00:00Z"),
            (
                "Sat, 11 Jul 2026 10:16:37 UTC",
                1_783_764_997,
                "2026-07-11T10:16:37Z",
            ),
            (
                "Thu, 29 Feb 2024 23:59:59 GMT",
                1_709_251_199,
                "2024-02-29T23:59:59Z",
            ),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(to_text(seconds), printed);
        }
    }

    #[test]
    fn another_form_is_none() {
        for text in [
            "",
            "Sat, 11 Jul 2026 10:16:37",
            "Sat, 11 Jul 2026 10:16:37 CET",
            "Sat, 11 Foo 2026 10:16:37 UTC",
            "Sat, 11 Jul 2026 25:16:37 UTC",
            "Sat, 11 Jul 99999999999999999 10:16:37 UTC",
            "Sat, 11 Jul 1969 10:16:37 UTC",
            "Sat, 11 Jul 2026 10:16 UTC",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_has_the_fields_that_were_read(day in 1_u64..29, month in 0_usize..12, year in 1970_u64..2200) {
            let text = format!("Mon, {day:02} {} {year} 01:02:03 UTC", MONTHS[month]);
            let printed = to_text(parse(&text).unwrap());
            prop_assert_eq!(printed, format!("{year:04}-{:02}-{day:02}T01:02:03Z", month + 1));
        }
    }
}
