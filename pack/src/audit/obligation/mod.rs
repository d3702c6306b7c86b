//! What licenses ask of who passes a program on.
//!
//! A table by license, read in the licenses' own texts; no opinion of a lawyer. What is not in the table asks for its text, which no license forbids.
//!
//! Not responsible for: whether a license may be used at all, and what a site asks for beyond the licenses.

mod evaluate;
mod table;

use serde::Serialize;

pub use evaluate::{Duties, duties_of};

/// One thing that a license asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// The license's text and the notices of copyright go with every copy.
    Text,
    /// A file `NOTICE`, where there is one, goes with every copy.
    NoticeFile,
    /// Changes are stated.
    Changes,
    /// The source of the files that the license covers can be had.
    Source,
    /// The source comes with the program, or with an offer in writing that anybody may take up.
    Offer,
    /// Who gets a program that the library is linked into can link it with a changed library.
    Relink,
    /// Who uses the program over a network can get its source.
    NetworkSource,
    /// Who gets a device can install a changed program on it.
    Installation,
}

impl Duty {
    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::NoticeFile => "notice-file",
            Self::Changes => "changes",
            Self::Source => "source",
            Self::Offer => "offer",
            Self::Relink => "relink",
            Self::NetworkSource => "network-source",
            Self::Installation => "installation",
        }
    }

    /// Returns what it is, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Text => "pass on the license's text and the notices of copyright",
            Self::NoticeFile => "pass on the file NOTICE, where there is one",
            Self::Changes => "state what was changed",
            Self::Source => "make the source of what the license covers available",
            Self::Offer => {
                "let the complete source and the scripts that build it come with the program, or a written offer of it"
            }
            Self::Relink => {
                "let the library be replaced: shared, or with the objects to link again"
            }
            Self::NetworkSource => {
                "offer the source to who uses the program over a network, if it was changed"
            }
            Self::Installation => {
                "of devices for consumers: pass on what is needed to install a changed program"
            }
        }
    }
}
