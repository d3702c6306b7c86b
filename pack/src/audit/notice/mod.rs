//! The notices that go with an image: the texts of licenses as they were found in the sources, who holds the copyright, and what each license asks for.
//!
//! A text is printed as it lay in its source, byte for byte; equal ones are printed once, with all that they are of. There is no canonical text to fall back to: a
//! component whose license asks for its text and that has none is a finding, N101. Equal closures have equal notices.
//!
//! Not responsible for: whether the licenses allow what is done.

mod collect;
mod html;
mod text;

use serde::Serialize;

use super::{GatherError, obligation::Duties};

/// All notices of a closure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is of.
    pub subject: String,
    /// The components, by name and version; all outputs of one are one.
    pub components: Vec<NoticeComponent>,
    /// The texts, in the order of the first component that has them; each once.
    pub texts: Vec<NoticeText>,
    /// What has no text and should.
    pub missing: Vec<MissingText>,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeComponent {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it declares as its license.
    pub license: Option<String>,
    /// Its home page.
    pub homepage: Option<String>,
    /// What the license asks for.
    pub duties: Duties,
    /// Statements of copyright, ascending, each once.
    pub copyrights: Vec<String>,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeText {
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// What it says, as it was found.
    pub bytes: Vec<u8>,
    /// What it is of: the component's place in the list, and the file in its sources.
    pub of: Vec<(usize, String)>,
}

/// A component without a text, finding N101.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingText {
    /// Always `N101`.
    pub code: &'static str,
    /// The component.
    pub component: String,
    /// Its version.
    pub version: Option<String>,
    /// Its license.
    pub license: Option<String>,
    /// Why there is none.
    pub reason: &'static str,
}

/// Why notices cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// A text could not be read.
    #[error(transparent)]
    Facts(#[from] GatherError),
}
