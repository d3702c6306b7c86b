//! Vulnerabilities: real-shaped databases as files, software, and what is said of both.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use pack::{
    audit::{Gathered, Part},
    vulns::{
        Claim, Database, DatabaseError, Finding, Fix, Justification, NameRule, Options, Outcome,
        ProblemCode, Relation, Report, Severity, Status, Subject, VexDocument, Wanted, check,
        read_vex, subjects_of_closure, write_vex,
    },
};
use store::{
    Component, ComponentSource, ContainedComponent, MemoryNode, PathInfo,
    facts::{Facts, LinkFacts, LinkInput, LinkKind, Linked, PatchFacts},
    testing::TempStore,
};

use crate::fixture::TestResult;

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const LOW: &str = "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L";

/// An OSV record about a package of a register.
fn record(id: &str, aliases: &[&str], ecosystem: &str, name: &str, affected: &str) -> String {
    let aliases = serde_json::json!(aliases);
    format!(
        r#"{{"schema_version": "1.7.5", "id": "{id}", "modified": "2026-11-20T00:00:00Z", "aliases": {aliases},
        "summary": "about {name}", "severity": [{{"type": "CVSS_V3", "score": "{CRITICAL}"}}],
        "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}}, {affected}}}]}}"#
    )
}

fn before(version: &str) -> String {
    format!(
        r#""ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{version}"}}]}}]"#
    )
}

struct Databases(tempfile::TempDir);

impl Databases {
    fn new() -> std::io::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn write(&self, path: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        fs::write(&path, text)?;
        Ok(path)
    }

    fn directory(&self) -> PathBuf {
        self.0.path().to_path_buf()
    }
}

fn purl(purl: &str) -> Result<Subject, Box<dyn std::error::Error>> {
    let purl: pack::vulns::Purl = purl.parse()?;
    let subject = Subject {
        name: purl.full_name(),
        version: purl.version.clone(),
        purl: Some(purl),
        ..Subject::default()
    };
    Ok(subject.completed())
}

fn options() -> Result<Options, chrono::ParseError> {
    Ok(Options {
        date: "2026-11-22".parse()?,
        max_age_days: Some(14),
        remembered: Vec::new(),
        fail_on: None,
        not_covered: ["upstream".to_owned()].into(),
        undescribed: std::collections::BTreeSet::new(),
        waivers: Vec::new(),
    })
}

fn checked(
    subjects: &[Subject],
    paths: &[PathBuf],
    options: &Options,
) -> Result<Report, DatabaseError> {
    let database = Database::load(paths, &Wanted::of(subjects))?;
    Ok(check(subjects, &database, options))
}

fn found(report: &Report) -> Vec<String> {
    let text = |finding: &Finding| {
        let version = finding.version.as_deref().unwrap_or("?");
        format!(
            "{} {} {version} {}",
            finding.id,
            finding.component,
            finding.status.word()
        )
    };
    report.findings.iter().map(text).collect()
}

fn codes(report: &Report) -> Vec<ProblemCode> {
    report
        .undecided
        .iter()
        .map(|problem| problem.code)
        .collect()
}

#[test]
fn each_register_is_compared_by_its_own_order() -> TestResult {
    let databases = Databases::new()?;
    for (id, ecosystem, name, fixed) in [
        ("A-1", "crates.io", "fast", "1.10.0"),
        ("A-2", "npm", "@scope/left", "2.0.0"),
        ("A-3", "PyPI", "Some.Thing", "2.0"),
        ("A-4", "Go", "github.com/A/b", "1.2.0"),
        ("A-5", "Debian:12", "curl", "7.88.1-10+deb12u5"),
        ("A-6", "Debian:13", "curl", "9.0"),
    ] {
        let text = record(id, &[], ecosystem, name, &before(fixed));
        databases.write(&format!("{id}.json"), &text)?;
    }
    let subjects = [
        "pkg:cargo/fast@1.9.0",
        "pkg:cargo/fast@1.10.0",
        "pkg:npm/%40scope/left@2.0.0-rc.1",
        "pkg:npm/left@1.0.0",
        "pkg:pypi/some-thing@2.0rc1",
        "pkg:pypi/some-thing@2.0.post1",
        "pkg:golang/github.com/A/b@v1.1.9",
        "pkg:golang/github.com/A/b@1.2.0",
        "pkg:deb/debian/libcurl4@7.88.1-10%2Bdeb12u4?distro=bookworm&upstream=curl",
        "pkg:deb/debian/curl@7.88.1-10%2Bdeb12u14?distro=bookworm",
    ]
    .map(purl);
    let subjects = subjects.into_iter().collect::<Result<Vec<_>, _>>()?;
    let report = checked(&subjects, &[databases.directory()], &options()?)?;
    let expected = [
        "A-1 fast 1.9.0 denied",
        "A-2 @scope/left 2.0.0-rc.1 denied",
        "A-3 some-thing 2.0rc1 denied",
        "A-4 github.com/A/b v1.1.9 denied",
        "A-5 debian/libcurl4 7.88.1-10+deb12u4 denied",
    ];
    assert_eq!(found(&report), expected);
    assert_eq!(codes(&report), []);
    assert_eq!(report.outcome, Outcome::Denied);
    assert_eq!(report.databases[0].records, 6);
    Ok(())
}

