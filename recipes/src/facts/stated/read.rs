//! The file in which a package says what it is.

use std::io::{self, Read as _};
use std::path::Path;

use store::facts::Stated;

use super::super::archive::visit;
use super::{debian, krate, npm, wheel};
use crate::source::deb::{DebFile, read_control};

/// The largest such file; those of packages with long descriptions have 200 kB.
const MAX_BYTES: u64 = 2 << 20;

/// A kind of package.
struct Kind {
    /// How its package URL begins.
    purl: &'static str,
    /// Whether a file at this place in the archive is the one.
    is_file: fn(directory: &str, name: &str) -> bool,
    /// What that says; the path is left empty.
    parse: fn(&str) -> Option<Stated>,
}

/// The kinds of packages that are known. Each has the file in the one directory at the top of its archive.
const KINDS: [Kind; 3] = [
    Kind {
        purl: "pkg:cargo/",
        is_file: |_, name| name == "Cargo.toml",
        parse: krate::parse,
    },
    Kind {
        purl: "pkg:npm/",
        is_file: |_, name| name == "package.json",
        parse: npm::parse,
    },
    Kind {
        purl: "pkg:pypi/",
        is_file: |directory, name| name == "METADATA" && directory.ends_with(".dist-info"),
        parse: wheel::parse,
    },
];

/// Reads what the package in the archive at `path` says of itself. `name` is what the archive is called, `purl` the package URL of what is in it. None of a kind
/// that is not known, and where it says nothing.
pub(in super::super) fn read_stated(path: &Path, name: &str, purl: &str) -> Option<Stated> {
    let stated = if name.ends_with(".deb") {
        let deb = DebFile {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        let control = read_control(&deb).ok()??;
        debian::parse(&String::from_utf8_lossy(&control))
    } else {
        let kind = KINDS.iter().find(|kind| purl.starts_with(kind.purl))?;
        read_member(path, name, kind)
    }?;
    let is_empty =
        stated.makers.is_empty() && stated.homepage.is_none() && stated.license.is_none();
    (!is_empty).then_some(stated)
}

/// Reads the first such file of an archive.
fn read_member(path: &Path, name: &str, kind: &Kind) -> Option<Stated> {
    let mut found: Option<(String, String)> = None;
    let visited = visit(path, name, &mut |member, _, bytes| {
        let parts = member.split_once('/');
        if found.is_none() && parts.is_some_and(|(top, rest)| (kind.is_file)(top, rest)) {
            found = Some((member.to_owned(), read_text(bytes)?));
        }
        Ok(())
    });
    visited.ok()?;
    let (member, text) = found?;
    let stated = (kind.parse)(text.trim_start_matches('\u{feff}'))?;
    Some(Stated {
        path: member,
        ..stated
    })
}

fn read_text(bytes: &mut dyn io::Read) -> io::Result<String> {
    let mut text = Vec::new();
    bytes.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    /// An archive of tar with these files.
    fn tar_of(path: &Path, files: &[(&str, &str)]) -> io::Result<()> {
        let gzip = flate2::write::GzEncoder::new(File::create(path)?, flate2::Compression::fast());
        let mut builder = tar::Builder::new(gzip);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, text.as_bytes())?;
        }
        builder.into_inner()?.finish()?;
        Ok(())
    }

    #[test]
    fn the_file_at_the_top_of_an_archive_speaks_for_the_package() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("left-pad-1.3.0.tgz");
        let other = r#"{"homepage": "https://other.example"}"#;
        let own = "\u{feff}{\"homepage\": \"https://own.example\"}";
        tar_of(
            &path,
            &[
                ("package/test/package.json", other),
                ("package/package.json", own),
                ("package/node_modules/a/package.json", other),
            ],
        )?;
        let stated = read_stated(&path, "left-pad-1.3.0.tgz", "pkg:npm/left-pad@1.3.0");
        let stated = stated.ok_or("it says something")?;
        assert_eq!(stated.path, "package/package.json");
        assert_eq!(stated.homepage.as_deref(), Some("https://own.example"));
        // What it is called decides, not what is in it.
        assert_eq!(
            read_stated(&path, "left-pad.tgz", "pkg:generic/left-pad@1"),
            None
        );
        Ok(())
    }

    #[test]
    fn a_wheel_is_an_archive_of_zip() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("a-1-py3-none-any.whl");
        let mut archive = zip::ZipWriter::new(File::create(&path)?);
        let options = zip::write::SimpleFileOptions::default();
        for (name, text) in [
            ("a/METADATA", "Home-page: https://wrong.example\n"),
            ("a-1.dist-info/METADATA", "Home-page: https://a.example\n"),
        ] {
            archive.start_file(name, options)?;
            archive.write_all(text.as_bytes())?;
        }
        archive.finish()?;
        let stated = read_stated(&path, "a-1-py3-none-any.whl", "pkg:pypi/a@1");
        let stated = stated.ok_or("it says something")?;
        assert_eq!(stated.path, "a-1.dist-info/METADATA");
        assert_eq!(stated.homepage.as_deref(), Some("https://a.example"));
        Ok(())
    }

    #[test]
    fn what_is_damaged_or_says_nothing_is_silent() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("a.tgz");
        std::fs::write(&path, "no archive")?;
        assert_eq!(read_stated(&path, "a.tgz", "pkg:npm/a@1"), None);
        assert_eq!(
            read_stated(&path, "a_1_amd64.deb", "pkg:golang/std@1"),
            None
        );
        tar_of(&path, &[("package/package.json", r#"{"name": "a"}"#)])?;
        assert_eq!(read_stated(&path, "a.tgz", "pkg:npm/a@1"), None);
        Ok(())
    }
}
