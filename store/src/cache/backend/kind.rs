//! The kinds of files that a cache has.

/// A kind of file, and the folder in which all files of that kind lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `b/`
    PlanHint,
    /// `c/`
    Closure,
    /// `gc/`
    Collection,
    /// `log/`
    Log,
    /// `n/`
    NameHint,
    /// `o/`
    Object,
    /// `p/`
    Pack,
    /// `r/`
    Realisations,
    /// `t/`
    Manifest,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::PlanHint,
        Self::Closure,
        Self::Collection,
        Self::Log,
        Self::NameHint,
        Self::Object,
        Self::Pack,
        Self::Realisations,
        Self::Manifest,
    ];

    /// Returns the folder's name, without a slash.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::PlanHint => "b",
            Self::Closure => "c",
            Self::Collection => "gc",
            Self::Log => "log",
            Self::NameHint => "n",
            Self::Object => "o",
            Self::Pack => "p",
            Self::Realisations => "r",
            Self::Manifest => "t",
        }
    }
}
