//! License expressions: SPDX 3.0.1, annex B, with nothing tolerated.

use spdx::{Expression, ParseMode};

/// Returns what is wrong with `text`, if anything is.
pub(super) fn check_license(text: &str) -> Option<String> {
    let error = Expression::parse_mode(text, ParseMode::STRICT).err()?;
    let part = text.get(error.span.clone()).unwrap_or_default().trim();
    let part = if part.is_empty() { text } else { part };
    Some(format!("`{}`: {}", part.escape_debug(), error.reason))
}

#[cfg(test)]
mod tests {
    use super::check_license;

    #[test]
    fn expressions_are_strict() {
        for right in [
            "MIT",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            "(MIT OR Apache-2.0) AND BSD-3-Clause",
            "LicenseRef-mine",
        ] {
            assert_eq!(check_license(right), None);
        }
        for wrong in [
            "",
            "GPL",
            "GPL-2.0",
            "mit",
            "MIT/Apache-2.0",
            "MIT AND",
            "(MIT",
            "GPLv2+",
        ] {
            assert!(check_license(wrong).is_some(), "{wrong}");
        }
    }
}
