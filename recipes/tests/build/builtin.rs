//! What pith makes itself: trees of Debian packages, and files of recipes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use recipes::build::{Origin, StepError};
use recipes::model::{
    Builder as Kind, ContentDigest, DebTree, Derivation, EmbeddedSource, OutputRef, Source,
    SourceFile,
};
use sha2::Digest as _;
use store::{GcOptions, RootKind};
use tar::{EntryType, Header};

use crate::fixture::{Fixture, TestResult, built_in, chain, fetch};

/// A package with these members: name, kind, link target, bytes and mode.
#[derive(Default)]
struct Deb {
    tar: Vec<u8>,
}

impl Deb {
    fn member(
        mut self,
        name: &str,
        kind: EntryType,
        target: &str,
        bytes: &[u8],
        mode: u32,
    ) -> Self {
        let mut header = Header::new_gnu();
        // Written as bytes, because the writer refuses what an attacker would not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        header.set_cksum();
        self.tar.extend_from_slice(header.as_bytes());
        self.tar.extend_from_slice(bytes);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        self.member(name, EntryType::Regular, "", text.as_bytes(), 0o644)
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.member(name, EntryType::Symlink, target, b"", 0o777)
    }

    fn directory(self, name: &str) -> Self {
        self.member(name, EntryType::Directory, "", b"", 0o755)
    }

    fn compressed(mut self, extension: &str) -> Vec<u8> {
        self.tar.extend_from_slice(&[0; 1024]);
        let data = match extension {
            "xz" => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(&self.tar).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            "zst" => zstd::encode_all(self.tar.as_slice(), 1).expect("memory takes it"),
            "gz" => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&self.tar).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            _ => self.tar,
        };
        let mut archive = b"!<arch>\n".to_vec();
        for (name, bytes) in [
            ("debian-binary", b"2.0\n".as_slice()),
            (&format!("data.tar.{extension}"), &data),
        ] {
            archive.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    100_644,
                    bytes.len()
                )
                .bytes(),
            );
            archive.extend_from_slice(bytes);
            archive.resize(archive.len().next_multiple_of(2), b'\n');
        }
        archive
    }

    fn build(self) -> Vec<u8> {
        self.compressed("xz")
    }
}

struct Tree<'a> {
    fixture: &'a Fixture,
    links: BTreeMap<String, String>,
    drop: Vec<String>,
    include: Vec<String>,
}

