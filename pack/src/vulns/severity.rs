//! How bad a vulnerability is. Pure.

use std::{fmt, str::FromStr};

use cvss::Cvss;
use serde::{Serialize, Serializer};

/// How bad a vulnerability is, on the scale of CVSS.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Below 4.0.
    Low,
    /// From 4.0 on.
    Medium,
    /// From 7.0 on.
    High,
    /// From 9.0 on.
    Critical,
}

/// The text is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of `low`, `medium`, `high`, `critical`")]
pub struct UnknownSeverity {
    /// The text.
    pub text: String,
}

/// What a record says of how bad it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rating {
    /// The step of the scale.
    pub severity: Severity,
    /// The score of the vector; none where the record has a word only.
    pub score: Option<Score>,
    /// The vector.
    pub vector: Option<String>,
}

/// A score from 0.0 to 10.0, in tenths; written with one digit behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub u8);

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Rating {
    /// Reads a CVSS vector of version 3.0, 3.1 or 4.0; none if it is not one, or says that nothing is harmed.
    #[must_use]
    pub fn of_vector(vector: &str) -> Option<Self> {
        let parsed: Cvss = vector.parse().ok()?;
        // A score is at most 10, and has one digit behind the point.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a score is between 0 and 10"
        )]
        let tenths = (parsed.score() * 10.0).round().clamp(0.0, 100.0) as u8;
        let severity = match tenths {
            0 => return None,
            1..40 => Severity::Low,
            40..70 => Severity::Medium,
            70..90 => Severity::High,
            _ => Severity::Critical,
        };
        Some(Self {
            severity,
            score: Some(Score(tenths)),
            vector: Some(vector.to_owned()),
        })
    }

    /// Reads a word, as GitHub and Debian have it.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim_end_matches('*').to_ascii_lowercase();
        let severity = match word.as_str() {
            "low" | "unimportant" => Severity::Low,
            "medium" | "moderate" => Severity::Medium,
            "high" | "important" => Severity::High,
            "critical" => Severity::Critical,
            _ => return None,
        };
        Some(Self {
            severity,
            score: None,
            vector: None,
        })
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        [Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| UnknownSeverity {
                text: text.to_owned(),
            })
    }
}

impl Severity {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_scores_of_the_specifications() {
        for (vector, expected) in [
            (
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                "9.8 critical",
            ),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "6.1 medium"),
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "7.8 high"),
            ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L", "1.6 low"),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                "9.3 critical",
            ),
        ] {
            let rating = Rating::of_vector(vector).unwrap();
            let found = format!("{} {}", rating.score.unwrap(), rating.severity);
            assert_eq!(found, expected, "{vector}");
        }
        for vector in [
            "",
            "9.8",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N",
        ] {
            assert_eq!(Rating::of_vector(vector), None, "{vector}");
        }
    }

    #[test]
    fn words_are_those_of_github_and_debian() {
        for (word, severity) in [
            ("MODERATE", Some(Severity::Medium)),
            ("high**", Some(Severity::High)),
            ("unimportant", Some(Severity::Low)),
            ("not yet assigned", None),
        ] {
            assert_eq!(
                Rating::of_word(word).map(|rating| rating.severity),
                severity
            );
        }
    }
}
