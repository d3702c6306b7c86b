//! What a recipe says of its package. Pure.

use super::license::check_license;
use super::{Finding, Rule};
use crate::lang::Package;
use crate::model::{Builder, Derivation, Fetch, Location};

/// The longest recipe that is not worth a remark: what a tall window of an editor shows.
const MAX_LINES: usize = 60;
/// The variables by which `stdenv` hands phases to its builder that test what was built.
const TESTS: [&str; 2] = ["phase_check", "phase_installcheck"];
/// The variable that only what `stdenv` compiles has.
const COMPILED: &str = "phases";
/// Parts of a URL that name something else tomorrow.
const MOVING: [&str; 7] = [
    "latest", "HEAD", "master", "trunk", "nightly", "snapshot", "heads",
];
/// Names of archives of a branch.
const BRANCHES: [&str; 3] = ["main", "master", "HEAD"];

/// The text of the recipe that a package is made in.
#[derive(Clone, Copy, Debug)]
pub struct RecipeText<'a>(pub &'a str);

/// Returns what is wrong with the recipe of `package`, in the order of the rules.
pub fn check_recipe(package: &Package, text: RecipeText<'_>) -> Vec<Finding> {
    let derivation = &package.derivation;
    let metadata = derivation.metadata();
    let origin = derivation.origin();
    let mut findings = Vec::new();
    let mut found = |rule, place: Location, message: String| {
        findings.push(Finding {
            package: package.name.clone(),
            place,
            rule,
            message,
        });
    };
    match &metadata.license {
        None => found(
            Rule::LicenseMissing,
            origin.clone(),
            "has no license".to_owned(),
        ),
        Some(license) => {
            if let Some(problem) = check_license(license) {
                let place = place_of("license", origin, text);
                found(
                    Rule::LicenseInvalid,
                    place,
                    format!("has the license {problem}"),
                );
            }
        }
    }
    if metadata.description.is_none() {
        found(
            Rule::DescriptionMissing,
            origin.clone(),
            "has no description".to_owned(),
        );
    }
    if metadata.homepage.is_none() {
        found(
            Rule::HomepageMissing,
            origin.clone(),
            "has no homepage".to_owned(),
        );
    }
    match &metadata.cpe {
        None if is_compiled(derivation)
            && !fetches(derivation).is_empty()
            && metadata.purl.is_none() =>
        {
            let message = "is compiled from source and has no CPE".to_owned();
            found(Rule::CpeMissing, origin.clone(), message);
        }
        Some(cpe) if !is_cpe(cpe) => {
            let message = format!("has `{}`, which is no CPE", cpe.escape_debug());
            found(Rule::CpeInvalid, place_of("cpe", origin, text), message);
        }
        _ => {}
    }
    for (name, fetch, place) in fetches(derivation) {
        for (rule, message) in check_source(&name, fetch) {
            found(rule, place.clone(), message);
        }
    }
    let lines = text.0.lines().count();
    if lines > MAX_LINES {
        let place = Location {
            line: 1,
            column: 1,
            ..origin.clone()
        };
        found(
            Rule::RecipeLong,
            place,
            format!("has a recipe of {lines} lines"),
        );
    }
    if is_compiled(derivation) && !has_test(derivation) {
        let message = "has no `check`, no `installcheck` and no `smoke`".to_owned();
        found(Rule::TestMissing, origin.clone(), message);
    }
    findings
}

/// The place of an argument of the call at `origin`: the first line from there on that begins with it.
fn place_of(argument: &str, origin: &Location, text: RecipeText<'_>) -> Location {
    let first = usize::try_from(origin.line)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let is_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(argument);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = text.0.lines().enumerate().skip(first);
    match lines.find(|(_, line)| is_it(line)) {
        Some((index, line)) => Location {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            column: u32::try_from(line.len() - line.trim_start().len() + 1).unwrap_or(1),
            ..origin.clone()
        },
        None => origin.clone(),
    }
}