impl<'a> Tree<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            links: BTreeMap::new(),
            drop: Vec::new(),
            include: Vec::new(),
        }
    }

    fn of(&self, debs: &[Vec<u8>]) -> Arc<Derivation> {
        let debs = debs.iter().enumerate().map(|(number, bytes)| {
            let file = self.fixture.root().join(format!("{number}.deb"));
            std::fs::write(&file, bytes).expect("a file");
            let digest = ContentDigest::Sha256(sha2::Sha256::digest(bytes).into());
            OutputRef::default_of(fetch(
                &format!("{number}.deb"),
                &[format!("file://{}", file.display())],
                digest,
            ))
        });
        let tree = DebTree {
            debs: debs.collect(),
            links: self.links.clone(),
            drop: self.drop.clone(),
            include: self.include.clone(),
        };
        built_in("tree", Kind::DebTree(tree))
    }

    /// Unpacks packages that must be refused, and returns the message.
    fn refuses(debs: &[Deb]) -> String {
        let fixture = Fixture::new();
        let debs: Vec<Vec<u8>> = debs
            .iter()
            .map(|deb| {
                Deb {
                    tar: deb.tar.clone(),
                }
                .build()
            })
            .collect();
        let failure = fixture.failure(&Tree::new(&fixture).of(&debs));
        assert!(matches!(failure.error, StepError::Unpack(_)), "{failure:?}");
        assert!(
            fixture.left_overs().is_empty(),
            "{:?}",
            fixture.left_overs()
        );
        chain(&failure)
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[test]
fn packages_become_one_tree_with_merged_usr() -> TestResult {
    let fixture = Fixture::new();
    let one = Deb::default()
        .directory("./")
        .directory("./lib/")
        .file("./lib/a/libz.so.1", "library")
        .link("./lib/a/libz.so", "libz.so.1")
        .link("./lib64/ld.so", "/lib/a/ld.so")
        .member("./bin/tool", EntryType::Regular, "", b"tool", 0o4755)
        .member("./usr/bin/same", EntryType::Link, "./bin/tool", b"", 0o755)
        .file("./usr/share/doc/one/copyright", "free")
        .file("./usr/share/man/man1/tool.1", "manual");
    let two = Deb::default()
        .link("./lib", "usr/lib")
        .file("./usr/lib/a/libm.so", "more")
        .file("./var/x", "x");
    let mut tree = Tree::new(&fixture);
    tree.drop = vec!["usr/share/{doc,man}".to_owned(), "var".to_owned()];
    tree.links = [("usr/bin/sh".to_owned(), "tool".to_owned())].into();
    for extension in ["xz", "zst", "gz"] {
        let debs = [
            Deb {
                tar: one.tar.clone(),
            }
            .compressed(extension),
            Deb {
                tar: two.tar.clone(),
            }
            .compressed(extension),
        ];
        let path = fixture.build(&tree.of(&debs))?;
        for (file, text) in [
            ("usr/lib/a/libz.so.1", "library"),
            ("usr/lib/a/libz.so", "library"),
            ("usr/lib/a/libm.so", "more"),
            ("usr/bin/tool", "tool"),
            ("usr/bin/same", "tool"),
            ("usr/bin/sh", "tool"),
        ] {
            assert_eq!(fixture.read(&path, file), text, "{file}");
        }
        let real = fixture.store.real_path(&path);
        assert_eq!(
            std::fs::read_link(real.join("usr/lib64/ld.so"))?.to_str(),
            Some("/lib/a/ld.so")
        );
        let mut top: Vec<_> = std::fs::read_dir(&real)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        top.sort();
        assert_eq!(top, ["usr"]);
        assert!(!real.join("usr/share").exists());
        assert_eq!(path.name().as_str(), "tree");
    }
    assert!(fixture.left_overs().is_empty());
    Ok(())
}

#[test]
fn only_what_is_included_is_taken() -> TestResult {
    let fixture = Fixture::new();
    let deb = Deb::default()
        .file("./usr/lib/liba.so", "a")
        .file("./usr/lib/libb.so", "b")
        .file("./etc/x", "x")
        .build();
    let mut tree = Tree::new(&fixture);
    tree.include = vec!["usr/lib/liba.*".to_owned()];
    let path = fixture.build(&tree.of(&[deb]))?;
    assert_eq!(fixture.read(&path, "usr/lib/liba.so"), "a");
    assert!(
        !fixture
            .store
            .real_path(&path)
            .join("usr/lib/libb.so")
            .exists()
    );
    assert!(!fixture.store.real_path(&path).join("etc").exists());
    Ok(())
}

#[test]
fn a_member_cannot_leave_the_tree() {
    for name in ["../x", "./usr/../../x", "/etc/passwd", "./a/../../b"] {
        let message = Tree::refuses(&[Deb::default().file(name, "evil")]);
        assert_eq!(
            message,
            format!("`0.deb` has a member with the unsafe name `{name}`")
        );
    }
}

#[test]
fn a_member_cannot_be_written_through_a_link() {
    let deb = Deb::default()
        .link("./usr/evil", "/tmp")
        .file("./usr/evil/file", "evil");
    assert_eq!(
        Tree::refuses(&[deb]),
        "both `0.deb` and `0.deb` have `usr/evil`"
    );
    // The link in one package, the file in another, unpacked at the same time.
    let message = Tree::refuses(&[
        Deb::default().link("./usr/evil", "../../../tmp"),
        Deb::default().file("./usr/evil/file", "evil"),
    ]);
    assert_eq!(message, "both `0.deb` and `1.deb` have `usr/evil`");
}

#[test]
fn devices_and_fifos_are_named() {
    for (kind, name) in [
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "fifo"),
    ] {
        let message = Tree::refuses(&[Deb::default().member("./usr/x", kind, "", b"", 0o644)]);
        assert_eq!(
            message,
            format!("`0.deb` has the member `usr/x`, which is a {name}")
        );
    }
}

