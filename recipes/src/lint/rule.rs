//! The table of rules.

use std::fmt;

/// Whether a finding has to be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It has to be.
    Error,
    /// It should be looked at.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One rule. Its code is what `accept` in a recipe and scripts name it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table says what each one is")]
pub enum Rule {
    NotEvaluated,
    LicenseMissing,
    LicenseInvalid,
    DescriptionMissing,
    HomepageMissing,
    CpeMissing,
    CpeInvalid,
    SourceInsecure,
    SourceUnpinned,
    SourceSingle,
    RecipeLong,
    TestMissing,
    AcceptUnknown,
    AcceptUnneeded,
    HeadersInOut,
    StaticInOut,
    DocsInOut,
    ToolchainPath,
    KernelRelease,
    SeedReference,
    NotReproducible,
    SmokeFailed,
}

/// What the table says of a rule: code, severity, way out.
type Row = (Rule, &'static str, Severity, &'static str);

use Severity::{Error, Warning};

const TABLE: &[Row] = &[
    (
        Rule::NotEvaluated,
        "not-evaluated",
        Error,
        "see `pith show` of the package",
    ),
    (
        Rule::LicenseMissing,
        "license-missing",
        Error,
        "add `license`, an SPDX expression of what the source's own files say",
    ),
    (
        Rule::LicenseInvalid,
        "license-invalid",
        Error,
        "use identifiers of https://spdx.org/licenses/, joined by `AND`, `OR` and `WITH`; `LicenseRef-NAME` for one that has none",
    ),
    (
        Rule::DescriptionMissing,
        "description-missing",
        Error,
        "add `description`, one line",
    ),
    (
        Rule::HomepageMissing,
        "homepage-missing",
        Error,
        "add `homepage`, the project's own",
    ),
    (
        Rule::CpeMissing,
        "cpe-missing",
        Error,
        "add `cpe = \"vendor:product\"` as the vulnerability databases spell it, or `purl` where they do not know it",
    ),
    (
        Rule::CpeInvalid,
        "cpe-invalid",
        Error,
        "`stdenv` makes the name from `cpe = \"vendor:product\"`; else it is `cpe:2.3:a:` and ten more fields",
    ),
    (
        Rule::SourceInsecure,
        "source-insecure",
        Error,
        "use `https://` or `mirror://`",
    ),
    (
        Rule::SourceUnpinned,
        "source-unpinned",
        Error,
        "name a release or a commit, whose file never changes",
    ),
    (
        Rule::SourceSingle,
        "source-single",
        Warning,
        "add a second URL of the same bytes, or a `mirror://`",
    ),
    (
        Rule::RecipeLong,
        "recipe-long",
        Warning,
        "move what other recipes need too to `lib/`, and scripts to files beside the recipe",
    ),
    (
        Rule::TestMissing,
        "test-missing",
        Error,
        "add `smoke = [\"bin/NAME --version\"]`, or `check` with the library's own tests",
    ),
    (
        Rule::AcceptUnknown,
        "accept-unknown",
        Error,
        "`pith lint --rules` lists the codes",
    ),
    (
        Rule::AcceptUnneeded,
        "accept-unneeded",
        Warning,
        "remove it from `accept`",
    ),
    (
        Rule::HeadersInOut,
        "headers-in-out",
        Error,
        "add \"dev\" to `outputs`, which takes headers and pkg-config files",
    ),
    (
        Rule::StaticInOut,
        "static-in-out",
        Error,
        "add \"dev\" to `outputs`, which takes static libraries, or `remove` them",
    ),
    (
        Rule::DocsInOut,
        "docs-in-out",
        Error,
        "`fixup` removes them from `share`; `remove` those elsewhere, or add \"doc\" to `outputs`",
    ),
    (
        Rule::ToolchainPath,
        "toolchain-path",
        Error,
        "the text is of the machine that built it and means nothing elsewhere: leave it out by a flag, a patch or `remove`",
    ),
    (
        Rule::KernelRelease,
        "kernel-release",
        Error,
        "another machine has another kernel, and other bits: tell the build what to write instead of asking `uname`",
    ),
    (
        Rule::SeedReference,
        "seed-reference",
        Error,
        "find it with `pith why`, and use what the package brings itself",
    ),
    (
        Rule::NotReproducible,
        "not-reproducible",
        Error,
        "`pith build --rounds 2` names the files that differ",
    ),
    (
        Rule::SmokeFailed,
        "smoke-failed",
        Error,
        "`pith run` starts the program in the same surroundings",
    ),
];

impl Rule {
    /// Returns every rule, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Returns the name by which recipes and scripts know it.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// Returns whether it has to be kept.
    pub fn severity(self) -> Severity {
        self.row().2
    }

    /// Returns what to do about a finding.
    pub fn way_out(self) -> &'static str {
        self.row().3
    }

    /// Returns the rule with this code.
    pub fn find(code: &str) -> Option<Self> {
        Self::all().find(|rule| rule.code() == code)
    }

    fn row(self) -> &'static Row {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .expect("the table has a row for each rule, says a test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_row_and_a_code_of_its_own() {
        let last = Rule::SmokeFailed as usize;
        let rules: Vec<usize> = Rule::all().map(|rule| rule as usize).collect();
        assert_eq!(rules, (0..=last).collect::<Vec<_>>());
        for rule in Rule::all() {
            assert_eq!(Rule::find(rule.code()), Some(rule));
            assert!(!rule.way_out().ends_with('.'), "{}", rule.code());
        }
    }
}