fn fetches(derivation: &Derivation) -> Vec<(String, &Fetch, Location)> {
    let sources = derivation.sources().into_iter();
    sources
        .filter_map(|output| match output.derivation().builder() {
            Builder::Fetch(fetch) => Some((
                output.store_name().to_string(),
                fetch,
                output.derivation().origin().clone(),
            )),
            _ => None,
        })
        .collect()
}

fn is_compiled(derivation: &Derivation) -> bool {
    matches!(derivation.builder(), Builder::Program(program) if program.env.contains_key(COMPILED))
}

fn has_test(derivation: &Derivation) -> bool {
    let has_phase = match derivation.builder() {
        Builder::Program(program) => TESTS.iter().any(|phase| program.env.contains_key(*phase)),
        _ => false,
    };
    has_phase || !derivation.metadata().smoke.is_empty()
}

fn check_source(name: &str, fetch: &Fetch) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    // The page of an index is asked like a file.
    let plain = |url: &String| url.strip_prefix("index+").unwrap_or(url).to_owned();
    let urls: Vec<String> = fetch.urls.iter().map(plain).collect();
    for url in &urls {
        let shown = url.escape_debug();
        if !url.starts_with("https://") && !url.starts_with("mirror://") {
            found.push((Rule::SourceInsecure, format!("has the source `{shown}`")));
        }
        if let Some(part) = moving_part(url) {
            let message =
                format!("has the source `{shown}`, where `{part}` is another one tomorrow");
            found.push((Rule::SourceUnpinned, message));
        }
    }
    // A mirror is many hosts by itself.
    if let [only] = urls.as_slice()
        && !only.starts_with("mirror://")
    {
        let message = format!("has the source `{name}` in one place only");
        found.push((Rule::SourceSingle, message));
    }
    found
}

/// The part of a URL that names a branch or whatever is newest, if there is one.
fn moving_part(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("://")?;
    let parts: Vec<&str> = path.split(['/', '?', '#']).skip(1).collect();
    let last = parts.last()?;
    let branch = BRANCHES.iter().any(|branch| {
        last.strip_prefix(branch)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    let moving = parts.iter().find(|part| MOVING.contains(part));
    moving.or(branch.then_some(last)).copied()
}

/// Whether a text is a name in the form of CPE 2.3: 13 fields, of which those of an application name vendor and product.
fn is_cpe(text: &str) -> bool {
    let fields: Vec<&str> = text.split(':').collect();
    matches!(fields.as_slice(), ["cpe", "2.3", "a" | "o", vendor, product, _, rest @ ..]
        if rest.len() == 7 && !vendor.is_empty() && !product.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_a_branch_is_not_pinned() {
        for (url, part) in [
            (
                "https://example.org/x/archive/main.tar.gz",
                Some("main.tar.gz"),
            ),
            (
                "https://example.org/x/archive/refs/heads/x.zip",
                Some("heads"),
            ),
            ("https://example.org/latest/x-1.0.tar.gz", Some("latest")),
            ("mirror://debian/pool/main/x/x_1.0.orig.tar.gz", None),
            ("https://example.org/maintained/x-1.tgz", None),
        ] {
            assert_eq!(moving_part(url), part, "{url}");
        }
    }

    #[test]
    fn a_cpe_has_thirteen_fields() {
        assert!(is_cpe("cpe:2.3:a:haxx:curl:7.88.1:*:*:*:*:*:*:*"));
        assert!(!is_cpe("haxx:curl"));
        assert!(!is_cpe("cpe:2.3:a::curl:7.88.1:*:*:*:*:*:*:*"));
        assert!(!is_cpe("cpe:2.3:a:haxx:curl:7.88.1:*"));
    }

    #[test]
    fn the_place_is_the_line_of_the_argument() {
        let origin = Location {
            file: "x".to_owned(),
            line: 2,
            column: 1,
        };
        let text = RecipeText("license = 1\nx = f(\n    licenses = 2,\n    license = 3,\n)\n");
        let place = place_of("license", &origin, text);
        assert_eq!((place.line, place.column), (4, 5));
        assert_eq!(place_of("cpe", &origin, text), origin);
    }
}
