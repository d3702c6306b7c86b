//! What each license asks for, by its section.

use super::Duty::{
    self, Changes, Installation, NetworkSource, NoticeFile, Offer, Relink, Source, Text,
};

/// The licenses whose names begin so ask for this; the first row that fits counts.
const BY_BEGINNING: [(&str, &[Duty]); 17] = [
    // AGPL-3.0 §6, §13.
    (
        "AGPL-",
        &[Text, Changes, Source, Offer, NetworkSource, Installation],
    ),
    // GPL-3.0 §4 to §6.
    ("GPL-3.0", &[Text, Changes, Source, Offer, Installation]),
    // GPL-2.0 §1 to §3, GPL-1.0 §1 to §3.
    ("GPL-", &[Text, Changes, Source, Offer]),
    // LGPL-3.0 §4; LGPL-2.1 §6, LGPL-2.0 §6.
    ("LGPL-", &[Text, Changes, Source, Offer, Relink]),
    // MPL-2.0 §3.2, MPL-1.1 §3.
    ("MPL-", &[Text, Source]),
    // EPL-2.0 §3.
    ("EPL-", &[Text, Source]),
    // CDDL-1.0 §3.
    ("CDDL-", &[Text, Source]),
    // EUPL-1.2 §5.
    ("EUPL-", &[Text, Changes, Source]),
    // Artistic-2.0 §4, §5; Artistic-1.0 §4.
    ("Artistic-", &[Text, Changes, Source]),
    // OSL-3.0 §3, §5.
    ("OSL-", &[Text, Changes, Source, NetworkSource]),
    // CECILL-2.1 §5.3.
    ("CECILL-2", &[Text, Source]),
    // Sleepycat: sources of the software and of what uses it.
    ("Sleepycat", &[Text, Source]),
    // SSPL-1.0 §13.
    ("SSPL-", &[Text, Changes, Source, Offer, NetworkSource]),
    // Apache-2.0 §4.
    ("Apache-2.0", &[Text, NoticeFile, Changes]),
    ("Apache-1.1", &[Text]),
    // CC-BY-SA-4.0 §3, CC-BY-4.0 §3.
    ("CC-BY", &[Text, Changes]),
    ("OFL-", &[Text]),
];

/// Licenses that ask for nothing when a program is passed on without its source.
const FREE: [&str; 8] = [
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MIT-0",
    "Unlicense",
    "WTFPL",
    "Zlib",
    "blessing",
];

/// Returns what a license asks for, by its name in SPDX.
pub(super) fn duties(license: &str) -> &'static [Duty] {
    if FREE.contains(&license) || license.starts_with("LicenseRef-public-domain") {
        return &[];
    }
    let mut rows = BY_BEGINNING.iter();
    rows.find(|(beginning, _)| license.starts_with(beginning))
        .map_or(&[Text], |(_, duties)| duties)
}
