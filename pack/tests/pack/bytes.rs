//! Every byte of an image has an origin, or there is a finding.

use std::{collections::BTreeSet, error::Error};

use pack::{
    Compression, Format, PackOptions, Validation,
    audit::bytes::{Accounting, ByteCode, ByteOrigin, LayerAccount, Rule, account, compare},
    existing::ExistingImage,
    validate,
};
use store::LocalStore;

use crate::{
    fixture::{Fixture, TestResult, unchecked},
    tampering::{Entry, forge},
};

fn account_of(
    fixture: &Fixture,
    name: &str,
    store: Option<&LocalStore>,
) -> Result<Accounting, Box<dyn Error>> {
    let image = ExistingImage::open(&fixture.place(name), None)?;
    let mut accounts = account(&image, store, &BTreeSet::new())?;
    Ok(accounts.pop().ok_or("no image")?)
}

#[test]
fn nothing_is_left_over_of_an_image_with_its_store_and_without() -> TestResult {
    let fixture = Fixture::new()?;
    for (compression, stable_paths) in [
        (Compression::Gzip, false),
        (Compression::Zstd, true),
        (Compression::None, false),
    ] {
        let options = PackOptions {
            compression,
            stable_paths,
            ..unchecked()
        };
        let name = format!("{compression}");
        let roots = [&fixture.hello, &fixture.certificates];
        fixture.pack(
            &roots,
            &fixture.spec(),
            &options,
            Format::Oci,
            &fixture.place(&name),
        )?;
        for store in [Some(&*fixture.store), None] {
            let found = account_of(&fixture, &name, store)?;
            assert_eq!(found.findings, [], "{name}");
            assert!(found.layers.iter().all(LayerAccount::is_exact));
            for origin in [&fixture.hello, &fixture.libc] {
                let origin = ByteOrigin::Object(origin.path.clone());
                assert!(found.total(|one| *one == origin).0 > 0, "{origin}");
            }
            for (rule, entries) in [(Rule::Accounts, 4), (Rule::Bill, 1), (Rule::Links, 2)] {
                let origin = ByteOrigin::Rule(rule);
                assert_eq!(found.total(|one| *one == origin).0, entries, "{origin}");
            }
            let is_open = |one: &ByteOrigin| {
                matches!(
                    one,
                    ByteOrigin::Untold | ByteOrigin::Unknown | ByteOrigin::Base
                )
            };
            assert_eq!(found.total(is_open), (0, 0));
        }
    }
    Ok(())
}

/// Codes and places.
type Findings = Vec<(ByteCode, String)>;

/// Forges an image of `hello` in one layer, and returns what is found with the store and without.
fn found_in_forged(change: impl Fn(&mut Vec<Entry>)) -> Result<[Findings; 2], Box<dyn Error>> {
    let fixture = Fixture::new()?;
    let options = PackOptions {
        max_layers: 1,
        ..unchecked()
    };
    let layout = fixture.place("layout");
    let spec = fixture.spec();
    fixture.pack(&[&fixture.hello], &spec, &options, Format::Oci, &layout)?;
    forge(&layout, |mut entries| {
        change(&mut entries);
        entries
    })?;
    let found = |store| -> Result<Vec<_>, Box<dyn Error>> {
        let found = account_of(&fixture, "layout", store)?;
        assert!(found.layers.iter().all(LayerAccount::is_exact));
        let hello = fixture.hello.path.to_logical();
        let place = |path: String| {
            let path = format!("/{}", path.trim_start_matches('/'));
            path.replace(&hello, "HELLO")
        };
        let findings = found.findings.into_iter();
        Ok(findings.map(|one| (one.code, place(one.path))).collect())
    };
    Ok([found(Some(&*fixture.store))?, found(None)?])
}

#[test]
fn only_what_is_wholly_in_the_image_is_the_same_as_in_the_store() -> TestResult {
    let fixture = Fixture::new()?;
    let options = PackOptions {
        max_layers: 1,
        ..unchecked()
    };
    let layout = fixture.place("layout");
    let spec = fixture.spec();
    fixture.pack(&[&fixture.hello], &spec, &options, Format::Oci, &layout)?;
    let compared = || -> Result<_, Box<dyn Error>> {
        let image = ExistingImage::open(&layout, None)?;
        let facts = image.inspect(None)?.images.pop().ok_or("no image")?;
        let bill = facts.packages.unwrap_or_default();
        let compared = compare(&image, facts.manifest, &bill, &fixture.store)?;
        let same = compared.same.into_iter().map(|info| info.path);
        Ok((same.collect::<BTreeSet<_>>(), compared.damage.len()))
    };
    let (hello, libc) = (fixture.hello.path.clone(), fixture.libc.path.clone());
    assert_eq!(compared()?, (BTreeSet::from([hello, libc.clone()]), 0));
    // One without a file of it, and then one with a file that is another.
    forge(&layout, |entries| {
        let is_other = |entry: &Entry| !entry.0.ends_with("bin/hello");
        entries.into_iter().filter(is_other).collect()
    })?;
    assert_eq!(compared()?, (BTreeSet::from([libc.clone()]), 1));
    fixture.pack(&[&fixture.hello], &spec, &options, Format::Oci, &layout)?;
    forge(&layout, |mut entries| {
        for entry in entries.iter_mut().filter(is_program) {
            entry.4[0] ^= 1;
        }
        entries
    })?;
    assert_eq!(compared()?, (BTreeSet::from([libc]), 1));
    Ok(())
}

