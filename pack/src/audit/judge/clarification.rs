//! What a policy has to say where only a person can read what a license is: ready to be put into it.

use crate::audit::inventory::{Unit, copyright_place};

/// Returns a `[[clarify]]` for the copyright file of a package of Debian; for a component that has none, one by its name and version.
///
/// The words are what is clarified where there are any: so it holds for each version that has the same, and for none that has others.
pub(super) fn clarification(unit: &Unit) -> Option<String> {
    let subject = match unit.copyright_findings().next() {
        Some(finding) => {
            let place = copyright_place(&finding.path);
            format!("notice = \"sha256:{}\" # {place}", finding.notice)
        }
        None if unit.is_debian() => {
            let version = unit.version.as_ref();
            let version = version.map(|version| format!("@{version}"));
            format!(
                "component = \"{}{}\"",
                unit.name,
                version.unwrap_or_default()
            )
        }
        None => return None,
    };
    Some(format!(
        "[[clarify]]\n{subject}\nexpression = \"…\"\nreason = \"…\"\nowner = \"…\""
    ))
}