#[test]
fn duplicates_are_refused() {
    let twice = Deb::default()
        .file("./usr/x", "one")
        .file("./bin/../usr/x", "two");
    assert!(Tree::refuses(&[twice]).contains("unsafe name"));
    let merged = Deb::default()
        .file("./bin/x", "one")
        .file("./usr/bin/x", "two");
    assert_eq!(
        Tree::refuses(&[merged]),
        "both `0.deb` and `0.deb` have `usr/bin/x`"
    );
}

#[test]
fn hard_links_only_lead_to_files_of_the_same_package() {
    for target in ["/etc/passwd", "./usr/none", "../x"] {
        let deb = Deb::default().member("./usr/x", EntryType::Link, target, b"", 0o644);
        assert_eq!(
            Tree::refuses(&[deb]),
            format!("`0.deb` has the hard link `usr/x` to `{target}`, which is no file of it")
        );
    }
    let link = Deb::default().link("./usr/l", "/etc/passwd").member(
        "./usr/x",
        EntryType::Link,
        "./usr/l",
        b"",
        0o644,
    );
    assert!(Tree::refuses(&[link]).contains("which is no file of it"));
}

#[test]
fn what_is_no_package_is_named() {
    let fixture = Fixture::new();
    let mut truncated = Deb::default()
        .file("./usr/x", &"x".repeat(10_000))
        .compressed("gz");
    truncated.truncate(truncated.len() - 20);
    for (bytes, problem) in [
        (
            b"PK\x03\x04nothing".to_vec(),
            "`0.deb` is no Debian package: it does not begin as an `ar` archive",
        ),
        (truncated, "`0.deb` is no Debian package: "),
        (
            Deb::default().compressed("lz4"),
            "`0.deb` is no Debian package: its data is compressed as `.lz4`, which is not known",
        ),
    ] {
        let failure = fixture.failure(&Tree::new(&fixture).of(&[bytes]));
        assert!(chain(&failure).contains(problem), "{}", chain(&failure));
    }
    assert!(fixture.left_overs().is_empty());
}

#[test]
fn files_of_a_recipe_are_a_file_or_a_tree() -> TestResult {
    let fixture = Fixture::new();
    let file = |path: &str, executable| SourceFile {
        path: path.to_owned(),
        executable,
        bytes: b"text".as_slice().into(),
    };
    let embedded = |files| Kind::Source(Source::Embedded(EmbeddedSource::new(files)));
    let single = fixture.build(&built_in("script.sh", embedded(vec![file("", true)])))?;
    assert_eq!(fixture.read(&single, ""), "text");
    let tree = fixture.build(&built_in(
        "files",
        embedded(vec![file("a/b", false), file("c", true)]),
    ))?;
    assert_eq!(
        (fixture.read(&tree, "a/b"), fixture.read(&tree, "c")),
        ("text".to_owned(), "text".to_owned())
    );
    Ok(())
}

#[test]
fn what_is_valid_needs_nothing_of_what_it_was_made_from() -> TestResult {
    let fixture = Fixture::new();
    let tree = Tree::new(&fixture).of(&[Deb::default().file("./usr/x", "x").build()]);
    let first = fixture.realise(&[&tree])?;
    let path = first.goals[0].path.clone();
    drop(first);
    let store = &fixture.store;
    store.add_root("tree", &path, RootKind::Explicit)?;
    let report = store.collect_garbage(&GcOptions::default(), &|_| {}, &AtomicBool::new(false))?;
    assert_eq!(
        report.collected.len(),
        1,
        "the package was kept: {report:?}"
    );
    // It cannot be fetched again either.
    std::fs::remove_file(fixture.root().join("0.deb"))?;

    let second = fixture.realise(&[&tree])?;
    assert_eq!(
        (&second.goals[0].path, second.goals[0].how),
        (&path, Origin::AlreadyValid)
    );
    assert_eq!((second.counts.already_valid, second.counts.fetched), (1, 0));

    drop(second);
    store.remove_root("tree")?;
    store.collect_garbage(&GcOptions::default(), &|_| {}, &AtomicBool::new(false))?;
    assert!(fixture.realise(&[&tree]).is_err(), "made from nothing");
    Ok(())
}