#[test]
fn a_database_that_is_empty_shrunken_old_or_damaged_is_undecided() -> TestResult {
    let databases = Databases::new()?;
    for index in 0..10 {
        let id = format!("A-{index}");
        let text = record(&id, &[], "crates.io", "other", &before("1.0.0"));
        databases.write(&format!("{id}.json"), &text)?;
    }
    let subjects = [purl("pkg:cargo/fast@1.0.0")?];
    let paths = [databases.directory()];
    let clean = checked(&subjects, &paths, &options()?)?;
    assert_eq!((clean.outcome, codes(&clean)), (Outcome::Clean, vec![]));

    let halved = Options {
        remembered: vec![Some(20)],
        ..options()?
    };
    let report = checked(&subjects, &paths, &halved)?;
    assert_eq!(
        (report.outcome, codes(&report)),
        (Outcome::Undecided, vec![ProblemCode::V101])
    );

    let later = Options {
        date: "2026-12-24".parse()?,
        ..options()?
    };
    let report = checked(&subjects, &paths, &later)?;
    assert_eq!(
        (report.outcome, codes(&report)),
        (Outcome::Undecided, vec![ProblemCode::V102])
    );

    let with_base = Options {
        undescribed: ["the layers of `debian:12`".to_owned()].into(),
        ..options()?
    };
    let report = checked(&subjects, &paths, &with_base)?;
    assert_eq!(
        (report.outcome, codes(&report)),
        (Outcome::Undecided, vec![ProblemCode::V106])
    );

    databases.write("broken.json", "{\"id\": ")?;
    let report = checked(&subjects, &paths, &options()?)?;
    assert_eq!(
        (report.outcome, codes(&report)),
        (Outcome::Undecided, vec![ProblemCode::V103])
    );

    let empty = Databases::new()?;
    let report = checked(&subjects, &[empty.directory()], &options()?)?;
    assert_eq!(
        (report.outcome, codes(&report)),
        (
            Outcome::Undecided,
            vec![ProblemCode::V100, ProblemCode::V104]
        )
    );
    let report = checked(&[purl("pkg:npm/left@1.0.0")?], &paths, &options()?)?;
    assert!(
        codes(&report).contains(&ProblemCode::V104),
        "{:?}",
        report.undecided
    );

    let no_database = databases.write("text", "hello")?;
    let error = checked(&subjects, &[no_database], &options()?).err();
    assert!(
        matches!(error, Some(DatabaseError::Unknown { .. })),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn an_archive_says_what_its_directory_says() -> TestResult {
    let databases = Databases::new()?;
    let archive = Databases::new()?;
    let path = archive.0.path().join("all.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path)?);
    for index in 0..40 {
        let id = format!("A-{index:02}");
        let text = record(
            &id,
            &[],
            "crates.io",
            "fast",
            &before(&format!("1.{index}.0")),
        );
        databases.write(&format!("{id}.json"), &text)?;
        zip.start_file(
            format!("{id}.json"),
            zip::write::SimpleFileOptions::default(),
        )?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?;
    let subjects = [purl("pkg:cargo/fast@1.9.0")?];
    let of_directory = checked(&subjects, &[databases.directory()], &options()?)?;
    let of_archive = checked(&subjects, &[path], &options()?)?;
    assert_eq!(of_directory.summary.denied, 30);
    assert_eq!(of_directory.findings, of_archive.findings);
    assert_eq!(of_archive.databases[0].records, 40);
    let again = checked(&subjects, &[databases.directory()], &options()?)?;
    assert_eq!(again, of_directory);
    Ok(())
}

#[test]
fn names_of_one_vulnerability_are_put_together() -> TestResult {
    let databases = Databases::new()?;
    let ranges = before("1.2.0");
    databases.write(
        "a.json",
        &record("GHSA-1", &["CVE-2026-1"], "crates.io", "fast", &ranges),
    )?;
    databases.write(
        "crates/fast/RUSTSEC-2026-0001.md",
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"fast\"\ndate = \"2026-11-01\"\naliases = [\"CVE-2026-1\"]\n\
         [versions]\npatched = [\">= 1.2.0\"]\n```\n# Too fast\n",
    )?;
    databases.write("README.md", "# A page that is no advisory\n")?;
    let report = checked(
        &[purl("pkg:cargo/fast@1.0.0")?],
        &[databases.directory()],
        &options()?,
    )?;
    assert_eq!(found(&report), ["CVE-2026-1 fast 1.0.0 denied"]);
    assert_eq!(report.findings[0].aliases, ["GHSA-1", "RUSTSEC-2026-0001"]);
    assert_eq!(report.findings[0].fixed_in, ["1.2.0"]);
    assert_eq!(report.databases[0].records, 2);
    Ok(())
}

#[test]
fn what_is_less_bad_than_denied_is_tolerated_and_what_nobody_rated_is_not() -> TestResult {
    let databases = Databases::new()?;
    let text = record("A-1", &[], "crates.io", "fast", &before("1.2.0")).replace(CRITICAL, LOW);
    databases.write("a.json", &text)?;
    let unrated = record("A-2", &[], "crates.io", "fast", &before("1.2.0")).replace(CRITICAL, "");
    databases.write("b.json", &unrated)?;
    let subjects = [purl("pkg:cargo/fast@1.0.0")?];
    let lenient = Options {
        fail_on: Some(Severity::High),
        ..options()?
    };
    let report = checked(&subjects, &[databases.directory()], &lenient)?;
    assert_eq!(
        found(&report),
        ["A-2 fast 1.0.0 denied", "A-1 fast 1.0.0 tolerated"]
    );
    Ok(())
}

#[test]
fn a_version_that_cannot_be_compared_is_undecided() -> TestResult {
    let databases = Databases::new()?;
    databases.write(
        "a.json",
        &record("A-1", &[], "crates.io", "fast", &before("1.2.0")),
    )?;
    let report = checked(
        &[purl("pkg:cargo/fast@trunk")?],
        &[databases.directory()],
        &options()?,
    )?;
    assert_eq!(found(&report), ["A-1 fast trunk undecided"]);
    assert_eq!(report.outcome, Outcome::Undecided);
    Ok(())
}

/// A closure: `app` has a crate in it, and code of `zlib`, which is not in the closure; `curl` is built from sources with patches.
struct Closure {
    gathered: Gathered,
    zlib: PathInfo,
}

fn component(name: &str, version: &str) -> Component {
    Component {
        name: name.to_owned(),
        version: Some(version.to_owned()),
        ..Component::default()
    }
}

fn closure(patches: Vec<PatchFacts>, urls: &[&str]) -> Result<Closure, Box<dyn std::error::Error>> {
    let store = TempStore::new();
    let add = |name: &str| store.add_tree(name, MemoryNode::file(name), &[]);
    let (mut app, mut zlib, mut curl) = (add("app-1")?, add("zlib-1.2.13")?, add("curl-7.88.1")?);
    app.component = Some(Component {
        contains: vec![ContainedComponent {
            name: "fast".to_owned(),
            version: Some("1.0.0".to_owned()),
            purl: "pkg:cargo/fast@1.0.0".to_owned(),
            ..ContainedComponent::default()
        }],
        ..component("app", "1")
    });
    zlib.component = Some(Component {
        cpe: Some("zlib:zlib".to_owned()),
        ..component("zlib", "1.2.13")
    });
    curl.component = Some(Component {
        cpe: Some("haxx:curl".to_owned()),
        sources: vec![ComponentSource {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            ..ComponentSource::default()
        }],
        ..component("curl", "7.88.1")
    });
    let linked = Facts {
        links: vec![LinkFacts {
            file: "bin/app".to_owned(),
            linked: Linked::Recorded,
            inputs: vec![LinkInput {
                kind: LinkKind::Static,
                object: Some(zlib.path.to_logical()),
                component: None,
                file: "lib/libz.a".to_owned(),
                members: vec!["inflate.o".to_owned()],
            }],
        }],
        ..Facts::default()
    };
    let patched = Facts {
        patches,
        ..Facts::default()
    };
    let part = |info: PathInfo, facts| Part {
        info,
        facts: Some(facts),
    };
    Ok(Closure {
        gathered: Gathered {
            parts: vec![part(app, linked), part(curl, patched)],
            ..Gathered::default()
        },
        zlib,
    })
}

impl Closure {
    fn subjects(&self) -> Vec<Subject> {
        let base = self.zlib.path.to_string();
        subjects_of_closure(&self.gathered, &mut |path| {
            (path == base).then(|| self.zlib.component.clone())?
        })
    }
}

/// What OSV makes of the NVD's record of software in C.
fn of_nvd(id: &str, product: &str, fixed: &str) -> String {
    format!(
        r#"{{"id": "{id}", "modified": "2026-11-20T00:00:00Z", "severity": [{{"type": "CVSS_V3", "score": "{CRITICAL}"}}],
        "affected": [{{"ranges": [{{"type": "GIT", "repo": "https://example.org/{product}.git",
            "events": [{{"introduced": "0"}}, {{"fixed": "0123456789012345678901234567890123456789"}}],
            "database_specific": {{"cpe": "cpe:2.3:a:{product}:*:*:*:*:*:*:*:*",
                "extracted_events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}}}]}}]}}"#
    )
}

#[test]
fn software_that_is_part_of_other_software_is_found_where_it_is() -> TestResult {
    let databases = Databases::new()?;
    databases.write(
        "a.json",
        &record("A-1", &[], "crates.io", "fast", &before("1.2.0")),
    )?;
    databases.write("b.json", &of_nvd("CVE-2026-2", "zlib:zlib", "1.3"))?;
    let closure = closure(Vec::new(), &[])?;
    let subjects = closure.subjects();
    let report = checked(&subjects, &[databases.directory()], &options()?)?;
    let app = closure.gathered.parts[0].info.path.to_logical();
    let mut places = Vec::new();
    for finding in &report.findings {
        for place in &finding.places {
            assert_eq!(place.within, app);
            places.push((finding.id.as_str(), place.relation));
        }
    }
    let expected = [
        ("A-1", Relation::Vendored),
        ("CVE-2026-2", Relation::Static),
    ];
    assert_eq!(places, expected);
    let rules: Vec<NameRule> = report
        .findings
        .iter()
        .map(|one| one.matches[0].name_rule)
        .collect();
    assert_eq!(rules, [NameRule::Purl, NameRule::Cpe]);
    Ok(())
}

fn patch(name: &str, fixes: &[&str]) -> PatchFacts {
    PatchFacts {
        name: name.to_owned(),
        sha256: "ab".repeat(32),
        source: None,
        header: String::new(),
        fixes: fixes.iter().map(|id| (*id).to_owned()).collect(),
    }
}

#[test]
fn a_patch_fixes_what_its_header_says_and_never_what_it_is_called() -> TestResult {
    let databases = Databases::new()?;
    databases.write("a.json", &of_nvd("CVE-2026-3", "haxx:curl", "8.0"))?;
    let paths = [databases.directory()];
    for (patches, expected) in [
        (vec![], "denied"),
        (vec![patch("CVE-2026-3.patch", &[])], "denied"),
        (vec![patch("CVE-2026-3.patch", &["CVE-2026-4"])], "denied"),
        (vec![patch("01.patch", &["CVE-2026-3"])], "fixed"),
    ] {
        let report = checked(
            &closure(patches.clone(), &[])?.subjects(),
            &paths,
            &options()?,
        )?;
        assert_eq!(
            found(&report),
            [format!("CVE-2026-3 curl 7.88.1 {expected}")]
        );
        if let Status::Fixed {
            by: Fix::Patch(patch),
        } = &report.findings[0].status
        {
            assert_eq!(patch.sha256.as_deref(), Some("ab".repeat(32).as_str()));
        }
    }
    Ok(())
}

#[test]
fn a_revision_of_debian_that_fixes_it_counts_where_it_was_built_with() -> TestResult {
    let databases = Databases::new()?;
    let nvd = databases.write("osv/a.json", &of_nvd("CVE-2026-3", "haxx:curl", "8.0"))?;
    let tracker = |fixed: &str| {
        let text = format!(
            r#"{{"curl": {{"CVE-2026-3": {{"description": "x", "releases": {{
                "bookworm": {{"status": "resolved", "fixed_version": "{fixed}", "urgency": "high", "repositories": {{}}}},
                "sid": {{"status": "open", "urgency": "high", "repositories": {{}}}}}}}}}}}}"#
        );
        databases.write("tracker.json", &text)
    };
    let orig = "mirror://debian/pool/main/c/curl/curl_7.88.1.orig.tar.gz";
    let revision = "mirror://debian/pool/main/c/curl/curl_7.88.1-10+deb12u15.debian.tar.xz";
    let undated = Options {
        max_age_days: None,
        ..options()?
    };
    for (urls, fixed, expected) in [
        (vec![orig], "7.88.1-10+deb12u15", "denied"),
        (vec![orig, revision], "7.88.1-10+deb12u15", "fixed"),
        (vec![orig, revision], "7.88.1-10+deb12u16", "denied"),
        (vec![orig, revision], "1:7.88.1-10+deb12u15", "fixed"),
    ] {
        let subjects = closure(Vec::new(), &urls)?.subjects();
        let paths = [nvd.clone(), tracker(fixed)?];
        let report = checked(&subjects, &paths, &undated)?;
        assert_eq!(
            found(&report),
            [format!("CVE-2026-3 curl 7.88.1 {expected}")],
            "{fixed}"
        );
    }
    Ok(())
}

#[test]
fn records_of_some_upstream_projects_say_nothing_of_others() -> TestResult {
    let databases = Databases::new()?;
    let subject = Subject {
        name: "curl".to_owned(),
        version: Some("7.88.1".to_owned()),
        cpe: Some("haxx:curl".to_owned()),
        ..Subject::default()
    };
    let asked = Options {
        not_covered: Default::default(),
        ..options()?
    };
    let check = || {
        let report = checked(
            std::slice::from_ref(&subject),
            &[databases.directory()],
            &asked,
        )?;
        Ok::<_, DatabaseError>((codes(&report), report.outcome))
    };
    databases.write("a.json", &of_nvd("CVE-2026-1", "zlib:zlib", "1.3"))?;
    assert_eq!(check()?, (vec![ProblemCode::V104], Outcome::Undecided));
    // One that speaks of it, of older versions.
    databases.write("b.json", &of_nvd("CVE-2026-2", "haxx:curl", "7.0"))?;
    assert_eq!(check()?, (Vec::new(), Outcome::Clean));
    // So many that it is known, and not one of them of it.
    let ranges = (0..1000).map(|number| {
        format!(r#"{{"type": "GIT", "repo": "https://example.org/{number}.git", "events": []}}"#)
    });
    let ranges = ranges.collect::<Vec<_>>().join(", ");
    databases.write(
        "b.json",
        &format!(
            r#"{{"id": "CVE-2026-3", "modified": "2026-11-20T00:00:00Z", "affected": [{{"ranges": [{ranges}]}}]}}"#
        ),
    )?;
    assert_eq!(check()?, (Vec::new(), Outcome::Clean));
    Ok(())
}

#[test]
fn a_name_alone_is_a_clue_and_decides_nothing() -> TestResult {
    let databases = Databases::new()?;
    let text = record(
        "OSV-1",
        &[],
        "OSS-Fuzz",
        "curl",
        r#""versions": ["curl-7_88_1"]"#,
    );
    databases.write("a.json", &text)?;
    // The same name in a register is other software.
    databases.write(
        "b.json",
        &record("A-2", &[], "npm", "curl", &before("9.0.0")),
    )?;
    let covered = Options {
        not_covered: ["crates.io".to_owned()].into(),
        ..options()?
    };
    let report = checked(
        &closure(Vec::new(), &[])?.subjects(),
        &[databases.directory()],
        &covered,
    )?;
    assert_eq!(found(&report), ["OSV-1 curl 7.88.1 clue"]);
    assert_eq!(codes(&report), [ProblemCode::V104]);
    assert_eq!(report.outcome, Outcome::Undecided);
    // In its repository it is the same software.
    let urls = ["https://github.com/curl/curl/releases/download/curl-7_88_1/curl-7.88.1.tar.xz"];
    let in_repository = text.replace(
        r#""versions""#,
        r#""ranges": [{"type": "GIT", "repo": "https://github.com/curl/curl", "events": [{"introduced": "0"}]}], "versions""#,
    );
    databases.write("a.json", &in_repository)?;
    let report = checked(
        &closure(Vec::new(), &urls)?.subjects(),
        &[databases.directory()],
        &covered,
    )?;
    assert_eq!(found(&report), ["OSV-1 curl 7.88.1 denied"]);
    assert_eq!(
        report.findings[0].matches[0].name_rule,
        NameRule::Repository
    );
    Ok(())
}

#[test]
fn statements_count_until_they_are_over_and_are_missed_when_they_apply_to_nothing() -> TestResult {
    let databases = Databases::new()?;
    databases.write(
        "a.json",
        &record(
            "GHSA-1",
            &["CVE-2026-1"],
            "crates.io",
            "fast",
            &before("1.2.0"),
        ),
    )?;
    let subjects = [purl("pkg:cargo/fast@1.0.0")?];
    let ignore = |id: &str, component: &str, until: &str| {
        format!(
            "[[vulnerabilities.ignore]]\nid = \"{id}\"\ncomponent = \"{component}\"\nreason = \"never called\"\n\
             justification = \"vulnerable_code_not_in_execute_path\"\nuntil = {until}\n"
        )
    };
    for (policy, outcome, warning) in [
        (
            ignore("CVE-2026-1", "fast", "2026-11-22"),
            Outcome::Clean,
            None,
        ),
        (
            ignore("GHSA-1", "pkg:cargo/fast", "2027-01-01"),
            Outcome::Clean,
            None,
        ),
        (
            ignore("CVE-2026-1", "fast", "2026-11-21"),
            Outcome::Denied,
            Some(ProblemCode::V112),
        ),
        (
            ignore("CVE-2026-1", "slow", "2027-01-01"),
            Outcome::Denied,
            Some(ProblemCode::V113),
        ),
        (
            ignore("CVE-2026-9", "fast", "2027-01-01"),
            Outcome::Denied,
            Some(ProblemCode::V113),
        ),
    ] {
        let waivers = pack::vulns::Policy::parse(&policy, "policy.toml")?.waivers;
        let stated = Options {
            waivers,
            ..options()?
        };
        let report = checked(&subjects, &[databases.directory()], &stated)?;
        assert_eq!(report.outcome, outcome, "{policy}");
        let codes: Vec<ProblemCode> = report.warnings.iter().map(|one| one.code).collect();
        assert_eq!(codes, Vec::from_iter(warning), "{policy}");
    }
    Ok(())
}

#[test]
fn what_is_stated_is_written_and_read_again() -> TestResult {
    let databases = Databases::new()?;
    databases.write(
        "a.json",
        &record(
            "GHSA-1",
            &["CVE-2026-1"],
            "crates.io",
            "fast",
            &before("1.2.0"),
        ),
    )?;
    let subjects = [purl("pkg:cargo/fast@1.0.0")?];
    let policy = "[[vulnerabilities.ignore]]\nid = \"CVE-2026-1\"\nreason = \"never called\"\n\
                  justification = \"vulnerable_code_not_in_execute_path\"\nuntil = 2027-01-01\n";
    let stated = Options {
        waivers: pack::vulns::Policy::parse(policy, "policy.toml")?.waivers,
        ..options()?
    };
    let report = checked(&subjects, &[databases.directory()], &stated)?;
    let about = VexDocument {
        product: "pkg:oci/app@sha256:00",
        author: "Jane",
    };
    let text = write_vex(&report, &about).ok_or("nothing is stated")?;
    assert_eq!(write_vex(&report, &about).as_ref(), Some(&text));
    let document: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(document["timestamp"], "2026-11-22T00:00:00Z");
    let expected = serde_json::json!([{
        "vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]},
        "products": [{"@id": "pkg:oci/app@sha256:00", "subcomponents": [{"@id": "pkg:cargo/fast@1.0.0"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
        "impact_statement": "never called",
    }]);
    assert_eq!(document["statements"], expected);

    let read = Options {
        waivers: read_vex(text.as_bytes(), "app.vex.json")?,
        ..options()?
    };
    let report = checked(&subjects, &[databases.directory()], &read)?;
    assert_eq!(report.outcome, Outcome::Clean);
    let Status::Stated { claim, origin, .. } = &report.findings[0].status else {
        return Err(format!("{:?}", report.findings).into());
    };
    let why = Justification::VulnerableCodeNotInExecutePath;
    assert_eq!(
        (claim, origin.as_str()),
        (&Claim::NotAffected(Some(why)), "app.vex.json")
    );
    let clean = checked(
        &[purl("pkg:cargo/fast@1.2.0")?],
        &[databases.directory()],
        &options()?,
    )?;
    assert_eq!(write_vex(&clean, &about), None);
    Ok(())
}
