//! The kinds of apps, and what each is recognised by.

use std::fmt;
use std::str::FromStr;

/// How an app is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Cargo.
    Rust,
    /// Go modules.
    Go,
    /// npm.
    Node,
    /// Python, from wheels.
    Python,
    /// CMake.
    Cmake,
    /// Meson.
    Meson,
    /// A Makefile.
    Make,
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no kind of app; known are {}", Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind {
    /// The text.
    pub text: String,
}

impl Kind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 7] = [
        Self::Rust,
        Self::Go,
        Self::Node,
        Self::Python,
        Self::Cmake,
        Self::Meson,
        Self::Make,
    ];

    /// Returns the name, which is also that of the file in the collection's `lib`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Node => "node",
            Self::Python => "python",
            Self::Cmake => "cmake",
            Self::Meson => "meson",
            Self::Make => "make",
        }
    }

    /// Returns the files of which one says that such an app lies here, the most telling first.
    pub fn markers(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["Cargo.toml"],
            Self::Go => &["go.mod"],
            Self::Node => &["package.json"],
            Self::Python => &["pyproject.toml", "requirements.txt"],
            Self::Cmake => &["CMakeLists.txt"],
            Self::Meson => &["meson.build"],
            Self::Make => &["GNUmakefile", "makefile", "Makefile"],
        }
    }

    /// Returns the files of which one pins the dependencies, the one that is preferred first.
    pub fn locks(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["Cargo.lock"],
            Self::Go => &["go.sum"],
            Self::Node => &["package-lock.json"],
            Self::Python => &["uv.lock", "poetry.lock", "pylock.toml", "requirements.txt"],
            Self::Cmake | Self::Meson | Self::Make => &[],
        }
    }

    /// Returns what tools leave in such a project, which is no source of it.
    pub(super) fn made_by_tools(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["target"],
            Self::Node => &["node_modules"],
            Self::Python => &[".venv", "__pycache__"],
            Self::Go | Self::Cmake | Self::Meson | Self::Make => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownKind {
            text: text.to_owned(),
        })
    }
}
