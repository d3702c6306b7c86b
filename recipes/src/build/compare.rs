//! Two builds of one thing, byte by byte.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};

use super::listing::{Entry, Listing, shown};

/// After so many differences nobody reads on.
const MAX_DIFFERENCES: usize = 50;
const BUFFER_BYTES: usize = 64 << 10;

/// A place at which two builds differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The output.
    pub output: String,
    /// The path below it.
    pub file: String,
    /// How they differ.
    pub how: How,
}

/// How two builds differ at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Only the first build has it.
    OnlyFirst,
    /// Only the second build has it.
    OnlySecond,
    /// A file in one, a directory or link in the other.
    Kind,
    /// Executable in one only.
    Executable,
    /// Links to different targets.
    Target,
    /// Different bytes from this offset on.
    Content {
        /// Offset of the first byte that differs.
        offset: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, output) = (&self.file, &self.output);
        match &self.how {
            How::OnlyFirst => write!(
                f,
                "`{file}` of output `{output}` is in the first build only"
            ),
            How::OnlySecond => write!(
                f,
                "`{file}` of output `{output}` is in the second build only"
            ),
            How::Kind => write!(f, "`{file}` of output `{output}` is of another kind"),
            How::Executable => write!(f, "`{file}` of output `{output}` is executable in one only"),
            How::Target => write!(f, "`{file}` of output `{output}` links to another target"),
            How::Content { offset } => write!(
                f,
                "`{file}` of output `{output}` differs from byte {offset} on"
            ),
        }
    }
}

/// Bytes of the second build that stand for others in the first, of equal length: the final digest of an output where the
/// first build has its scratch digest.
pub(super) type Renames = [(Vec<u8>, Vec<u8>)];

/// Compares one output of two builds; at most 50 differences, sorted by path.
pub(super) fn compare(
    output: &str,
    first: &Listing,
    second: &Listing,
    renames: &Renames,
) -> io::Result<Vec<Difference>> {
    let paths: BTreeSet<&Vec<u8>> = first.entries.keys().chain(second.entries.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        if differences.len() == MAX_DIFFERENCES {
            break;
        }
        let how = match (first.entries.get(path), second.entries.get(path)) {
            (Some(_), None) => Some(How::OnlyFirst),
            (None, Some(_)) => Some(How::OnlySecond),
            (Some(one), Some(two)) => compare_entries(path, (first, one), (second, two), renames)?,
            (None, None) => None,
        };
        if let Some(how) = how {
            differences.push(Difference {
                output: output.to_owned(),
                file: shown(path),
                how,
            });
        }
    }
    Ok(differences)
}

fn compare_entries(
    path: &[u8],
    (first, one): (&Listing, &Entry),
    (second, two): (&Listing, &Entry),
    renames: &Renames,
) -> io::Result<Option<How>> {
    Ok(match (one, two) {
        (Entry::Directory, Entry::Directory) => None,
        (Entry::Symlink { target: one }, Entry::Symlink { target: two }) => {
            let mut two = two.clone();
            rename(&mut two, renames);
            (*one != two).then_some(How::Target)
        }
        (
            Entry::File {
                executable: one, ..
            },
            Entry::File {
                executable: two, ..
            },
        ) => match first_difference(first.open(path)?, second.open(path)?, renames)? {
            Some(offset) => Some(How::Content { offset }),
            None => (one != two).then_some(How::Executable),
        },
        _ => Some(How::Kind),
    })
}

/// Streams both files. With renames the second is read whole, because a digest may lie across two pieces.
fn first_difference(first: File, mut second: File, renames: &Renames) -> io::Result<Option<u64>> {
    let first = BufReader::with_capacity(BUFFER_BYTES, first);
    if renames.is_empty() {
        return stream_difference(first, BufReader::with_capacity(BUFFER_BYTES, second));
    }
    let mut bytes = Vec::new();
    second.read_to_end(&mut bytes)?;
    rename(&mut bytes, renames);
    stream_difference(first, bytes.as_slice())
}

fn stream_difference(mut first: impl Read, mut second: impl Read) -> io::Result<Option<u64>> {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let mut offset = 0;
    loop {
        one.clear();
        two.clear();
        first
            .by_ref()
            .take(BUFFER_BYTES as u64)
            .read_to_end(&mut one)?;
        second
            .by_ref()
            .take(BUFFER_BYTES as u64)
            .read_to_end(&mut two)?;
        if one != two {
            let equal = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
            return Ok(Some(offset + equal as u64));
        }
        if one.is_empty() {
            return Ok(None);
        }
        offset += one.len() as u64;
    }
}

fn rename(bytes: &mut [u8], renames: &Renames) {
    for (from, to) in renames {
        let finder = memchr::memmem::Finder::new(from);
        let places: Vec<usize> = finder.find_iter(bytes).collect();
        for place in places {
            if let Some(target) = bytes.get_mut(place..place + to.len()) {
                target.copy_from_slice(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn listing(directory: &Path) -> Listing {
        Listing::load(File::open(directory).unwrap().as_fd(), c"out").unwrap()
    }

    #[test]
    fn differences_are_named_with_the_first_offset() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for directory in [one.path(), two.path()] {
            let out = directory.join("out");
            fs::create_dir(&out).unwrap();
            fs::write(out.join("same"), "same").unwrap();
            fs::write(out.join("mode"), "mode").unwrap();
        }
        let mut long = vec![b'x'; 3 * BUFFER_BYTES];
        fs::write(one.path().join("out/content"), &long).unwrap();
        long[2 * BUFFER_BYTES + 7] = b'y';
        fs::write(two.path().join("out/content"), &long).unwrap();
        fs::write(one.path().join("out/first"), "").unwrap();
        fs::write(two.path().join("out/second"), "").unwrap();
        fs::write(one.path().join("out/kind"), "").unwrap();
        fs::create_dir(two.path().join("out/kind")).unwrap();
        symlink("a", one.path().join("out/link")).unwrap();
        symlink("b", two.path().join("out/link")).unwrap();
        fs::set_permissions(
            two.path().join("out/mode"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let found = compare("out", &listing(one.path()), &listing(two.path()), &[]).unwrap();
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                format!(
                    "`content` of output `out` differs from byte {} on",
                    2 * BUFFER_BYTES + 7
                ),
                "`first` of output `out` is in the first build only".to_owned(),
                "`kind` of output `out` is of another kind".to_owned(),
                "`link` of output `out` links to another target".to_owned(),
                "`mode` of output `out` is executable in one only".to_owned(),
                "`second` of output `out` is in the second build only".to_owned(),
            ]
        );
    }

    #[test]
    fn a_renamed_digest_is_no_difference() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(one.path().join("out"), "..SCRATCH..").unwrap();
        fs::write(two.path().join("out"), "..FINALLY..").unwrap();
        let renames = [(b"FINALLY".to_vec(), b"SCRATCH".to_vec())];
        assert!(
            compare("out", &listing(one.path()), &listing(two.path()), &renames)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            compare("out", &listing(one.path()), &listing(two.path()), &[])
                .unwrap()
                .len(),
            1
        );
    }
}