fn is_program(entry: &&mut Entry) -> bool {
    entry.0.ends_with("bin/hello") && entry.2 == b'0'
}

#[test]
fn a_flipped_bit_is_b101_and_the_store_knows_in_which_file() -> TestResult {
    let [with, without] = found_in_forged(|entries| {
        let program = entries.iter_mut().find(is_program);
        program.expect("it is there").4[3] ^= 1;
    })?;
    assert_eq!(with, [(ByteCode::B101, "HELLO/bin/hello".to_owned())]);
    assert_eq!(without, [(ByteCode::B101, "HELLO".to_owned())]);
    Ok(())
}

#[test]
fn a_file_that_may_be_run_or_leads_elsewhere_or_is_missing_is_b101() -> TestResult {
    let [mode, _] = found_in_forged(|entries| {
        let program = entries.iter_mut().find(is_program);
        program.expect("it is there").1 = 0o444;
    })?;
    assert_eq!(mode, [(ByteCode::B101, "HELLO/bin/hello".to_owned())]);
    let [missing, without] = found_in_forged(|entries| {
        entries.retain(|entry| !entry.0.ends_with("share/text"));
    })?;
    assert_eq!(missing, [(ByteCode::B101, "HELLO".to_owned())]);
    assert_eq!(without, missing);
    let [link, _] = found_in_forged(|entries| {
        let link = entries
            .iter_mut()
            .find(|entry| entry.0.ends_with("libc.so.6"));
        link.expect("it is there").3 = b"/etc/passwd".to_vec();
    })?;
    assert_eq!(link.len(), 1);
    Ok(())
}

#[test]
fn whatever_is_planted_is_b102() -> TestResult {
    let planted: [(Entry, &str); 5] = [
        (
            ("opt/dark.bin".into(), 0o644, b'0', vec![], b"dark".to_vec()),
            "/opt/dark.bin",
        ),
        (("opt/".into(), 0o755, b'5', vec![], vec![]), "/opt"),
        (
            ("evil".into(), 0o777, b'2', b"/proc/1/root".to_vec(), vec![]),
            "/evil",
        ),
        (
            (
                "usr/share/sbom/other.spdx.json".into(),
                0o644,
                b'0',
                vec![],
                b"{}".to_vec(),
            ),
            "/usr/share/sbom/other.spdx.json",
        ),
        (
            (
                format!("pith/store/{}-evil", "0".repeat(40)),
                0o444,
                b'0',
                vec![],
                vec![],
            ),
            "/pith/store/0000000000000000000000000000000000000000-evil",
        ),
    ];
    for (entry, place) in planted {
        let [with, without] = found_in_forged(|entries| {
            // Before the bill, which is the first one then.
            entries.push(entry.clone());
        })?;
        assert_eq!(with, [(ByteCode::B102, place.to_owned())]);
        assert_eq!(with, without);
    }
    let [accounts, _] = found_in_forged(|entries| {
        let passwd = entries.iter_mut().find(|entry| entry.0 == "etc/passwd");
        let passwd = passwd.expect("it is there");
        passwd.4.extend_from_slice(b"toor:x:0:0::/:/bin/sh\n");
    })?;
    assert_eq!(accounts, [(ByteCode::B102, "/etc/passwd".to_owned())]);
    Ok(())
}

#[test]
fn what_the_specification_asks_for_is_known_by_the_bill_or_by_who_asks() -> TestResult {
    let fixture = Fixture::new()?;
    let mut spec = fixture.spec();
    let file = |contents: &[u8]| pack::FileSpec {
        contents: contents.to_vec(),
        executable: true,
    };
    let (hello, layout) = (&fixture.hello, fixture.place("layout"));
    let text = format!("run {}/bin/hello", hello.path.to_logical());
    spec.files
        .insert("/etc/own/x".to_owned(), file(text.as_bytes()));
    for stable_paths in [true, false] {
        let options = PackOptions {
            max_layers: 1,
            stable_paths,
            ..unchecked()
        };
        fixture.pack(&[hello], &spec, &options, Format::Oci, &layout)?;
        for store in [Some(&*fixture.store), None] {
            let found = account_of(&fixture, "layout", store)?;
            assert_eq!(found.findings, []);
            let asked = found.total(|origin| *origin == ByteOrigin::Rule(Rule::Asked));
            assert_eq!(asked, (1, text.len() as u64));
        }
        assert_eq!(validate(&layout)?.mismatches, []);
    }
    forge(&layout, |mut entries| {
        let own = entries.iter_mut().find(|entry| entry.0 == "etc/own/x");
        own.expect("it is there").4 = b"evil".to_vec();
        entries
    })?;
    let found = account_of(&fixture, "layout", None)?;
    let codes = found
        .findings
        .iter()
        .map(|one| (one.code, one.path.as_str()));
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes, [(ByteCode::B101, "etc/own/x")]);
    let problems = |found: Validation| {
        let mismatches = found.mismatches.into_iter();
        mismatches.map(|one| one.problem).collect::<Vec<String>>()
    };
    let other = "is another file than the one in the bill of materials";
    assert_eq!(problems(validate(&layout)?), [other]);
    let image = ExistingImage::open(&layout, None)?;
    let allowed = BTreeSet::from([b"etc/own".to_vec()]);
    assert_eq!(account(&image, None, &allowed)?[0].findings, []);
    forge(&layout, |mut entries| {
        entries.retain(|entry| entry.0 != "etc/own/x");
        entries
    })?;
    let gone = "is in the bill of materials, and not in the image";
    assert_eq!(problems(validate(&layout)?), [gone]);
    Ok(())
}
